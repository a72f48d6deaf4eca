"""`queue-metrics demo`: its command line; the work is in `queue_metrics.demo`."""

from __future__ import annotations

import argparse
import math

from queue_metrics.cli.options import checked, default

HELP = "run a real queue with real workers, and watch its jobs being counted"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the demo."""
    parser.description = (
        "Run real jobs through a real queue: they sleep, burn CPU, hold memory, fail, are retried, time out and run long. "
        "Without --jobs it runs until Ctrl-C. With --exit it ends when everything is counted, and compares that with what really ran: "
        "exit code 1 when there is a difference."
    )
    parser.add_argument("--jobs", type=_count, metavar="N", help="enqueue N jobs, then none (default: without end; 200 with --exit)")
    parser.add_argument("--exit", action="store_true", help="end when all jobs are done and counted")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object; implies --exit")
    parser.add_argument("--kill-every", type=_seconds, metavar="S", help="SIGKILL a random process of the pool about every S seconds")
    parser.add_argument("--library", choices=("huey", "celery"), default="huey", help="the job library (default: huey)")
    parser.add_argument("--broker", metavar="URL", help="redis://..., or sqlite:///FILE with Huey (default: one of its own)")
    parser.add_argument(
        "--store", metavar="URL", help="where the numbers go (default: a file of its own; QUEUE_METRICS_STORE is left alone)"
    )
    parser.add_argument(
        "--port",
        type=checked("port"),
        default=default("port"),
        metavar="P",
        help="of the page; the next free one if taken (default: %(default)s)",
    )
    parser.add_argument("--workers", type=_count, default=4, metavar="W", help="processes that execute jobs (default: 4)")
    parser.add_argument("--keep", metavar="DIR", help="keep all files of the run in DIR, which must be new or empty")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo."""
    from queue_metrics.demo import Request, run_demo

    return run_demo(
        Request(
            jobs=arguments.jobs,
            exit=arguments.exit,
            json=arguments.json,
            kill_every=arguments.kill_every,
            library=arguments.library,
            broker=arguments.broker,
            store=arguments.store,
            port=arguments.port,
            workers=arguments.workers,
            keep=arguments.keep,
        )
    )


def _count(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return number
