"""`queue-metrics detect-stale-workers`: which workers have gone quiet."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from queue_metrics.cli.options import checked, default
from queue_metrics.config import load_settings
from queue_metrics.storage.manager import open_store

HELP = "say which workers have gone quiet or are lost; changes nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="URL", help="the store; default: as configured")
    parser.add_argument(
        "--threshold",
        type=checked("stale_seconds"),
        metavar="S",
        help=f"seconds; default: stale_seconds as configured, else {default('stale_seconds'):g}",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """1 when there is any."""
    from queue_metrics.cli.terminal import Screen, shown
    from queue_metrics.collector.tidying import silent_workers
    from queue_metrics.http.encode import dumps
    from queue_metrics.insights.wording import ago

    settings = load_settings(store=args.store)
    threshold = settings.stale_seconds if args.threshold is None else args.threshold
    driver = open_store(settings)
    try:
        found = silent_workers(driver, threshold)
    finally:
        driver.close()
    if args.json:
        print(dumps({"count": len(found), "threshold_seconds": threshold, "workers": [asdict(each) for each in found]}))
    else:
        screen = Screen()
        screen.line(f"{len(found)} processes silent for more than {threshold:g} s, or seen to be gone", "warning" if found else "ok")
        for each in found:
            screen.line(f"  {shown(each.id)} {each.state}, last heard {ago(each.last_seen_seconds)}, {each.jobs} jobs")
    return 1 if found else 0
