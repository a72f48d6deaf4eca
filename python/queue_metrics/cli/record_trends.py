"""`queue-metrics record-trends`: one pass of the collector, for cron."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from queue_metrics.config import load_settings
from queue_metrics.storage.manager import open_store

HELP = "keep this minute of servers, workers, baselines and events, unless it is kept already"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="URL", help="the store; default: as configured")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Always 0: what another collector does need not be done twice."""
    from queue_metrics.cli.terminal import Screen, progress
    from queue_metrics.collector import Ages, once
    from queue_metrics.http.encode import dumps

    settings = load_settings(store=args.store)
    driver = open_store(settings)
    try:
        with progress(quiet=args.json) as say:
            ages = Ages(settings.stale_seconds, settings.lost_seconds)
            answer = once(driver, ages=ages, duties=settings.duties, dry_run=args.dry_run, settings=settings, progress=say)
    finally:
        driver.close()
    if answer is None:
        text = "another collector has the lease, and does it"
        print(dumps({"done": False, "message": text}) if args.json else text)
        return 0
    if args.json:
        print(dumps(asdict(answer)))
        return 0
    screen = Screen()
    screen.line(f"{answer.message} ({answer.seconds:.2f} s, {answer.requests} requests to {driver.url})", "ok" if answer.done else "soft")
    screen.line(
        f"  looked at {answer.queues} queues, {answer.workers} processes, {answer.servers} servers; "
        f"baselines: {answer.baselines} calculated, {answer.forgotten} forgotten"
    )
    if answer.asked or answer.away:
        screen.line(f"  brokers told the depth of {answer.asked} queues")
    for connection, why in sorted(answer.away.items()):
        screen.paragraph(f"connection {connection} was not asked: {why}", "warning")
    if answer.spool:
        screen.paragraph(answer.spool, "warning")
    for kind, number in sorted(answer.events.items()):
        screen.line(f"  {number} x {kind}")
    sys.stdout.flush()
    return 0
