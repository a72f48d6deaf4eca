"""`queue-metrics status`: one screen, what is wrong first."""

from __future__ import annotations

import argparse
from collections import Counter

from queue_metrics.cli import queues, tasks, workers
from queue_metrics.cli.reading import add_store_options, add_window_options, open_metrics, print_json, window_of
from queue_metrics.cli.terminal import SIGNS, STYLES, Screen, rows_that_fit, shown
from queue_metrics.insights.wording import count, duration, per_minute, ratio, stretch
from queue_metrics.model import Overview, Snapshot, Status

HELP = "show on one screen how the queues, tasks and workers are, what is wrong first"

_REASONS = 3
"""Kinds of reasons on a screen of 24 lines, each of two lines at most, so that the tables find room."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of status."""
    add_store_options(parser, "one object, as /v1/overview, /v1/tasks, ... answer,")
    add_window_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print it; 1 when something is critical."""
    window = window_of(args)
    with open_metrics(args) as metrics:
        snapshot = metrics.snapshot(**window)
    if args.json:
        print_json(_told(snapshot, metrics.store))
    else:
        _show(Screen(), snapshot, metrics.store)
    return 1 if snapshot.overview.health.status is Status.CRITICAL else 0


def _told(snapshot: Snapshot, store: str) -> dict[str, object]:
    from queue_metrics.http import encode

    return {
        "store": store,
        "window": encode.window(snapshot.overview.window),
        "overview": encode.overview(snapshot.overview),
        "tasks": [encode.task(each) for each in snapshot.tasks],
        "queues": [encode.queue(each) for each in snapshot.queues],
        "workers": snapshot.workers,
    }


def _show(screen: Screen, snapshot: Snapshot, store: str) -> None:
    overview = snapshot.overview
    health = overview.health
    score = "" if health.score is None else f" {health.score}"
    screen.line(f"{SIGNS[health.status]} {health.status.value}{score}", STYLES[health.status])
    most = _REASONS + max(screen.height - 24, 0) // 4
    kinds = Counter(reason.code for reason in health.reasons)
    first = list({reason.code: reason for reason in reversed(health.reasons)}.values())[::-1]
    for reason in first[:most]:
        alike = f" So it is with {count(kinds[reason.code] - 1)} more." if kinds[reason.code] > 1 else ""
        screen.paragraph(reason.text + alike, STYLES[reason.severity], first=f"  {SIGNS[reason.severity]} ", indent="    ", most=2)
    if len(first) > most:
        screen.paragraph(f"and {len(first) - most} more: `queue-metrics status --json` has all", "soft")
    screen.line(f"  store {store}", "soft")
    if overview.tasks or overview.queues:
        _numbers(screen, overview)
        # Whole, since it ends with the command; not again where it is among the reasons above.
        if overview.lacks_collector and not any(reason.code == "no_collector" for reason in first[:most]):
            screen.paragraph(overview.collector.message, "soft")
    else:
        screen.line("  Put two lines where your worker is set up, start it and run a job:")
        screen.line("      import queue_metrics as qm", "strong")
        screen.line("      qm.instrument(app)  # your Celery app or Huey instance", "strong")
    wanted = [len(snapshot.queues), len(snapshot.tasks), len(snapshot.workers)]
    # One line is left for the prompt.
    of_queues, of_tasks, of_workers = rows_that_fit(wanted, screen.height - 1 - screen.printed)
    if of_queues:
        screen.line()
        queues.show(screen, snapshot.queues, of_queues)
    if of_tasks:
        screen.line()
        tasks.show(screen, snapshot.tasks, of_tasks)
    if of_workers:
        screen.line()
        workers.show(screen, snapshot.workers, of_workers)


def _numbers(screen: Screen, overview: Overview) -> None:
    failure, workers = overview.failure, overview.workers
    interval = "" if failure.ratio is None else f" (likely {ratio(failure.low)} to {ratio(failure.high)})"
    screen.paragraph(
        f"{stretch(overview.window)}: {count(overview.counts.ended)} ended, {per_minute(overview.throughput_per_second)}, "
        f"{ratio(failure.ratio)} failed{interval}, runtime p95 {duration(overview.runtime.p95)}"
    )
    oldest = (
        "" if overview.latency_queue is None else f", oldest {duration(overview.latency_seconds)} in {shown(overview.latency_queue[1])}"
    )
    screen.paragraph(f"waiting now: {count(overview.ready)}{oldest}; workers: {workers.busy} busy of {workers.live} live")
