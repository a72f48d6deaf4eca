"""`queue-metrics cleanup-stale-workers`: forgets workers that are gone."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from queue_metrics.cli.options import checked, default
from queue_metrics.config import load_settings
from queue_metrics.storage.manager import open_store

HELP = "forget workers that have not been heard of for long; one that beats again is there again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="URL", help="the store; default: as configured")
    parser.add_argument(
        "--threshold",
        type=checked("lost_seconds"),
        metavar="S",
        help=f"seconds; default: lost_seconds as configured, else {default('lost_seconds'):g}",
    )
    parser.add_argument("--dry-run", action="store_true", help="say who would be forgotten, and forget nobody")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Always 0."""
    from queue_metrics.cli.terminal import Screen, shown
    from queue_metrics.collector.tidying import remove_silent
    from queue_metrics.http.encode import dumps
    from queue_metrics.insights.wording import ago

    settings = load_settings(store=args.store)
    threshold = settings.lost_seconds if args.threshold is None else args.threshold
    driver = open_store(settings)
    try:
        found = remove_silent(driver, threshold, dry_run=args.dry_run)
    finally:
        driver.close()
    if args.json:
        print(dumps({"count": len(found), "threshold_seconds": threshold, "workers": [asdict(each) for each in found]}))
    else:
        screen = Screen()
        done = "would be forgotten" if args.dry_run else "forgotten"
        screen.line(f"{len(found)} processes {done}, silent for more than {threshold:g} s")
        for each in found:
            screen.line(f"  {shown(each.id)} {each.state}, last heard {ago(each.last_seen_seconds)}, {each.jobs} jobs")
    return 0
