"""`queue-metrics cleanup`: removes what has expired at once, where a database does not do it by itself."""

from __future__ import annotations

import argparse

from queue_metrics.config import load_settings
from queue_metrics.storage.manager import open_store

HELP = "remove what has expired; workers do it too, each minute a little"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="URL", help="the store; default: as configured")
    parser.add_argument("--chunk", type=_chunk, default=1000, metavar="N", help="entries to remove at once (default: 1000)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Always 0."""
    from queue_metrics.cli.terminal import Screen, progress
    from queue_metrics.collector.tidying import sweep
    from queue_metrics.http.encode import dumps

    driver = open_store(load_settings(store=args.store))
    try:
        with progress(quiet=args.json) as say:
            removed = sweep(driver, chunk=args.chunk, progress=say)
    finally:
        driver.close()
    if args.json:
        print(dumps(removed))
    else:
        Screen().line(f"{removed['expired']} expired entries and {removed['baselines']} old baselines removed")
    return 0


def _chunk(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 100_000):
        raise argparse.ArgumentTypeError("must be a whole number from 1 to 100000")
    return int(text)
