"""Trends: the line through a day of minutes beside numpy.polyfit, and whole answers over as many minutes as there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benches import callgrind
from benches.measure import Case, calls, times
from benches.rows import Row, at_most

DAY, MOST = 1_440, 11_520
"""Minutes of a day, and of the eight that are kept."""
GOAL_MS = 20.0
ANSWERS = ("depth by its workers", "depth by its starts", "throughput", "efficiency")
LINE_BOUND = 20_000
"""Instructions over which the gate fails."""


@contextmanager
def lines() -> Iterator[list[Case]]:
    """The slope of the same two arrays of numpy; x from the first point on, as the original has it and as polyfit needs it."""
    import numpy as np

    from queue_metrics import _core

    random = np.random.default_rng(7)
    x = 60.0 * np.arange(float(DAY))
    y = 500.0 + 0.01 * x + random.normal(0, 40, DAY)
    yield [
        Case("ours", calls(_core.fit, x, y)),
        Case("numpy.polyfit", calls(np.polyfit, x, y, 1)),
    ]


@contextmanager
def answers() -> Iterator[list[Case]]:
    """From the packed values of a busy queue, as a store answers them, to the whole answer."""
    import random

    from queue_metrics import _core
    from queue_metrics.insights import trend_question, trends
    from queue_metrics.insights.clocks import Clocks
    from queue_metrics.insights.collecting import collector_answer
    from queue_metrics.insights.minutes import minutes
    from queue_metrics.storage import MemoryStorageDriver
    from queue_metrics.storage.collector import CollectorState
    from queue_metrics.storage.efficiency import ALL_KEY, Crew, EfficiencyRow, Spent, add_efficiency, fleet_rows

    chance = random.Random(7)
    now = 1_800_000_000.0
    points = []
    depth = 1_000
    for back in range(MOST, -1, -1):
        start = int(now) - 60 * back
        depth = max(depth + chance.randint(-30, 30), 0)
        runs = [chance.randint(1_000, 20_000_000) for _ in range(chance.randint(10, 30))]
        gauges = {0: [((start + second) * 1_000_000, depth + second % 7) for second in range(0, 60, 10)]}
        value = _core.Value.from_parts([len(runs), len(runs) - 1, 1, 0, 0, 0, 0, 20], {0: runs, 1: runs}, gauges)
        points.append((start, _without_sketches(value)))
    question = trend_question.question(now, period_seconds=trend_question.PERIOD_MOST)
    end = int(now) + 60

    def depth_of(workers: int | None) -> object:
        return trends.depth_trend(question, "c", "q", minutes(points, end), workers, Clocks(now, {}))

    def throughput() -> object:
        return trends.throughput_trend(question, "c", "q", minutes(points, end))

    store = MemoryStorageDriver()
    for start, _ in points[-trend_question.PERIOD_MOST // 60 :]:
        busy = round(chance.uniform(60, 119), 3)
        crew = Crew(Spent(busy, 120 - busy), 1e8, 0.512345, 2, 1, 1)
        add_efficiency(store, EfficiencyRow(start + 0.123, 60.0, crew, {}, {}))
    collector = collector_answer(CollectorState(now, now, "", 0), now)
    members = store.get_sorted_set_by_score(ALL_KEY, 0, now)

    def efficiency() -> object:
        return trends.efficiency_trend(question, fleet_rows(members), collector)

    yield [
        Case("depth by its workers", calls(depth_of, 4)),
        Case("depth by its starts", calls(depth_of, None)),
        Case("throughput", calls(throughput)),
        Case("efficiency", calls(efficiency)),
    ]


def _without_sketches(value: object) -> bytes:
    """As the minutes of queues are stored: MessagePack of a version, counters, measures and gauges."""
    import msgpack

    return bytes(msgpack.packb(msgpack.unpackb(value.encode())[:4]))  # type: ignore[attr-defined]


def rows() -> list[Row]:
    """Both figures."""
    fits, whole = times(lines), times(answers)
    note = f"{MOST:,} minutes read, a week asked; CPU time of one answer, without the store"
    return [
        fits.less(f"line through {DAY:,} points: numpy.polyfit / ours", "ours", "numpy.polyfit", 20, note="the same buffers"),
        *(at_most(f"{name}, {MOST:,} minutes", whole.of(name) / 1e6, GOAL_MS, "ms", 1.0, note=note) for name in ANSWERS),
    ]


def counts() -> list[Row]:
    """Instructions of the line; numpy.polyfit takes 626,000."""
    return [callgrind.row(f"line through {DAY:,} points, instructions", lines, "ours", LINE_BOUND, note="the arrays of numpy lent")]
