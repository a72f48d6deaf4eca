"""A task in full, from known records through journal, drainer and store; every number counted beside it in plain Python."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from queue_metrics.insights import Metrics, UnknownName, connect
from queue_metrics.model import Moment, TaskDetail, WindowStatistics
from queue_metrics.storage import StorageDriver
from queue_metrics.storage.manager import StorageManager
from tests.insights.known import DISCARDS, FAILURES, QUEUES, SERVERS, Known, drained, failed, invented
from tests.support.fleet import NOW, Fleet, minute
from tests.support.servers import RedisServer

SEEDS = (1, 2, 3)
QUIET = {4: 7_200.0, 5: 200_000.0}
"""Stores in which nothing happened for two hours and for two days."""
TASK = "app.send"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_url: str
) -> Iterator[dict[int, tuple[Known, Metrics]]]:
    """By seed: what happened, and the store that was told of it."""
    directory = tmp_path_factory.mktemp("stores")
    found: dict[int, tuple[Known, Metrics]] = {}
    for seed in (*SEEDS, *QUIET):
        prefix = f"details_{next(_numbers)}"
        driver = StorageManager(prefix).open(redis_url if request.param == "redis" else f"sqlite:///{directory}/{seed}.db")
        known = invented(seed, quiet=QUIET.get(seed, 0.0))
        drained(known, directory / f"spool-{seed}", driver)
        found[seed] = known, connect(driver, now=lambda: NOW)
    yield found
    for _, metrics in found.values():
        metrics.close()


def check_window(known: Known, told: WindowStatistics, queue: str | None = None) -> None:
    jobs = known.of(TASK, told.window.start, told.window.end, queue)
    seconds = told.window.observed_seconds
    assert told.n == len(jobs)
    if told.window.step_seconds == 60:
        assert (told.window.seconds, NOW - told.window.end) == (told.nominal_seconds, NOW % 60)
    else:
        assert told.nominal_seconds - told.window.step_seconds < told.window.seconds <= told.nominal_seconds
        assert told.window.end == NOW
    assert (told.failure.part, told.failure.n) == (failed(jobs), sum(job.outcome in (*FAILURES, "succeeded") for job in jobs))
    if seconds is None:
        assert told.throughput_per_second is None
        return
    assert told.throughput_per_second == len(jobs) / seconds
    runtime = sum(job.runtime for job in jobs) / 1e6
    assert told.busy_workers == pytest.approx(runtime / seconds)
    if jobs:
        assert told.mean_runtime_seconds is not None
        assert told.mean_runtime_seconds == pytest.approx(runtime / len(jobs))
        assert told.throughput_per_second * told.mean_runtime_seconds == pytest.approx(told.busy_workers)


def holds(moment: Moment | None, at: int | None) -> bool:
    """Whether the moment is that of `at`, µs, as exactly as it says."""
    if at is None or moment is None:
        return at is None and moment is None
    resolution = 60 if NOW - at / 1e6 < 3600 else 3600 if NOW - at / 1e6 < 86400 else 86400
    return moment.at <= at / 1e6 < moment.at + moment.resolution_seconds and moment.resolution_seconds <= resolution


@pytest.mark.parametrize("seed", SEEDS)
def test_the_cost_of_a_job_is_of_the_hours_that_it_says(told: dict[int, tuple[Known, Metrics]], seed: int) -> None:
    known, metrics = told[seed]
    answer = metrics.everything().job(TASK)
    hours = answer.cost_window
    jobs = known.of(TASK, hours.start, NOW)
    assert (hours.start % 3600, hours.step_seconds, hours.end) == (0, 3600, NOW)
    assert hours.start <= answer.detail.window.start
    assert (answer.cpu.n, answer.memory_peak.n) == (len(jobs), len(jobs))
    assert answer.cpu.sum == pytest.approx(sum(job.cpu for job in jobs) / 1e6)
    assert hours.age_seconds is not None


@pytest.mark.parametrize("seed", SEEDS)
def test_every_number_of_a_task_is_the_one_that_was_recorded(told: dict[int, tuple[Known, Metrics]], seed: int) -> None:
    known, metrics = told[seed]
    answer = metrics.task(TASK)
    jobs, ever = known.of(TASK, answer.window.start, NOW), known.of(TASK, 0, NOW)
    assert answer.n == len(jobs) > 20
    assert {outcome.value: n for outcome, n in answer.counts.outcomes.items() if n} == Counter(job.outcome for job in jobs)
    assert answer.retries == sum(job.retry for job in jobs)
    assert (answer.failure.part, answer.success.part) == (failed(jobs), sum(job.outcome == "succeeded" for job in jobs))
    assert answer.success.ratio == pytest.approx(1 - (answer.failure.ratio or 0))
    assert answer.healthy is ((answer.failure.ratio or 0) < 0.05)
    assert answer.lifetime_success.part == sum(job.outcome == "succeeded" for job in ever)
    assert answer.lifetime_success.n == sum(job.outcome in (*FAILURES, "succeeded") for job in ever)
    assert answer.runtime.sum == pytest.approx(sum(job.runtime for job in jobs) / 1e6)
    assert answer.runtime.max == max(job.runtime for job in jobs) / 1e6
    assert answer.cpu.mean == pytest.approx(sum(job.cpu for job in jobs) / len(jobs) / 1e6)
    assert answer.memory_peak.max == max(job.peak for job in jobs) * 1024
    assert answer.memory_change.min == min(job.change for job in jobs) * 1024
    begun = [job for job in known.jobs if job.task == TASK and job.at - job.runtime >= answer.window.start * 1e6]
    assert answer.wait.sum == pytest.approx(sum(job.wait for job in begun) / 1e6)
    discarded = Counter(reason for at, _, task, reason in known.discards if task == TASK and at >= answer.window.start * 1e6)
    assert {reason.value: n for reason, n in answer.counts.discarded.items()} == {reason: discarded[reason] for reason in DISCARDS}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_last_minute_hour_and_day_are_counted_within_their_own_bounds(told: dict[int, tuple[Known, Metrics]], seed: int) -> None:
    known, metrics = told[seed]
    answer = metrics.task(TASK, minutes=5)
    assert [each.nominal_seconds for each in answer.windows] == [60, 300, 900, 3600, 86400]
    for each in answer.windows:
        check_window(known, each)
    assert answer.windows[-1].n > answer.windows[0].n
    rates = (answer.throughput_per_minute, answer.throughput_per_hour, answer.throughput_per_day)
    per_second: dict[int, Any] = {each.nominal_seconds: each.throughput_per_second for each in answer.windows}
    assert rates == tuple(None if per_second[length] is None else per_second[length] * length for length in (60, 3600, 86400))
    for each in metrics.task(TASK, queue="bulk").windows:
        check_window(known, each, "bulk")


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_last_is_told_with_its_resolution(told: dict[int, tuple[Known, Metrics]], seed: int) -> None:
    known, metrics = told[seed]
    for answer in (metrics.task(TASK), metrics.task(TASK, minutes=20_000), metrics.task(TASK, start=NOW - 7200, end=NOW - 3700)):
        assert holds(answer.last_processed, known.last(TASK, lambda job: job.outcome == "succeeded"))
        assert holds(answer.last_failed, known.last(TASK, lambda job: job.outcome in FAILURES))
        assert holds(answer.last_retried, known.last(TASK, lambda job: job.outcome == "retried"))
        assert holds(answer.last_timed_out, known.last(TASK, lambda job: job.outcome == "timed_out"))
        assert holds(answer.last_discarded, max(at for at, _, task, _ in known.discards if task == TASK))


@pytest.mark.parametrize("seed", SEEDS)
def test_exceptions_are_counted_by_type_in_the_window_and_for_ever(told: dict[int, tuple[Known, Metrics]], seed: int) -> None:
    known, metrics = told[seed]
    for answer in (metrics.task(TASK), metrics.task(TASK, minutes=1000), metrics.task(TASK, minutes=100_000)):
        window = answer.exceptions_window
        assert window.start <= answer.window.start
        assert window.start > answer.window.start - 3600
        inside = Counter(job.exception for job in known.of(TASK, window.start, NOW) if job.exception)
        ever = Counter(job.exception for job in known.of(TASK, 0, NOW) if job.exception)
        assert {each.type: each.n for each in answer.exceptions} == {name: inside[name] for name in ever}
        assert {each.type: each.lifetime for each in answer.exceptions} == ever
        assert [each.n for each in answer.exceptions] == sorted((each.n for each in answer.exceptions), reverse=True)
        for each in answer.exceptions:
            at = known.last(TASK, lambda job, name=each.type: job.exception == name)  # type: ignore[misc]
            assert each.last is not None
            assert at is not None
            assert each.last.at <= at / 1e6 < each.last.at + each.last.resolution_seconds
        moment = answer.last_exception_at
        assert moment is not None
        newest = Counter(str(job.exception) for job in known.of(TASK, moment.at, moment.at + moment.resolution_seconds) if job.exception)
        assert newest[str(answer.last_exception)] == max(newest.values())
        assert not [job for job in known.of(TASK, moment.at + moment.resolution_seconds, NOW) if job.exception]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_task_is_told_by_queue_and_in_lists(told: dict[int, tuple[Known, Metrics]], seed: int) -> None:
    known, metrics = told[seed]
    answer = metrics.task(TASK)
    counted = {queue: len(known.of(TASK, answer.window.start, NOW, queue)) for queue in QUEUES}
    assert {each.queue: each.n for each in answer.by_queue} == counted
    assert list(answer.by_queue) == [each for each in metrics.tasks() if each.task == TASK]
    listed = {each.task: each for each in metrics.task_details()}
    assert set(listed) == {"app.send", "app.resize"}
    for field in dataclasses.fields(TaskDetail):
        if not field.name.startswith("last_") and field.name != "exceptions":
            assert getattr(listed[TASK], field.name) == getattr(answer, field.name), field.name
    assert [(each.type, each.n, each.lifetime) for each in listed[TASK].exceptions] == [
        (each.type, each.n, each.lifetime) for each in answer.exceptions
    ]
    assert listed[TASK].last_processed == answer.last_processed


@pytest.mark.parametrize("seed", SEEDS)
def test_a_task_is_told_by_server_whose_name_is_exact(told: dict[int, tuple[Known, Metrics]], seed: int) -> None:
    known, metrics = told[seed]
    for queue, answer in ((None, metrics.task(TASK)), ("bulk", metrics.task(TASK, queue="bulk"))):
        assert {each.server for each in answer.by_server} == set(SERVERS)
        assert sum(each.counts.ended for each in answer.by_server) == answer.lifetime.counts.ended
        for each in answer.by_server:
            jobs = [job for job in known.of(TASK, 0, NOW, queue) if job.server == each.server]
            assert (each.counts.ended, each.failure.part) == (len(jobs), failed(jobs))
            assert each.runtime.mean == pytest.approx(sum(job.runtime for job in jobs) / len(jobs) / 1e6)
            at = max(job.at for job in jobs) / 1e6
            assert each.last_ended is not None
            assert each.last_ended.at <= at < each.last_ended.at + each.last_ended.resolution_seconds


def leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from leaves(f"{path}.{field.name}", getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from leaves(f"{path}[{key.value if isinstance(key, Enum) else key}]", each)
    elif isinstance(value, tuple):
        yield path, value
        for number, each in enumerate(value):
            if dataclasses.is_dataclass(each):
                yield from leaves(f"{path}[{number}]", each)
    else:
        yield path, value


CONSTANT = re.compile(
    r".*\.(unit|step_seconds|bounds_seconds|nominal_seconds|error_ratio|start|end|observed_from|connection|clock_skews|result_errors)"
    r"|.*memory_change\.(p50|p95|p99|deviation)"
    r"|.*by_server.*(resolution_seconds|arrivals|\[(revoked|expired|rejected|skipped|unknown)\]|runtime\.(p50|p95|p99|min|max|deviation))"
    r"|.*lifetime\.(cpu|memory_peak|memory_change)\.(p50|p95|p99|min|max|deviation)"
)
"""Units, lengths, bounds and moments of the same question, one connection; no clock is wrong here, every result can be stored;
and what the answers say is never known."""


def test_no_field_of_a_task_is_constant(told: dict[int, tuple[Known, Metrics]]) -> None:
    """L14: over answers to several questions about several stores, everything varies that is measured."""
    seen: dict[str, set[str]] = {}
    for _, metrics in told.values():
        for name in ("app.send", "app.resize"):
            for minutes in (5, 60, 600):
                for queue in ("mail", None):
                    for path, value in leaves("", metrics.task(name, queue=queue, minutes=minutes)):
                        seen.setdefault(path, set()).add(repr(value))
    constant = [path for path, values in seen.items() if len(values) == 1 and not CONSTANT.fullmatch(path)]
    constant = [path for path in constant if not any(other.startswith(f"{path}.") for other in seen)]  # None in one, more in another
    assert len(seen) > 500
    assert constant == [], "\n".join(constant)


def test_what_never_was_is_none_and_nothing_recorded_is_not_zero(told: dict[int, tuple[Known, Metrics]], tmp_path: Path) -> None:
    driver: StorageDriver = StorageManager().open(f"sqlite:///{tmp_path}/m.db")
    fleet = Fleet()
    fleet.task(("broker", "mail", "app.send"), minute(300), counts={"arrivals": 1})
    fleet.store(driver)
    answer = connect(driver, now=lambda: NOW).task("app.send")
    assert (answer.last_processed, answer.last_failed, answer.last_timed_out, answer.last_discarded, answer.last_exception) == (None,) * 5
    assert (answer.exceptions, answer.healthy, answer.success.ratio, answer.throughput_per_minute) == ((), None, None, None)
    assert [each.mean_runtime_seconds for each in answer.windows] == [None] * 5
    driver.close()


def test_a_task_that_is_recorded_elsewhere_only_is_unknown_there(told: dict[int, tuple[Known, Metrics]]) -> None:
    _, metrics = told[1]
    with pytest.raises(UnknownName, match="was recorded in broker/bulk, broker/mail only"):
        metrics.task(TASK, queue="none")
    with pytest.raises(UnknownName, match=r"did you mean 'app\.send'"):
        metrics.task("app.sent")


@pytest.mark.parametrize(("failures", "healthy"), [(4, True), (5, False)])
def test_a_task_is_healthy_while_fewer_than_five_in_a_hundred_fail(tmp_path: Path, failures: int, healthy: bool) -> None:
    driver = StorageManager().open(f"sqlite:///{tmp_path}/m.db")
    fleet = Fleet()
    fleet.task(("broker", "mail", "app.send"), minute(1), counts={"started": 100, "succeeded": 100 - failures, "failed": failures})
    fleet.store(driver)
    metrics = connect(driver, now=lambda: NOW)
    assert (metrics.task("app.send").healthy, metrics.tasks()[0].healthy) == (healthy, healthy)
    metrics.close()
