"""`queue-metrics workers`: every process with a heartbeat in a table, those that need a look first; or one in full."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType

from queue_metrics.cli.reading import add_store_options, open_metrics, tell
from queue_metrics.cli.terminal import Screen, fitted, placed, shown
from queue_metrics.insights.wording import UNKNOWN, ago, count, duration, ratio, size
from queue_metrics.model import WorkerAnswer

HELP = "show every process with a heartbeat, what needs a look first, or one process in full"

_HEADS = ("WORKER", "STATE", "NOW", "FOR", "BUSY", "MEMORY", "JOBS", "SEEN")
_SPARE = ("MEMORY", "BUSY", "JOBS", "SEEN", "FOR")
_STYLES: Mapping[str, str] = MappingProxyType({"lost": "critical", "stale": "warning", "busy": "ok"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of workers."""
    parser.add_argument("id", nargs="?", metavar="ID", help="this one in full; host:pid is enough where it is the only one")
    add_store_options(parser, "a list of processes as /v1/workers has them, or one,")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    with open_metrics(args) as metrics:
        answers, collector = metrics.workers(), metrics.collector()
        if args.id is None:
            tell(args, collector, lambda: answers, lambda screen: _list(screen, answers))
        else:
            alike = [each for each in answers if f"{each.host}:{each.pid}" == args.id]
            answer = alike[0] if len(alike) == 1 else metrics.worker(args.id)
            tell(args, collector, lambda: asdict(answer), lambda screen: _detail(screen, answer))
    return 0


def _list(screen: Screen, answers: Sequence[WorkerAnswer]) -> None:
    if answers:
        show(screen, answers)
    else:
        screen.line("No process has a heartbeat in this store: none records now, and none did lately.")


def show(screen: Screen, answers: Sequence[WorkerAnswer], most: int | None = None) -> None:
    """A table of them."""
    rows = [("warning" if each.stuck else _STYLES.get(each.state, "plain"), _row(each)) for each in answers[:most]]
    screen.listing(_HEADS, rows, len(answers), spare=_SPARE)


def _row(worker: WorkerAnswer) -> tuple[str, ...]:
    return (
        f"{shown(worker.host)}:{worker.pid} · {worker.role}",
        "stuck" if worker.stuck else worker.state,
        UNKNOWN if worker.task is None else fitted(shown(worker.task), 24),
        duration(worker.elapsed_seconds),
        ratio(worker.busy_ratio),
        size(worker.rss_bytes),
        count(worker.jobs),
        ago(worker.last_seen_seconds),
    )


def _detail(screen: Screen, worker: WorkerAnswer) -> None:
    screen.line(f"{shown(worker.id)}: {worker.state}", _STYLES.get(worker.state, "strong"))
    if worker.stuck:
        screen.paragraph(worker.stuck_reason or "stuck", "warning", first="  ! ", indent="    ")
    cpu = f" ({worker.cpu_reason})" if worker.cpu_ratio is None and worker.cpu_reason else ""
    since = "" if worker.since_state_seconds is None else f" for {duration(worker.since_state_seconds)}"
    screen.fields(
        [
            ("state", f"{worker.state}{since}, last seen {ago(worker.last_seen_seconds)}"),
            ("role", worker.role),
            ("serves", placed(worker.queue or None, worker.connection or None) or UNKNOWN),
            ("now", UNKNOWN if worker.task is None else f"{shown(worker.task)} for {duration(worker.elapsed_seconds)}"),
            ("job", UNKNOWN if worker.job_id is None else shown(worker.job_id)),
            ("running", count(worker.running)),
            ("jobs", f"{count(worker.jobs)} finished, {count(worker.failures)} of them failed"),
            ("busy", f"{ratio(worker.busy_ratio)} of its life, {ratio(worker.utilisation_ratio)} of the last minutes"),
            ("memory", f"{size(worker.rss_bytes)}, at most {size(worker.rss_peak_bytes)}"),
            ("CPU", f"{ratio(worker.cpu_ratio)} of a core{cpu}, {duration(worker.cpu_seconds)} in all"),
            ("age", duration(worker.uptime_seconds)),
        ]
    )
