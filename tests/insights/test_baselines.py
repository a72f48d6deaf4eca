"""Baselines through real stores, against exact rational numbers; schedules, thresholds on both sides, deviations that must be seen."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pytest

from queue_metrics.collector import collect
from queue_metrics.errors import QueueMetricsError
from queue_metrics.insights import baseline_answers as judgements
from queue_metrics.insights import baselines as formulas
from queue_metrics.insights import connect
from queue_metrics.insights.deviation import deviation
from queue_metrics.insights.reading import read
from queue_metrics.insights.samples import parts, samples
from queue_metrics.insights.weighted import Part, estimate
from queue_metrics.insights.window import span_of
from queue_metrics.model.baselines import Baseline, BaselineAnswer, CapacityEstimate
from queue_metrics.model.reasons import why
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.baselines import BASELINES, READ_BASELINES, decode, encode, field, forgotten, write
from queue_metrics.storage.manager import StorageManager
from tests.support.fleet import NOW, Fleet, minute
from tests.support.patience import PATIENCE
from tests.support.servers import RedisServer

SEND = ("broker", "mail", "app.send")
MIB = 1024 * 1024
DAYS = 24 * 60
BACK = [3, 58, 119, 240, 900, 3 * DAYS, 5 * DAYS + 300, 6 * DAYS + 900]
"""Minutes before now: the first four are kept by minute, the others by hour."""


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorageDriver]:
    if request.param == "sqlite":
        driver = StorageManager().open(f"sqlite:///{tmp_path}/m.db")
        yield driver
        driver.close()
        return
    with RedisServer(tmp_path) as server:
        driver = StorageManager().open(server.url)
        yield driver
        driver.close()


def calculated(driver: StorageDriver, now: float = NOW) -> dict[tuple[str, ...], Baseline]:
    """One pass, as whoever collects does it."""
    reading = read(driver, span_of(now, 1), kinds=(), further=parts(now), totals=False, heartbeats=False, calls=(READ_BASELINES,))
    before = decode(reading.answers[READ_BASELINES], now)
    write(driver, [each.baseline for each in formulas.calculate(reading.tasks, before, now)])
    return decode(driver.get_hash(BASELINES), now)


def weight(age_seconds: Fraction) -> Fraction:
    """exp(-0.1 x age in days), by its series, to far more digits than a double has."""
    x, total, term = -age_seconds / 86400 / 10, Fraction(0), Fraction(1)
    for power in range(1, 40):
        total += term
        term = term * x / power
    return total


def ran(fleet: Fleet, back: int, runtimes: list[int], cpus: list[int], memory: list[int], task: tuple[str, ...] = SEND) -> None:
    counts = {"started": len(runtimes), "succeeded": len(runtimes)}
    fleet.task(task, minute(back), counts=counts, measures={0: runtimes, 2: cpus, 3: memory})


def test_two_hundred_known_samples_make_the_exact_baseline(store: StorageDriver) -> None:
    fleet, chance = Fleet(), Random(23)
    sums = {name: Fraction(0) for name in ("weight", "runtime", "cpu", "memory")}
    for back in [*BACK, 8 * DAYS]:
        runtimes = [chance.randrange(50_000, 2_000_000) for _ in range(25)]
        cpus = [runtime // chance.randrange(2, 5) for runtime in runtimes]
        memory = [chance.randrange(50, 90) * MIB for _ in runtimes]
        ran(fleet, back, runtimes, cpus, memory)
        if back > 7 * DAYS:
            continue  # too old to count
        middle = minute(back) + 30 if back < 300 else minute(back) // 3600 * 3600 + 1800
        for index in range(25):
            one = weight(Fraction(NOW) - middle)
            sums["weight"] += one
            sums["runtime"] += one * runtimes[index]
            sums["cpu"] += one * cpus[index]
            sums["memory"] += one * memory[index]
    fleet.store(store)
    baseline = calculated(store)[SEND]

    assert (baseline.sample_count, baseline.confidence, baseline.calculated_at) == (200, 1.0, NOW)
    assert baseline.duration_seconds == pytest.approx(float(sums["runtime"] / sums["weight"] / 1_000_000), rel=1e-13)
    assert baseline.memory_bytes == pytest.approx(float(sums["memory"] / sums["weight"]), rel=1e-13)
    assert baseline.cpu_ratio == float(round(sums["cpu"] / sums["runtime"], 4))
    answer = connect(store, now=lambda: NOW).baseline(*SEND)
    assert (answer.available, answer.reliable, answer.needs_more_samples, answer.recent) == (True, True, False, True)
    assert (answer.baseline, answer.age_seconds, answer.next_interval_minutes) == (baseline, 0.0, 60)


@pytest.mark.parametrize("ahead", [600.0, -600.0])
def test_a_baseline_is_as_old_as_the_store_says_whatever_the_clock_of_the_collector(store: StorageDriver, ahead: float) -> None:
    fleet = Fleet()
    ran(fleet, 20, [1_000_000] * 150, [500_000] * 150, [MIB] * 150)
    fleet.store(store)
    assert collect(store, "test", now=NOW + ahead).baselines
    metrics = connect(store, now=lambda: NOW)
    ages = [answer.age_seconds for answer in (metrics.baseline(*SEND), *metrics.baselines())]
    assert len(ages) == 3
    assert all(age is not None and 0 <= age < PATIENCE for age in ages), ages


def test_an_hour_of_which_minutes_have_expired_is_the_others_and_the_rest(store: StorageDriver) -> None:
    fleet, hour = Fleet(), int(NOW) // 3600 * 3600 - 7200
    for at, n, runtime in ((hour + 300, 5, 100_000), (hour + 600, 1, 400_000), (hour + 2400, 20, 200_000)):
        fleet.task(SEND, at, counts={"started": n, "succeeded": n}, measures={0: [runtime] * n, 2: [1000] * n, 3: [MIB] * n})
    fleet.store(store)
    now = hour + 5400.0
    (task,) = read(store, span_of(now), kinds=(), further=parts(now), totals=False, heartbeats=False).tasks
    minutes, hours = task.by_step[60], task.by_step[3600]
    young = replace(task, by_step={60: {hour + 2400: minutes[hour + 2400]}, 3600: hours})
    found = samples(young, now)
    assert [(each.at - hour, each.step, each.runtime, each.cpu, each.memory) for each in found] == [
        (2430.0, 60, (20, 4_000_000), (20, 20_000), (20, 20 * MIB)),
        (1200.0, 3600, (6, 900_000), (6, 6_000), (6, 6 * MIB)),
    ]
    told = deviation(BASELINE, found, now)
    assert (told.available, told.n, told.message) == (
        True,
        20,
        "run time and CPU and memory of the newest 20 executions far from the baseline",
    )
    assert [each.step for each in samples(task, now)] == [60] * 3
    assert [each.runtime for each in samples(replace(task, by_step={3600: hours}), now)] == [(26, 4_900_000)]


def test_the_weight_is_of_the_time_and_not_of_the_place(store: StorageDriver) -> None:
    """The same points a day later: what is old by then weighs less, and nothing but the clock has moved."""
    fleet = Fleet()
    ran(fleet, 30, [1_000_000] * 10, [500_000] * 10, [MIB] * 10)
    ran(fleet, 4 * DAYS, [2_000_000] * 10, [500_000] * 10, [MIB] * 10)
    fleet.store(store)
    now, later = (calculated(store, NOW + shift)[SEND] for shift in (0, 3.2 * 86400))
    young, old = (NOW - minute(30) - 30) / 86400, (NOW - (minute(4 * DAYS) // 3600 * 3600 + 1800)) / 86400
    share = math.exp(-0.1 * old) / (math.exp(-0.1 * old) + math.exp(-0.1 * young))
    assert now.duration_seconds == pytest.approx(1 + share, rel=1e-12)
    assert later.duration_seconds == pytest.approx(1.0, rel=1e-14)
    assert later.sample_count == 10, "the older ones have left the seven days"


def test_a_queue_is_the_mean_of_its_tasks_by_their_executions_and_each_queue_has_its_own_schedule(store: StorageDriver) -> None:
    fleet = Fleet()
    ran(fleet, 5, [1_000_000] * 150, [500_000] * 150, [100 * MIB] * 150)
    ran(fleet, 5, [4_000_000] * 50, [400_000] * 50, [20 * MIB] * 50, ("broker", "mail", "app.digest"))
    ran(fleet, 5, [1_000_000] * 3, [100_000] * 3, [MIB] * 3, ("broker", "rare", "app.send"))
    fleet.store(store)
    found = calculated(store)
    mail, rare = found["broker", "mail"], found["broker", "rare"]
    assert (mail.duration_seconds, mail.cpu_ratio, mail.memory_bytes) == (1.75, 0.4, 80.0 * MIB)
    assert (mail.sample_count, mail.confidence, rare.sample_count, rare.confidence) == (200, 1.0, 3, 0.26)
    due = {minutes: (formulas.due(mail, NOW + 60 * minutes), formulas.due(rare, NOW + 60 * minutes)) for minutes in (0, 4, 5, 59, 60)}
    assert due == {0: (False, False), 4: (False, False), 5: (False, True), 59: (False, True), 60: (True, True)}
    metrics = connect(store, now=lambda: NOW)
    assert metrics.baseline("broker", "mail").next_interval_minutes == metrics.baseline(*SEND).next_interval_minutes == 60
    assert metrics.baseline("broker", "rare").next_interval_minutes == 5


def test_each_mean_says_of_how_many_it_is_in_which_window_and_how_far_it_may_be_off(store: StorageDriver) -> None:
    """By hand, at one age but for a millionth: minutes with means of 1 and 3 s, CPU time of the second alone, memory of its half."""
    fleet = Fleet()
    ran(fleet, 2, [1_000_000] * 10, [], [])
    ran(fleet, 1, [3_000_000] * 30, [600_000] * 30, [4 * MIB] * 15)
    fleet.store(store)
    found = calculated(store)
    one, whole = found[SEND], found[SEND[:2]]
    assert (one.sample_count, one.cpu_sample_count, one.memory_sample_count) == (40, 30, 15)
    assert (one.since, one.calculated_at) == (NOW - 7 * 86_400, NOW)
    assert one.duration_seconds == pytest.approx(2.5, rel=1e-4)
    assert one.duration_error_seconds == pytest.approx(math.sqrt(((1 - 2.5) ** 2 + (3 - 2.5) ** 2) / 2), rel=1e-3)
    assert (one.cpu_error, one.memory_error_bytes) == (None, None), "of one minute nobody knows how minutes differ"
    assert (whole.sample_count, whole.cpu_sample_count, whole.memory_sample_count) == (40, 30, 15)
    assert (whole.since, whole.duration_error_seconds) == (one.since, one.duration_error_seconds)
    assert why(one, "cpu_error") == "an error needs executions in two minutes or hours, of each task of a queue"


def test_what_of_a_task_was_measured_weighs_in_its_queue() -> None:
    """Memory of 10 of 1,000 executions of one task, and of all 30 of the other."""
    seldom = replace(BASELINE, sample_count=1000, memory_bytes=10.0, memory_sample_count=10, memory_error_bytes=2.0, cpu_sample_count=0)
    always = replace(BASELINE, task="u", sample_count=30, memory_bytes=50.0, memory_sample_count=30, memory_error_bytes=1.0)
    whole = formulas.of_queue([seldom, replace(always, cpu_ratio=0.25, cpu_sample_count=30, cpu_error=0.1)])
    assert whole is not None
    assert (whole.memory_bytes, whole.memory_sample_count) == (40.0, 40)
    assert whole.memory_error_bytes == pytest.approx(math.hypot(2.0 / 4, 3.0 / 4))
    assert (whole.cpu_ratio, whole.cpu_error, whole.cpu_sample_count) == (0.25, 0.1, 30), "that of the other was never measured"
    assert whole.duration_error_seconds is None, "one of which it is not known"


def test_a_baseline_of_an_older_package_is_read_and_what_it_did_not_say_has_a_reason() -> None:
    told = json.loads(encode(replace(BASELINE, since=1.0, cpu_error=0.1)))
    for name in ("since", "cpu_sample_count", "memory_sample_count", "duration_error_seconds", "cpu_error", "memory_error_bytes"):
        del told[name]
    assert decode({field(BASELINE.labels): json.dumps(told)}, NOW) == {BASELINE.labels: BASELINE}
    assert why(BASELINE, "cpu_error") == why(BASELINE, "since") == "it was calculated by an older version of this package"


@pytest.mark.parametrize("what", ["mean", "ratio"])
def test_a_standard_error_covers_what_it_should(what: str) -> None:
    """Executions of one minute are alike, minutes differ, and the older weigh less: 1,000 simulations of 120 of them."""
    chance, held = np.random.default_rng(71), 0
    for _ in range(1000):
        runtimes, cpus = list[Part](), list[Part]()
        for back in range(120):
            level = chance.lognormal(0, 0.5)
            runs = 1e6 * level * chance.lognormal(0, 0.5, int(chance.integers(1, 21)))
            cpu_times = runs * chance.uniform(0.1, 0.7, len(runs))
            for parts_of, numbers in ((runtimes, runs), (cpus, cpu_times)):
                parts_of.append((math.exp(-back / 120), len(numbers), round(numbers.sum())))
        mean, cpu_time = estimate(runtimes), estimate(cpus)
        assert mean is not None
        assert cpu_time is not None
        found, truth = (mean, 1e6 * math.exp(0.25)) if what == "mean" else (cpu_time.by(mean), 0.4)
        assert found is not None
        assert found.error is not None
        held += abs(found.value - truth) <= 1.645 * found.error
    assert 870 <= held <= 930


def step(store: StorageDriver, newest: int) -> BaselineAnswer:
    """Eighty minutes of one and the same cost, a baseline of them, and then ten executions of another run time."""
    fleet = Fleet()
    for back in range(10, 90):
        ran(fleet, back, [100_000] * 2, [50_000] * 2, [64 * MIB] * 2)
    fleet.store(store)
    calculated(store, NOW - 300)
    later = Fleet()
    ran(later, 1, [newest] * 10, [newest // 2] * 10, [64 * MIB] * 10)
    later.store(store, sequence=len(fleet.rows) // 50 + 1)
    return connect(store, now=lambda: NOW).baseline(*SEND)


def test_an_answer_that_says_deviates_says_too_that_it_is_calculated_soon(store: StorageDriver) -> None:
    assert step(store, 200_000).next_interval_minutes == 5
    assert connect(store, now=lambda: NOW).baseline("broker", "mail").next_interval_minutes == 5
    assert {each.next_interval_minutes for each in connect(store, now=lambda: NOW).baselines()} == {5}


def test_a_jump_after_no_variance_at_all_is_seen_and_soon_looked_at_again(store: StorageDriver) -> None:
    answer = step(store, 200_000)
    assert answer.deviation.deviates
    assert answer.deviation.duration_score == pytest.approx(20.0), "0.1 s by the least spread, 5 % of 0.1 s"
    assert (answer.deviation.cpu_score, answer.deviation.memory_score, answer.deviation.n) == (0.0, 0.0, 10)
    assert (answer.deviation.since, answer.deviation.until) == (minute(1), minute(0)), "of one minute, which is over"
    assert answer.deviation.age_seconds == NOW - minute(0)
    assert "run time" in answer.deviation.message
    whole = connect(store, now=lambda: NOW).baseline("broker", "mail")
    assert whole.deviation.message.startswith("app.send: run time")
    assert whole.deviation.score == answer.deviation.score
    found = calculated(store)
    assert found["broker", "mail"].deviates
    assert found["broker", "mail"].confidence >= 0.9
    assert formulas.interval_minutes(found["broker", "mail"]) == 5


@pytest.mark.parametrize(("newest", "deviates"), [(109_900, False), (110_100, True), (90_100, False), (89_900, True)])
def test_the_threshold_is_two_spreads_on_either_side(store: StorageDriver, newest: int, deviates: bool) -> None:
    assert step(store, newest).deviation.deviates is deviates


def test_noise_as_it_always_was_is_no_deviation(store: StorageDriver) -> None:
    fleet, chance = Fleet(), Random(5)
    for back in range(1, 200):
        ran(fleet, back, [round(chance.lognormvariate(12, 0.5)) for _ in range(10)], [20_000] * 10, [MIB] * 10)
    fleet.store(store)
    calculated(store)
    deviation = connect(store, now=lambda: NOW).baseline(*SEND).deviation
    assert deviation.available
    assert not deviation.deviates
    assert deviation.duration_score is not None
    assert 0 < deviation.duration_score < 2


BASELINE = Baseline("c", "q", "t", 0.1, 0.5, 64.0 * MIB, 200, 1.0, NOW, deviates=False)


@pytest.mark.parametrize("count", [1, 2, 10, 49, 50, 99, 100, 140, 199, 200, 5000])
def test_confidence_is_the_logarithm_of_the_count_by_that_of_the_target(count: int) -> None:
    assert formulas.confidence(count) == round(min(1.0, math.log10(count + 1) / math.log10(201)), 2)


def test_judgements_turn_exactly_at_their_thresholds() -> None:
    assert [judgements.is_reliable(replace(BASELINE, sample_count=n, confidence=c)) for n, c in ((49, 1), (50, 0.69), (50, 0.7))] == [
        *(False, False, True)
    ]
    assert [judgements.needs_more_samples(replace(BASELINE, sample_count=n)) for n in (99, 100)] == [True, False]
    assert [judgements.is_recent(age) for age in (86_400, 86_401)] == [True, False]
    confidences = (0.0, 0.49, 0.5, 0.69, 0.7, 0.89, 0.9, 1.0)
    assert [formulas.interval_minutes(replace(BASELINE, confidence=c)) for c in confidences] == [5, 5, 10, 10, 30, 30, 60, 60]
    assert formulas.interval_minutes(None) == 1
    assert formulas.due(None, NOW)
    assert formulas.due(replace(BASELINE, calculated_at=NOW + 86400), NOW), "of a clock that was set back"


@pytest.mark.parametrize(
    ("changed", "significant"),
    [
        ({"duration_seconds": 0.1201}, True),
        ({"duration_seconds": 0.1199}, False),
        ({"duration_seconds": 0.0799}, True),
        ({"cpu_ratio": 0.601}, True),
        ({"cpu_ratio": 0.599}, False),
        ({"memory_bytes": 77.0 * MIB}, True),
        ({"memory_bytes": 76.0 * MIB}, False),
        ({"cpu_ratio": None}, False),
    ],
)
def test_a_change_above_a_fifth_is_significant(changed: dict[str, float | None], significant: bool) -> None:
    assert formulas.significant_change(BASELINE, replace(BASELINE, **changed)) is significant  # type: ignore[arg-type]


def test_small_numbers_are_compared_with_one_and_a_baseline_only_with_its_own() -> None:
    tiny = replace(BASELINE, duration_seconds=0.0001)
    assert not formulas.significant_change(tiny, replace(tiny, duration_seconds=0.00029)), "0.1 ms against 1 ms"
    assert formulas.significant_change(tiny, replace(tiny, duration_seconds=0.00031))
    assert not formulas.significant_change(None, BASELINE)
    with pytest.raises(ValueError, match="of its own"):
        formulas.significant_change(replace(BASELINE, task=None), BASELINE)


def test_capacity_is_of_the_scarcer_and_nothing_where_anything_is_nothing(store: StorageDriver) -> None:
    assert judgements.capacity(350, 1000, 100, 200, 0.5) == CapacityEstimate(3, 21_600.0)
    assert judgements.capacity(350, 500, 100, 200, 0.5) == CapacityEstimate(2, 14_400.0)
    usual = (350.0, 1000.0, 100.0, 200.0, 0.5)
    for index in range(5):
        for bad in (0.0, -1.0):
            assert judgements.capacity(*(bad if at == index else number for at, number in enumerate(usual))) == CapacityEstimate(0, 0.0)
    fleet = Fleet()
    ran(fleet, 5, [500_000] * 4, [500_000] * 4, [200 * MIB] * 4)
    fleet.store(store)
    calculated(store)
    metrics = connect(store, now=lambda: NOW)
    found = metrics.baseline(*SEND, cpu_available_percent=350.0, memory_available_bytes=1000.0 * MIB)
    assert found.capacity == CapacityEstimate(3, 21_600.0)
    assert metrics.baseline(*SEND).capacity is None


def test_without_a_baseline_the_answer_says_what_to_do_and_an_unknown_name_is_an_error(store: StorageDriver) -> None:
    fleet = Fleet()
    ran(fleet, 5, [500_000], [1], [1])
    fleet.store(store)
    metrics = connect(store, now=lambda: NOW)
    answer = metrics.baseline(*SEND)
    assert (answer.available, answer.baseline, answer.next_interval_minutes, answer.deviation.available) == (False, None, 1, False)
    assert "queue-metrics calculate-baselines" in answer.message
    assert store.get_hash(BASELINES) == {}, "reading stores nothing"
    for labels in (("broker", "mai"), ("broker", "mail", "app.sen")):
        with pytest.raises(QueueMetricsError, match="did you mean"):
            metrics.baseline(*labels)


@pytest.mark.parametrize("task", [None, "t", "", 'a"],["b', "ü\n", "null"])
def test_any_name_comes_back_and_what_is_old_damaged_or_newer_does_not(task: str | None) -> None:
    one = replace(BASELINE, queue="a,b", task=task, cpu_ratio=None, memory_bytes=None, deviates=True)
    stored = {field(one.labels): encode(one)}
    assert decode(stored, NOW) == {one.labels: one}
    assert forgotten(stored, NOW + 30 * 86400) == []
    assert decode(stored, NOW + 30 * 86400 + 1) == {}
    newer = {'["c","q","new"]': encode(one).replace('"v":1', '"v":2')}
    bad = {
        '["c","q"]': "{}",
        "[1,2]": encode(one),
        "x": encode(one),
        '["c","q","r"]': "[",
        '["c","q","s"]': encode(one).replace("0.1", "NaN"),
    }
    assert decode({**stored, **newer, **bad}, NOW) == {one.labels: one}
    assert sorted(forgotten({**stored, **newer, **bad}, NOW)) == sorted(bad)
