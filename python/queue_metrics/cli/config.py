"""`queue-metrics config`: every setting with its value and where that comes from; or the reference of all settings."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from queue_metrics.cli.reading import print_json
from queue_metrics.cli.terminal import Screen, shown
from queue_metrics.config import ConnectionSettings, Settings, load_settings
from queue_metrics.config.origins import origins
from queue_metrics.config.reference import settings_table
from queue_metrics.config.settings import DECLARATIONS
from queue_metrics.storage.urls import masked as without_secrets

HELP = "show every setting with its value and where that comes from: argument, environment, file or default"

MASK = "***"
"""In place of a secret."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of config."""
    parser.add_argument("--store", metavar="URL", help="as the other commands take it, to see it win")
    parser.add_argument("--reference", action="store_true", help="print what may be set instead, as the table of docs/configuration.md")
    parser.add_argument("--json", action="store_true", help="print a list of settings as JSON and nothing else")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    if args.reference:
        _reference(as_json=args.json)
        return 0
    settings, sources = load_settings(store=args.store), origins(store=args.store)
    values = {name: masked(name, _value(settings, name)) for name in DECLARATIONS}
    if args.json:
        print_json(
            [{"name": name, "value": value, "source": sources[name][0], "from": sources[name][1] or None} for name, value in values.items()]
        )
        return 0
    screen = Screen()
    rows = []
    for name, value in values.items():
        kind, where = sources[name]
        rows.append((name, shown(value if isinstance(value, str) else json.dumps(value)), f"{kind} {where}".strip(), kind == "default"))
    widest = max(len(name) for name, *_ in rows)
    for name, value, source, default in rows:
        screen.paragraph(f"{value}  ({source})", "soft" if default else "plain", first=f"{name:<{widest}}  ", indent=" " * (widest + 2))
    return 0


def masked(name: str, value: Any) -> Any:
    """A value as it may be shown: without passwords, of what can only be a secret nothing; as JSON has it."""
    if name == "store":
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {key: _connection(each) for key, each in value.items()}
    if DECLARATIONS[name].secret:
        return None if value is None else MASK
    return value if value is None or isinstance(value, (bool, int, float, str)) else list(value) if isinstance(value, tuple) else str(value)


def _connection(connection: ConnectionSettings) -> dict[str, str]:
    given = {name: value for name, value in asdict(connection).items() if value is not None}
    return {name: without_secrets(value) if name == "broker" else value for name, value in given.items()}


def _value(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _reference(*, as_json: bool) -> None:
    if not as_json:
        print(settings_table(), end="")
        return
    print_json(
        [
            {
                "name": each.name,
                "type": each.kind.name,
                "bounds": each.kind.bounds or None,
                "default": None if each.computed else masked(each.name, each.default),
                "computed": each.computed,
                "secret": each.secret,
                "variable": each.variable,
                "meaning": each.meaning,
            }
            for each in DECLARATIONS.values()
        ]
    )
