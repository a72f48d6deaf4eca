"""`queue-metrics baselines`: what executions usually cost and how far they are from it; all in a table, or one in full."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from queue_metrics.cli.reading import add_store_options, open_metrics, tell, wrong_use
from queue_metrics.cli.terminal import Screen, placed
from queue_metrics.insights.wording import UNKNOWN, ago, count, duration, moment, ratio, size
from queue_metrics.model import Baseline, BaselineAnswer

HELP = "show what executions usually cost and which are far from that, or the baseline of one queue or task"

_HEADS = ("BASELINE", "RUNTIME", "CPU", "MEMORY", "SAMPLES", "CONFIDENCE", "DISTANCE", "MADE")
_SPARE = ("MADE", "MEMORY", "CPU", "SAMPLES")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of baselines."""
    parser.add_argument("connection", nargs="?", metavar="CONNECTION", help="with QUEUE: of this queue")
    parser.add_argument("queue", nargs="?", metavar="QUEUE", help="its name on the connection")
    parser.add_argument("task", nargs="?", metavar="TASK", help="of this task on it")
    add_store_options(parser, "a list of baselines as /v1/baselines has them, or one,")


def run(args: argparse.Namespace) -> int:
    """Print it; 1 when the one that was asked for was not calculated."""
    if args.connection is not None and args.queue is None:
        wrong_use(args, "a baseline is named by CONNECTION, QUEUE and TASK, or without TASK for the whole queue")
    from queue_metrics.http import detail_encode

    with open_metrics(args) as metrics:
        collector = metrics.collector()
        if args.queue is None:
            entries = [(each.baseline, each) for each in metrics.baselines() if each.baseline is not None]
            told = [detail_encode.baseline(baseline.labels, each) for baseline, each in entries]
            none = None if entries else f"No baseline is known. {collector.message}"
            tell(args, collector, lambda: told, lambda screen: _list(screen, entries, none), said=none)
            return 0
        answer = metrics.baseline(args.connection, args.queue, args.task)
    labels = (args.connection, args.queue) if args.task is None else (args.connection, args.queue, args.task)
    name = placed(args.task, args.queue, args.connection)
    tell(
        args,
        collector,
        lambda: detail_encode.baseline(labels, answer),
        lambda screen: _detail(screen, name, answer),
        said=answer.message,
    )
    return 0 if answer.available else 1


def _list(screen: Screen, entries: Sequence[tuple[Baseline, BaselineAnswer]], none: str | None) -> None:
    if none is not None:
        screen.paragraph(none, first="", indent="")
        return
    rows = [
        (
            "warning" if answer.deviation.deviates else "plain" if answer.reliable else "soft",
            (
                placed("whole queue" if baseline.task is None else baseline.task, baseline.queue),
                duration(baseline.duration_seconds),
                ratio(baseline.cpu_ratio),
                size(baseline.memory_bytes),
                count(baseline.sample_count),
                f"{baseline.confidence:.2f}",
                _distance(answer),
                ago(answer.age_seconds),
            ),
        )
        for baseline, answer in entries
    ]
    screen.listing(_HEADS, rows, len(rows), spare=_SPARE)


def _detail(screen: Screen, name: str, answer: BaselineAnswer) -> None:
    screen.line(name, "warning" if answer.deviation.deviates else "strong")
    baseline = answer.baseline
    if baseline is None:
        screen.paragraph(answer.message)
        return
    words = [
        "reliable" if answer.reliable else "not reliable yet",
        *(["needs more executions"] if answer.needs_more_samples else []),
        *([] if answer.recent else ["older than a day"]),
    ]
    deviation = answer.deviation
    scores = (("runtime", deviation.duration_score), ("CPU", deviation.cpu_score), ("memory", deviation.memory_score))
    screen.fields(
        [
            ("runtime", _with_error(duration, baseline.duration_seconds, baseline.duration_error_seconds)),
            ("CPU", f"{_with_error(ratio, baseline.cpu_ratio, baseline.cpu_error)} of a core"),
            ("memory", _with_error(size, baseline.memory_bytes, baseline.memory_error_bytes)),
            ("made of", f"{count(baseline.sample_count)} executions, confidence {baseline.confidence:.2f}: {', '.join(words)}"),
            ("made at", f"{moment(baseline.calculated_at)}, {ago(answer.age_seconds)}; again after {answer.next_interval_minutes} min"),
            ("deviation", deviation.message),
            ("in spreads", ", ".join(f"{label} {_score(score)}" for label, score in scores) + f"; {deviation.threshold:g} and more is far"),
        ]
    )


def _with_error(words: Callable[[float | None], str], number: float | None, error: float | None) -> str:
    return words(number) if error is None else f"{words(number)} ± {words(error)}"


def _distance(answer: BaselineAnswer) -> str:
    return _score(answer.deviation.score)


def _score(score: float | None) -> str:
    return UNKNOWN if score is None else f"{score:.1f}"
