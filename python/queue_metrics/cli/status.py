"""`queue-metrics status`: one screen, what is wrong first."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from queue_metrics.cli.terminal import Screen, shown
from queue_metrics.config import load_settings
from queue_metrics.insights import connect
from queue_metrics.insights.health import FAILURES_FROM
from queue_metrics.insights.window import MINUTES_DEFAULT, MINUTES_MAX
from queue_metrics.insights.wording import ago, count, duration, per_minute, ratio, size, stretch
from queue_metrics.model import Overview, Snapshot, Status
from queue_metrics.storage.manager import open_store

HELP = "show on one screen how the queues, tasks and workers are, what is wrong first"

_ROWS = 12
"""Of each table: the screen is one, and the page has the rest."""
_STYLES = {Status.HEALTHY: "ok", Status.WARNING: "warning", Status.CRITICAL: "critical", Status.UNKNOWN: "soft"}
_SIGNS = {Status.HEALTHY: "✓", Status.WARNING: "!", Status.CRITICAL: "✗", Status.UNKNOWN: "?"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of status."""
    parser.add_argument("--store", metavar="URL", help="the store; default: as configured")
    parser.add_argument("--minutes", type=_minutes, default=MINUTES_DEFAULT, metavar="N", help="length of the window (default: 60)")
    parser.add_argument("--json", action="store_true", help="print one JSON object, as /v1/overview, /v1/tasks, ... answer")


def run(args: argparse.Namespace) -> int:
    """Print it; 1 when something is critical."""
    settings = load_settings(store=args.store)
    metrics = connect(open_store(settings), stale_seconds=settings.stale_seconds, lost_seconds=settings.lost_seconds)
    try:
        snapshot = metrics.snapshot(minutes=args.minutes)
    finally:
        metrics.close()
    if args.json:
        print(_json(snapshot, metrics.store))
    else:
        _show(Screen(), snapshot, metrics.store)
    return 1 if snapshot.overview.health.status is Status.CRITICAL else 0


def _minutes(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MINUTES_MAX):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MINUTES_MAX}")
    return int(text)


def _json(snapshot: Snapshot, store: str) -> str:
    from queue_metrics.http import encode

    told = {
        "store": store,
        "window": encode.window(snapshot.overview.window),
        "overview": encode.overview(snapshot.overview),
        "tasks": [encode.task(each) for each in snapshot.tasks],
        "queues": [encode.queue(each) for each in snapshot.queues],
        "workers": snapshot.workers,
    }
    return encode.dumps(told)


def _show(screen: Screen, snapshot: Snapshot, store: str) -> None:
    overview = snapshot.overview
    health = overview.health
    score = "" if health.score is None else f" {health.score}"
    screen.line(f"{_SIGNS[health.status]} {health.status.value}{score}", _STYLES[health.status])
    for reason in health.reasons:
        screen.line(f"  {_SIGNS[reason.severity]} {reason.text}", _STYLES[reason.severity])
    screen.line(f"  store {store}", "soft")
    if overview.tasks or overview.queues:
        _numbers(screen, overview)
        _queues(screen, snapshot)
        _tasks(screen, snapshot)
    else:
        screen.line("  Put two lines where your worker is set up, start it and run a job:")
        screen.line("      import queue_metrics as qm", "strong")
        screen.line("      qm.instrument(app)  # your Celery app or Huey instance", "strong")
    _workers(screen, snapshot)


def _numbers(screen: Screen, overview: Overview) -> None:
    failure, workers = overview.failure, overview.workers
    interval = "" if failure.ratio is None else f" (likely {ratio(failure.low)} to {ratio(failure.high)})"
    screen.line(
        f"  {stretch(overview.window)}: {count(overview.counts.ended)} ended, {per_minute(overview.throughput_per_second)}, "
        f"{ratio(failure.ratio)} failed{interval}, runtime p95 {duration(overview.runtime.p95)}"
    )
    oldest = (
        "" if overview.latency_queue is None else f", oldest {duration(overview.latency_seconds)} in {shown(overview.latency_queue[1])}"
    )
    screen.line(f"  waiting now: {count(overview.ready)}{oldest}; workers: {workers.busy} busy of {workers.live} live")
    if overview.lacks_collector and not any(reason.code == "no_collector" for reason in overview.health.reasons):
        screen.line(f"  {overview.collector.message}", "soft")


def _queues(screen: Screen, snapshot: Snapshot) -> None:
    rows = [
        (
            _STYLES[queue.health.status] if queue.health.status in (Status.WARNING, Status.CRITICAL) else "plain",
            (
                " · ".join(dict.fromkeys((shown(queue.queue), shown(queue.connection)))),
                queue.health.status.value if queue.health.score is None else f"{queue.health.status.value} {queue.health.score}",
                count(queue.ready),
                duration(queue.latency_seconds),
                per_minute(queue.arrivals_per_second),
                per_minute(queue.ends_per_second),
                duration(queue.wait.p95),
                ratio(queue.failure.ratio),
            ),
        )
        for queue in snapshot.queues[:_ROWS]
    ]
    _table(screen, ("QUEUE", "HEALTH", "READY", "OLDEST", "IN", "OUT", "WAIT p95", "FAILED"), rows, len(snapshot.queues))


def _tasks(screen: Screen, snapshot: Snapshot) -> None:
    rows = [
        (
            "warning" if (task.failure.low or 0.0) > FAILURES_FROM else "plain",
            (
                f"{shown(task.task)} · {shown(task.queue or '')}",
                ratio(task.capacity_ratio),
                count(task.counts.ended),
                ratio(task.failure.ratio),
                duration(task.runtime.p50),
                duration(task.runtime.p95),
                duration(task.wait.p95),
                duration(task.cpu.mean),
                size(task.memory_peak.max),
            ),
        )
        for task in snapshot.tasks[:_ROWS]
    ]
    heads = ("TASK", "TIME", "ENDED", "FAILED", "p50", "p95", "WAIT p95", "CPU", "MEMORY")
    _table(screen, heads, rows, len(snapshot.tasks))


def _workers(screen: Screen, snapshot: Snapshot) -> None:
    styles = {"lost": "critical", "stale": "warning", "busy": "ok"}
    rows = [
        (
            styles.get(worker.state, "plain"),
            (
                f"{shown(worker.host)}:{worker.pid} · {worker.role}",
                worker.state,
                "–" if worker.task is None else shown(worker.task)[:40],
                duration(worker.elapsed_seconds),
                ratio(worker.busy_ratio),
                size(worker.rss_bytes),
                count(worker.jobs),
                ago(worker.last_seen_seconds),
            ),
        )
        for worker in snapshot.workers[:_ROWS]
    ]
    _table(screen, ("WORKER", "STATE", "NOW", "FOR", "BUSY", "MEMORY", "JOBS", "SEEN"), rows, len(snapshot.workers))


def _table(screen: Screen, heads: tuple[str, ...], rows: Sequence[tuple[str, Sequence[str]]], total: int) -> None:
    if not rows:
        return
    screen.line()
    screen.table(heads, rows)
    if total > len(rows):
        screen.line(f"  and {count(total - len(rows))} more: `queue-metrics serve` shows all", "soft")
