"""`queue-metrics trend`: where a depth, a throughput or the efficiency of the workers is heading."""

from __future__ import annotations

import argparse
import time

from queue_metrics.cli.options import whole_number
from queue_metrics.cli.reading import add_range_options, add_store_options, open_metrics, tell, wrong_use
from queue_metrics.cli.terminal import Screen, placed, spark
from queue_metrics.insights.trend_question import (
    INTERVAL_DEFAULT,
    INTERVAL_LEAST,
    INTERVAL_MOST,
    PERIOD_DEFAULT,
    PERIOD_LEAST,
    PERIOD_MOST,
    AskedTrend,
    question,
)
from queue_metrics.insights.wording import UNKNOWN, count, duration, moment, per_minute, ratio
from queue_metrics.model import (
    DepthStatistics,
    DepthTrend,
    Direction,
    EfficiencyStatistics,
    EfficiencyTrend,
    NoTrend,
    ThroughputStatistics,
    ThroughputTrend,
)

HELP = "show where the depth or throughput of a queue, or the efficiency of all workers, is heading"

KINDS = ("depth", "throughput", "efficiency")
_UNITS = {"depth": "jobs", "throughput": "executions", "efficiency": "points"}

Answer = DepthTrend | ThroughputTrend | EfficiencyTrend | NoTrend


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of trend."""
    parser.add_argument("kind", choices=KINDS, help="of what")
    parser.add_argument("connection", nargs="?", metavar="CONNECTION", help="of depth and throughput: of which queue")
    parser.add_argument("queue", nargs="?", metavar="QUEUE", help="its name on the connection")
    parser.add_argument(
        "--period",
        type=whole_number(PERIOD_LEAST, PERIOD_MOST),
        metavar="S",
        help=f"seconds to look back (default: {PERIOD_DEFAULT})",
    )
    add_range_options(parser)
    parser.add_argument(
        "--interval",
        type=whole_number(INTERVAL_LEAST, INTERVAL_MOST),
        default=INTERVAL_DEFAULT,
        metavar="S",
        help="seconds from one point to the next (default: 60)",
    )
    add_store_options(parser, "the trend as /v1/trends/... has it")


def run(args: argparse.Namespace) -> int:
    """Print it; 1 when there is no answer."""
    if (args.kind == "efficiency") == (args.connection is not None) or (args.connection is None) != (args.queue is None):
        needs = "is of all workers: it takes no names" if args.kind == "efficiency" else "needs CONNECTION and QUEUE"
        wrong_use(args, f"the trend of {args.kind} {needs}")
    when = AskedTrend(interval_seconds=args.interval)
    if args.period is not None:
        when["period_seconds"] = args.period
    if args.start is not None:
        when["start"] = args.start
    if args.end is not None:
        when["end"] = args.end
    try:
        question(time.time(), **when)
    except ValueError as error:
        wrong_use(args, str(error))
    from queue_metrics.http import detail_encode

    with open_metrics(args) as metrics:
        answer: Answer
        if args.kind == "depth":
            answer = metrics.trend(args.connection, args.queue, **when)
        elif args.kind == "throughput":
            answer = metrics.throughput(args.connection, args.queue, **when)
        else:
            answer = metrics.efficiency(**when)
        collector = metrics.collector()
    tell(args, collector, lambda: detail_encode.trend(answer), lambda screen: _show(screen, args.kind, answer), said=answer.message)
    return 0 if answer.available else 1


def _show(screen: Screen, kind: str, answer: Answer) -> None:
    name = "of all workers" if answer.queue is None else f"of {placed(answer.queue, answer.connection)}"
    verdict = answer.verdict
    word = verdict.direction.value if answer.available else "no answer"
    style = "warning" if verdict.direction is Direction.GROWING and kind == "depth" else "strong"
    seen = answer.time_window
    over = seen.window_end < seen.analyzed_at
    when = f"{moment(seen.window_start)} to {moment(seen.window_end)}" if over else f"last {duration(float(answer.period_seconds))}"
    screen.line(f"{kind} {name}, {when}: {word}", style)
    if answer.message:
        screen.paragraph(answer.message)
    if not answer.available:
        return
    if answer.values:
        screen.line(f"  {spark(answer.values, screen.width - 4)}", "soft")
    unit = _UNITS[kind]
    pairs = [("why", verdict.reason)]
    if verdict.probability is not None:
        pairs.append(("grows", f"with a probability of {ratio(verdict.probability)}"))
    if verdict.slope_per_second is not None:
        low, high = _hourly(verdict.slope_low), _hourly(verdict.slope_high)
        pairs.append(("slope", f"{_hourly(verdict.slope_per_second)} {unit} an hour (90 % interval: {low} to {high})"))
    pairs.append(("evidence", f"{count(verdict.n)} seen, worth {verdict.effective_n:.1f} independent ones"))
    pairs += _statistics(answer, "at last" if over else "now")
    if answer.forecast is not None:
        pairs.append(("next", f"{answer.forecast.next_value:g} at {moment(answer.forecast.next_timestamp)}, by a straight line"))
    screen.fields(pairs)


def _statistics(answer: Answer, last: str) -> list[tuple[str, str]]:
    found = answer.statistics
    if isinstance(found, DepthStatistics):
        text = f"{count(found.current)} {last}, {found.average:g} on average, {count(found.min)} to {count(found.max)}"
        return [("jobs", text)]
    if isinstance(found, ThroughputStatistics):
        observed = duration(float(found.observed_seconds))
        return [("executions", f"{count(found.total_jobs)} in {observed}, {per_minute(found.jobs_per_second)}")]
    if isinstance(found, EfficiencyStatistics):
        return [("busy", f"{found.current:g} % {last}, {found.average:g} % on average, {found.min:g} % to {found.max:g} %")]
    return []


def _hourly(slope: float | None) -> str:
    return UNKNOWN if slope is None else f"{slope * 3600:+.3g}"
