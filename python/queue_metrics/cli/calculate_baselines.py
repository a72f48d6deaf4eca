"""`queue-metrics calculate-baselines`: what tasks and queues usually cost, calculated now."""

from __future__ import annotations

import argparse
import time

from queue_metrics.config import load_settings
from queue_metrics.storage.manager import open_store

HELP = "calculate baselines of the queues that are due, or of those that are named"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="URL", help="the store; default: as configured")
    parser.add_argument("--connection", metavar="NAME", help="the queues of this connection, due or not")
    parser.add_argument("--queue", metavar="NAME", help="this queue alone; needs --connection")
    parser.add_argument("--dry-run", action="store_true", help="say what comes out, and write nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """1 when a queue is named of which nothing is known."""
    from queue_metrics.cli.calculate import check_names
    from queue_metrics.cli.terminal import Screen, progress, shown
    from queue_metrics.collector.baselines import calculate_now
    from queue_metrics.http.encode import dumps
    from queue_metrics.insights.changes import original_baseline

    check_names(args)
    driver = open_store(load_settings(store=args.store))
    begun = time.monotonic()
    try:
        with progress(quiet=args.json) as say:
            say("calculating")
            found = calculate_now(driver, connection=args.connection, queue=args.queue, dry_run=args.dry_run)
    finally:
        driver.close()
    baselines = [each.baseline for each in found.calculated]
    mean = round(sum(each.confidence for each in baselines) / len(baselines), 2) if baselines else None
    told = {
        "count": len(baselines),
        "mean_confidence": mean,
        "duration_ms": round((time.monotonic() - begun) * 1000, 2),
        "next_interval_minutes": found.next_minutes,
        "written": bool(baselines) and not args.dry_run,
        "baselines": [{**original_baseline(each.baseline), "significant_change": each.significant_change} for each in found.calculated],
    }
    if args.json:
        print(dumps(told))
    else:
        screen = Screen()
        trial = " (a trial: nothing was written)" if args.dry_run else ""
        confidence = "" if mean is None else f", mean confidence {mean}"
        screen.line(f"{len(baselines)} baselines in {told['duration_ms']} ms{confidence}{trial}")
        if found.next_minutes is not None:
            screen.line(f"  the next queue is due in {found.next_minutes} min", "soft")
        rows = [
            (
                "warning" if each.significant_change else "plain",
                (
                    " · ".join(map(shown, each.baseline.labels[1:])),
                    f"{each.baseline.duration_seconds * 1000:.1f}",
                    f"{each.baseline.sample_count}",
                    f"{each.baseline.confidence}",
                ),
            )
            for each in found.calculated
        ]
        if rows:
            screen.table(("QUEUE, TASK", "MEAN ms", "EXECUTIONS", "CONFIDENCE"), rows)
    return 1 if args.connection is not None and not baselines else 0
