"""`queue-metrics calculate`: each queue in the last minute, and its health; nothing is to be stored, the workers have."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from queue_metrics.cli.reading import open_metrics, tell
from queue_metrics.cli.terminal import Screen, shown
from queue_metrics.errors import ConfigurationError
from queue_metrics.model import QueueAnswer
from queue_metrics.storage.base import MINUTE

HELP = "show what the last minute of each queue comes to, from the points that its workers stored"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="URL", help="the store; default: as configured")
    parser.add_argument("--connection", metavar="NAME", help="of this connection alone")
    parser.add_argument("--queue", metavar="NAME", help="this queue alone; needs --connection")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """1 when nothing of that name was ever recorded."""
    check_names(args)
    with open_metrics(args) as metrics:
        collector = metrics.collector()
        answers = [metrics.queue(args.connection, args.queue)] if args.queue is not None else list(metrics.queues())
    rows = [_row(answer) for answer in answers if args.connection in (None, answer.connection)]
    tell(args, collector, lambda: {"queues": rows}, lambda screen: _show(screen, args.connection, rows))
    return 1 if args.connection is not None and not rows else 0


def _show(screen: Screen, connection: str | None, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        screen.line(f"No queue {'' if connection is None else f'of {shown(connection)} '}was ever recorded in this store.")
        return
    heads = ("QUEUE", "HEALTH", "READY", "A MINUTE", "MEAN ms", "FAILED %", "PROCESSED")
    cells = ("status", "ready", "throughput_per_minute", "avg_duration", "failure_rate", "total_processed")
    table = [
        ("plain", (shown(f"{row['queue']} · {row['connection']}"), *("–" if row[name] is None else f"{row[name]}" for name in cells)))
        for row in rows
    ]
    screen.table(heads, table)


def check_names(args: argparse.Namespace) -> None:
    """
    A queue is known by its connection too.

    Raises:
        ConfigurationError: it is not given.
    """
    if args.queue is not None and args.connection is None:
        raise ConfigurationError("--queue needs --connection: two connections may each have a queue of this name")


def _row(answer: QueueAnswer) -> dict[str, Any]:
    """Row 35 of the original, with its names and units: the numbers of its endpoints."""
    from queue_metrics.http.original.jobs import ended_per, execution
    from queue_metrics.http.original.units import iso_if_known, milliseconds

    counted, last = execution(answer.lifetime.counts), answer.last_processed
    return {
        "connection": answer.connection,
        "queue": answer.queue,
        "status": answer.health.status.value,
        "score": answer.health.score,
        "ready": answer.ready,
        "throughput_per_minute": ended_per(answer.minute, MINUTE),
        "avg_duration": milliseconds(answer.minute.mean_runtime_seconds),
        "failure_rate": counted["failure_rate"],
        "total_processed": counted["total_processed"],
        "total_failed": counted["total_failed"],
        "last_processed_at": iso_if_known(None if last is None else last.at),
    }
