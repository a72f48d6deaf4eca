"""`queue-metrics queues`: every queue in a table, worst first; or one in full."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from queue_metrics.cli.details import outcomes, spread
from queue_metrics.cli.reading import add_store_options, add_window_options, open_metrics, tell, window_of, wrong_use
from queue_metrics.cli.terminal import SIGNS, STYLES, Screen, placed
from queue_metrics.insights.wording import ago, count, duration, per_minute, ratio, stretch
from queue_metrics.model import QueueAnswer, Status

HELP = "show depth, age, flow and wait of every queue, worst first, or one queue in full"

_HEADS = ("QUEUE", "HEALTH", "READY", "OLDEST", "IN", "OUT", "WAIT p95", "FAILED")
_SPARE = ("WAIT p95", "IN", "FAILED", "OUT", "OLDEST")
_COLOURED = (Status.WARNING, Status.CRITICAL)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of queues."""
    parser.add_argument("connection", nargs="?", metavar="CONNECTION", help="with QUEUE: this one in full")
    parser.add_argument("queue", nargs="?", metavar="QUEUE", help="its name on the connection")
    add_store_options(parser, "a list of queues as /v1/queues has them, or one as /v1/queues/CONNECTION/QUEUE has it,")
    add_window_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print it; 1 when what is shown is critical."""
    window = window_of(args)
    if args.connection is not None and args.queue is None:
        wrong_use(args, "one queue is named by CONNECTION and QUEUE; without both, all are listed")
    from queue_metrics.http import detail_encode, encode

    with open_metrics(args) as metrics:
        collector = metrics.collector()
        if args.queue is None:
            answers = metrics.queues(**window)
            tell(args, collector, lambda: [encode.queue(each) for each in answers], lambda screen: _list(screen, answers))
        else:
            answers = (metrics.queue(args.connection, args.queue, **window),)
            tell(args, collector, lambda: detail_encode.queue_detail(answers[0]), lambda screen: _detail(screen, answers[0]))
    return 1 if any(each.health.status is Status.CRITICAL for each in answers) else 0


def _list(screen: Screen, answers: Sequence[QueueAnswer]) -> None:
    if answers:
        show(screen, answers)
    else:
        screen.line("No queue was ever recorded in this store.")


def show(screen: Screen, answers: Sequence[QueueAnswer], most: int | None = None) -> None:
    """A table of them."""
    rows = [(STYLES[each.health.status] if each.health.status in _COLOURED else "plain", _row(each)) for each in answers[:most]]
    screen.listing(_HEADS, rows, len(answers), spare=_SPARE)


def _row(queue: QueueAnswer) -> tuple[str, ...]:
    return (
        placed(queue.queue, queue.connection),
        health_word(queue),
        count(queue.ready),
        duration(queue.latency_seconds),
        per_minute(queue.arrivals_per_second),
        per_minute(queue.ends_per_second),
        duration(queue.wait.p95),
        ratio(queue.failure.ratio),
    )


def health_word(queue: QueueAnswer) -> str:
    """The status, and the score where there is one."""
    return queue.health.status.value if queue.health.score is None else f"{queue.health.status.value} {queue.health.score}"


def _detail(screen: Screen, queue: QueueAnswer) -> None:
    status = queue.health.status
    screen.line(f"{SIGNS[status]} {placed(queue.queue, queue.connection)}: {health_word(queue)}", STYLES[status])
    for reason in queue.health.reasons:
        screen.paragraph(reason.text, STYLES[reason.severity], first=f"  {SIGNS[reason.severity]} ", indent="    ")
    asked = f" ({queue.depth_reason})" if queue.depth_reason else f" (asked {ago(queue.depth_age_seconds)})"
    minute, workers = queue.minute, f"{ratio(queue.busy_ratio)} busy now, {ratio(queue.utilisation_ratio)} used in the window"
    lately = f"{ratio(minute.failure.ratio)} failed, mean runtime {duration(minute.mean_runtime_seconds)}"
    screen.fields(
        [
            ("window", stretch(queue.window)),
            ("ready", count(queue.ready) + asked),
            ("reserved", count(queue.reserved)),
            ("scheduled", count(queue.scheduled)),
            ("running", count(queue.running)),
            ("oldest", duration(queue.latency_seconds)),
            ("in", f"{count(queue.counts.arrivals)} jobs, {per_minute(queue.arrivals_per_second)}"),
            ("begun", f"{count(queue.counts.started)} executions, {per_minute(queue.starts_per_second)}"),
            ("out", f"{count(queue.counts.ended)} executions, {per_minute(queue.ends_per_second)}"),
            (
                "last minute",
                f"{count(minute.n)} ended, {lately}",
            ),
            *outcomes(queue),
            ("wait", spread(queue.wait)),
            ("runtime", spread(queue.runtime)),
            (
                "workers",
                f"{count(queue.workers)} live, {workers}",
            ),
            ("ever", f"{count(queue.lifetime.counts.arrivals)} jobs, {count(queue.lifetime.counts.ended)} executions ended"),
        ]
    )
