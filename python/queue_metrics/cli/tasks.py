"""`queue-metrics tasks`: every task in a table, most run time first; or one in full."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from queue_metrics.cli.details import outcomes, share, spread, when
from queue_metrics.cli.reading import add_store_options, add_window_options, open_metrics, tell, window_of, wrong_use
from queue_metrics.cli.terminal import Screen, placed, shown
from queue_metrics.insights.health import FAILURES_FROM
from queue_metrics.insights.wording import UNKNOWN, count, duration, per_minute, ratio, size, stretch
from queue_metrics.model import TaskAnswer, TaskDetail

HELP = "show what every task costs, most run time first, or one task in full"

_HEADS = ("TASK", "TIME", "ENDED", "FAILED", "p50", "p95", "WAIT p95", "CPU", "MEMORY")
_SPARE = ("p50", "WAIT p95", "CPU", "MEMORY", "TIME")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of tasks."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="this one in full, over all its queues together and apart")
    parser.add_argument("--queue", metavar="NAME", help="with NAME: on this queue only")
    parser.add_argument("--connection", metavar="NAME", help="with NAME: on this connection only")
    add_store_options(parser, "a list of tasks as /v1/tasks has them, or one as /v1/tasks/NAME has it,")
    add_window_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    window = window_of(args)
    if args.name is None and (args.queue is not None or args.connection is not None):
        wrong_use(args, "--queue and --connection say where one task runs: give its NAME too")
    from queue_metrics.http import detail_encode, encode

    with open_metrics(args) as metrics:
        collector = metrics.collector()
        if args.name is None:
            answers = metrics.tasks(**window)
            tell(args, collector, lambda: [encode.task(each) for each in answers], lambda screen: _list(screen, answers))
        else:
            detail = metrics.task(args.name, queue=args.queue, connection=args.connection, **window)
            tell(args, collector, lambda: detail_encode.task_detail(detail), lambda screen: _detail(screen, detail))
    return 0


def _list(screen: Screen, answers: Sequence[TaskAnswer]) -> None:
    if answers:
        show(screen, answers)
    else:
        screen.line("No task was ever recorded in this store.")


def show(screen: Screen, answers: Sequence[TaskAnswer], most: int | None = None) -> None:
    """A table of them."""
    rows = [("warning" if (each.failure.low or 0.0) > FAILURES_FROM else "plain", _row(each)) for each in answers[:most]]
    screen.listing(_HEADS, rows, len(answers), spare=_SPARE)


def _row(task: TaskAnswer) -> tuple[str, ...]:
    return (
        placed(task.task, task.queue),
        ratio(task.capacity_ratio),
        count(task.counts.ended),
        ratio(task.failure.ratio),
        duration(task.runtime.p50),
        duration(task.runtime.p95),
        duration(task.wait.p95),
        duration(task.cpu.mean),
        size(task.memory_peak.max),
    )


def _detail(screen: Screen, task: TaskDetail) -> None:
    verdict = {None: "nothing was decided in the window", True: "fewer than 5 % fail", False: "5 % or more fail"}[task.healthy]
    screen.line(f"{shown(task.task)}: {verdict}", "warning" if task.healthy is False else "strong")
    exceptions = [f"{shown(each.type)} {count(each.n)} ({count(each.lifetime)} ever)" for each in task.exceptions]
    lifetime = task.lifetime.counts
    busy = UNKNOWN if task.busy_workers is None else f"{task.busy_workers:.2f}"
    screen.fields(
        [
            ("window", stretch(task.window)),
            ("in", f"{count(task.counts.arrivals)} jobs"),
            ("out", f"{count(task.counts.ended)} executions, {per_minute(task.throughput_per_second)}"),
            *outcomes(task),
            ("retries", f"{count(task.retries)} followed by another attempt"),
            ("runtime", spread(task.runtime)),
            ("wait", spread(task.wait)),
            ("CPU time", spread(task.cpu)),
            ("memory peak", spread(task.memory_peak)),
            ("change", spread(task.memory_change)),
            (
                "workers",
                f"{busy} kept busy, {ratio(task.capacity_ratio)} of all run time",
            ),
            ("succeeded", when(task.last_processed)),
            ("failed last", when(task.last_failed)),
            ("exceptions", ", ".join(exceptions) or "none"),
            ("ever", f"{count(lifetime.started)} started, {count(lifetime.ended)} ended, succeeded {share(task.lifetime_success)}"),
        ]
    )
    if len(task.by_queue) > 1:
        screen.line()
        show(screen, task.by_queue)
    if task.by_server:
        screen.line()
        rows = [
            ("plain", (shown(each.server), count(each.counts.ended), ratio(each.failure.ratio), duration(each.runtime.mean)))
            for each in task.by_server
        ]
        screen.table(("SERVER, EVER", "ENDED", "FAILED", "RUNTIME"), rows)
