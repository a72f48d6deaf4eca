"""The command `queue-metrics`: its parser, and what becomes of errors. Each subcommand is a module that is imported when it is meant."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any

from queue_metrics.config import suggestion
from queue_metrics.errors import ConfigurationError, MissingDependency, QueueMetricsError, StoreError, UnsupportedTarget

EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "demo": "queue-metrics demo --jobs 500 --exit",
        "serve": "queue-metrics serve --store redis://localhost",
        "status": "queue-metrics status --minutes 15",
        "queues": "queue-metrics queues redis mail --minutes 15",
        "tasks": "queue-metrics tasks app.send --start 2026-01-31T12:00 --end 2026-01-31T13:00",
        "workers": "queue-metrics workers --json",
        "servers": "queue-metrics servers web-1",
        "baselines": "queue-metrics baselines redis mail app.send",
        "trend": "queue-metrics trend depth redis mail --period 7200",
        "config": "queue-metrics config",
        "openapi": "queue-metrics openapi",
        "agent": "queue-metrics agent --store redis://localhost",
        "doctor": "queue-metrics doctor",
        "record-trends": "queue-metrics record-trends --dry-run",
        "calculate": "queue-metrics calculate --connection redis --queue mail",
        "calculate-baselines": "queue-metrics calculate-baselines --dry-run",
        "detect-stale-workers": "queue-metrics detect-stale-workers --threshold 60",
        "cleanup-stale-workers": "queue-metrics cleanup-stale-workers --threshold 600 --dry-run",
        "cleanup": "queue-metrics cleanup --store sqlite:///metrics.db",
        "migrate": "queue-metrics migrate --dry-run --store mysql://migrator@db/shop",
        "schema": "queue-metrics schema --dialect postgresql",
        "reshard": "queue-metrics reshard --to 64 --store redis+cluster://node1,node2",
    }
)
"""Every command with a call of it; `run(args)` of the module `cli.<name>`, with `_` for `-`, does it."""

FINE, BAD, WRONG_USE, NO_STORE, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes: fine; the answer is bad; wrong use; store or server not reachable; Ctrl-C."""


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command.

    Args:
        argv: its arguments; `sys.argv` by default.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        args = _parser(arguments).parse_args(arguments)
        code: int = args.run(args)
        sys.stdout.flush()
    except SystemExit as leaving:  # argparse: help was shown, or the arguments were wrong
        return leaving.code if isinstance(leaving.code, int) else WRONG_USE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Who reads us has seen enough. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except QueueMetricsError as error:
        text = _advised(error) if isinstance(error, StoreError) else str(error)
        print(f"queue-metrics: {text}", file=sys.stderr)
        if "--json" in arguments:
            print(json.dumps({"error": text}), flush=True)
        if isinstance(error, (ConfigurationError, UnsupportedTarget, MissingDependency)):
            return WRONG_USE
        return NO_STORE if isinstance(error, StoreError) else BAD
    return code


def _advised(error: StoreError) -> str:
    """In one line, whatever the database said, and what to do."""
    told = " ".join(str(error).split()).rstrip(".")
    return f"{told}{'' if told.endswith('?') else ';'} `queue-metrics doctor` says what to do"


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    from queue_metrics._core import __version__

    parser = argparse.ArgumentParser(
        prog="queue-metrics",
        description="What every background job costs, which workers live, how deep each queue is.",
        epilog="Exit codes: 0 fine, 1 the answer is bad, 2 wrong use, 3 store or server not reachable.",
    )
    parser.add_argument("--version", action="version", version=f"queue-metrics {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    meant = next((argument for argument in arguments if not argument.startswith("-")), None)
    if not arguments:
        parser.error("a command is missing; `queue-metrics --help` lists them, and `queue-metrics status` shows how things are")
    if meant is not None and meant not in EXAMPLES:
        parser.error(f"unknown command {meant!r}{suggestion(meant, tuple(EXAMPLES))}")
    for name, example in EXAMPLES.items():
        if meant in EXAMPLES and name != meant:
            commands.add_parser(name)  # only its name is needed: no module is imported for it
            continue
        module: Any = import_module(f"queue_metrics.cli.{name.replace('-', '_')}")
        command = commands.add_parser(
            name, help=module.HELP, description=f"{module.HELP[0].upper()}{module.HELP[1:]}.", epilog=f"example: {example}"
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser
