"""How far the newest executions of a task are from its baseline: a pure function, with a spread that a jump cannot hide itself in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from queue_metrics import _core
from queue_metrics.config import BaselineRules
from queue_metrics.insights import layout
from queue_metrics.insights.reading import RULES
from queue_metrics.insights.samples import Sample
from queue_metrics.model.baselines import Baseline, DeviationAnswer
from queue_metrics.storage.base import HOUR, MINUTE

NEWEST_SAMPLES = 10
"""So many executions are compared, or as many more as the oldest minute of them holds."""
NEWEST_SECONDS = HOUR
"""What is older is not new."""
FEWEST_POINTS = 5
"""Minutes before the newest that a spread is made of; with fewer, the hours before count too."""
FLOOR_RATIO = 0.05
"""Least spread, of the baseline: a number that never varies has none, and its jump must be seen (10 % with this threshold)."""
FLOOR_SECONDS, FLOOR_CPU_RATIO, FLOOR_BYTES = 0.001, 0.01, 1024.0 * 1024.0
"""Least spread at all: what is below this is noise of the machine."""

_Mean: TypeAlias = Callable[[Sequence[Sample]], float | None]


def deviation(baseline: Baseline, measured: Sequence[Sample], now: float, rules: BaselineRules = RULES) -> DeviationAnswer:
    """
    Compare the newest executions with a baseline of the same task.

    The score of run time, of CPU share and of memory is |mean of the newest - baseline| / spread. The spread is the median absolute
    distance of the means of the minutes before from their median, times 1.4826 (Hampel 1974), and no less than the floor.

    Args:
        baseline: of the same task on the same queue.
        measured: newest first, as `samples` answers.
        now: seconds since 1970.
        rules: whether, and from which score on.
    """
    if not rules.deviation:
        return no_deviation("it is switched off by `baseline.deviation`", rules)
    newest = _newest(measured, now)
    if not newest:
        return no_deviation("nothing ended in the last hour", rules)
    before = measured[len(newest) :]
    minutes = [each for each in before if each.step == MINUTE]
    usual = minutes if len(minutes) >= FEWEST_POINTS else before

    def score(mean: _Mean, level: float | None, floor: float) -> float | None:
        now_at = mean(newest)
        if level is None or now_at is None:
            return None
        robust = _core.median_and_mad([each for each in (mean([sample]) for sample in usual) if each is not None])
        spread = 0.0 if robust is None else robust[1] * _core.MAD_TO_DEVIATION
        return abs(now_at - level) / max(spread, FLOOR_RATIO * level, floor)

    scores = {name: score(*measure) for name, measure in _measures(baseline).items()}
    far = [name for name, each in scores.items() if each is not None and each > rules.deviation_threshold]
    n = sum(each.runtime[0] for each in newest)
    # A moment to come is of a clock that is ahead.
    until = min(newest[0].at + MINUTE / 2, now)
    usually = f"the newest {n} executions are as usual"
    return DeviationAnswer(
        available=True,
        message=f"{' and '.join(far)} of the newest {n} executions far from the baseline" if far else usually,
        deviates=bool(far),
        threshold=rules.deviation_threshold,
        n=n,
        since=min(newest[-1].at - MINUTE / 2, until),
        until=until,
        age_seconds=now - until,
        duration_score=scores["run time"],
        cpu_score=scores["CPU"],
        memory_score=scores["memory"],
    )


def may_deviate(baseline: Baseline, measured: Iterable[Sample], now: float, rules: BaselineRules = RULES) -> bool:
    """
    Whether the newest executions are so far from a baseline that `deviation` could say so, if the spread was the least there is.

    Args:
        baseline, now, rules: as `deviation`.
        measured: minutes, newest first.
    """
    newest = _newest(measured, now) if rules.deviation else ()
    for mean, level, floor in _measures(baseline).values():
        now_at = mean(newest)
        if level is not None and now_at is not None and abs(now_at - level) > rules.deviation_threshold * max(FLOOR_RATIO * level, floor):
            return True
    return False


def _newest(measured: Iterable[Sample], now: float) -> list[Sample]:
    newest: list[Sample] = []
    n = 0
    for sample in measured:
        if n >= NEWEST_SAMPLES or sample.step != MINUTE or now - sample.at > NEWEST_SECONDS:
            break
        newest.append(sample)
        n += sample.runtime[0]
    return newest


def _measures(baseline: Baseline) -> dict[str, tuple[_Mean, float | None, float]]:
    """What is compared: how it is measured, its usual level, and the least spread."""
    return {
        "run time": (_duration, baseline.duration_seconds, FLOOR_SECONDS),
        "CPU": (_cpu_ratio, baseline.cpu_ratio, FLOOR_CPU_RATIO),
        "memory": (_memory, baseline.memory_bytes, FLOOR_BYTES),
    }


def no_deviation(why: str, rules: BaselineRules = RULES) -> DeviationAnswer:
    """Nothing to compare."""
    return DeviationAnswer(
        available=False,
        message=why,
        deviates=False,
        threshold=rules.deviation_threshold,
        n=0,
        since=None,
        until=None,
        age_seconds=None,
        duration_score=None,
        cpu_score=None,
        memory_score=None,
    )


def _duration(of: Sequence[Sample]) -> float | None:
    mean = _mean([each.runtime for each in of])
    return None if mean is None else mean / layout.MICROSECONDS


def _cpu_ratio(of: Sequence[Sample]) -> float | None:
    cpu, runtime = _mean([each.cpu for each in of]), _mean([each.runtime for each in of])
    return None if cpu is None or not runtime else cpu / runtime


def _memory(of: Sequence[Sample]) -> float | None:
    return _mean([each.memory for each in of])


def _mean(sums: Sequence[tuple[int, int]]) -> float | None:
    n = sum(each[0] for each in sums)
    return sum(each[1] for each in sums) / n if n else None
