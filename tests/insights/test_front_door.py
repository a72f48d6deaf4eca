"""What is asked at the front door, with which window, and what is said of names that nobody knows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from queue_metrics.insights import Metrics, UnknownName, connect
from queue_metrics.insights.reading import Part, read
from queue_metrics.insights.window import last_minutes
from queue_metrics.model import Status
from queue_metrics.storage.base import DAY, HOUR, MINUTE, QUEUE, TASK, StorageDriver
from queue_metrics.storage.general import Call
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.support.fleet import NOW, Fleet, minute

MAIL = ("broker", "mail")
SEND = (*MAIL, "app.send")


def reading(driver: StorageDriver, fleet: Fleet) -> Metrics:
    fleet.store(driver)
    return connect(driver, now=lambda: NOW)


def steady() -> Fleet:
    """An execution of a second in each of the last thirty minutes, the queue asked in each of them."""
    fleet = Fleet()
    for back in range(30):
        fleet.task(SEND, minute(back), counts={"started": 1, "succeeded": 1, "arrivals": 1}, measures={0: [1_000_000]})
        gauges = {0: [(minute(back) * 1_000_000, back)], 4: [(minute(back) * 1_000_000, 500_000 * back)]}
        fleet.queue(MAIL, minute(back), counts={"started": 1, "succeeded": 1}, gauges=gauges, measures={0: [1_000_000]})
    return fleet


WINDOWED: list[Callable[..., object]] = [
    Metrics.snapshot,
    Metrics.overview,
    Metrics.health,
    Metrics.worker_summary,
    Metrics.tasks,
    lambda metrics, **window: metrics.task("app.send", **window),
    Metrics.queues,
    lambda metrics, **window: metrics.queue(*MAIL, **window),
    Metrics.servers,
    Metrics.task_details,
    lambda metrics, **window: metrics.series("task", *SEND, **window),
]


REFUSED: list[dict[str, float]] = [
    {"minutes": 0},
    {"minutes": 10**9},
    {"start": 0.0},
    {"end": NOW},
    {"minutes": 5, "start": NOW - 300},
    {"start": NOW + 60},
]


@pytest.mark.parametrize("ask", WINDOWED)
def test_every_answer_takes_minutes_or_a_range_and_refuses_what_is_neither(driver: StorageDriver, ask: Callable[..., object]) -> None:
    metrics = reading(driver, steady())
    assert ask(metrics, minutes=5) is not None
    assert ask(metrics, start=NOW - 300) is not None
    assert ask(metrics, start=NOW - 300, end=NOW - 60) is not None
    for wrong in REFUSED:
        with pytest.raises(ValueError, match=r"minutes|start"):
            ask(metrics, **wrong)


def test_a_range_counts_what_happened_in_its_steps_alone(driver: StorageDriver) -> None:
    metrics = reading(driver, steady())
    answer = metrics.task("app.send", start=minute(20), end=minute(10))
    assert (answer.n, answer.window.start, answer.window.end, answer.window.observed_seconds) == (10, minute(20), minute(10), 600.0)
    assert answer.throughput_per_second == 10 / 600
    assert len(answer.history.ended) == 10
    assert metrics.queue(*MAIL, start=minute(20), end=minute(10)).counts.started == 10
    assert metrics.overview(start=minute(3)).n == 4


def test_how_a_queue_is_stays_of_now_in_a_range_that_is_over(driver: StorageDriver) -> None:
    """Asked each minute, 20 jobs waited until 5 minutes ago; now 3 do, and started a minute ago; nobody works on it."""
    fleet = Fleet()
    for back in range(60):
        waited = 3 if back < 5 else 20
        fleet.queue(MAIL, minute(back), counts={"started": 1}, gauges={0: [(int((minute(back) + 1) * 1e6), waited)]})
    metrics = reading(driver, fleet)
    now, then = metrics.queue(*MAIL), metrics.queue(*MAIL, start=minute(30), end=minute(20))
    assert (then.ready, then.depth_age_seconds, then.minute.n, then.health.reasons) == (3, 29.0, now.minute.n, now.health.reasons)
    assert (then.counts.started, then.history.ready) == (10, (20,) * 10)
    assert metrics.overview(start=minute(30), end=minute(20)).ready == 3


def test_health_is_that_of_the_overview(driver: StorageDriver) -> None:
    metrics = reading(driver, steady())
    assert metrics.health() == metrics.overview().health
    assert metrics.health().status is Status.CRITICAL
    assert connect(MemoryStorageDriver()).health().status is Status.UNKNOWN


def test_a_worker_is_found_by_its_id(driver: StorageDriver) -> None:
    fleet = Fleet()
    fleet.worker(pid=7, state="busy", task="app.send", job_id="42", job_started=NOW - 20)
    fleet.worker(pid=8)
    metrics = reading(driver, fleet)
    assert (metrics.worker("web-1:7:77").job_id, metrics.worker("web-1:8:77").state) == ("42", "idle")
    with pytest.raises(UnknownName, match=r"no worker 'web-1:9:77' was recorded; did you mean 'web-1:[78]:77'"):
        metrics.worker("web-1:9:77")


def test_a_queue_of_another_connection_is_not_taken_for_it(driver: StorageDriver) -> None:
    fleet = Fleet()
    for connection in ("a", "b"):
        fleet.queue((connection, "mail"), minute(1), counts={"started": 1 if connection == "a" else 2})
    metrics = reading(driver, fleet)
    assert (metrics.queue("a", "mail").counts.started, metrics.queue("b", "mail").counts.started) == (1, 2)
    with pytest.raises(UnknownName, match="connection 'c' has no queue 'mail'; it was recorded on 'a', 'b'"):
        metrics.queue("c", "mail")
    with pytest.raises(UnknownName, match="no queue 'mial' was recorded; did you mean 'mail'"):
        metrics.queue("a", "mial")


def test_a_series_is_answered_as_it_is_kept(driver: StorageDriver) -> None:
    metrics = reading(driver, steady())
    tasks = metrics.series("task", *SEND, minutes=5)
    assert (tasks.kind, tasks.labels, tasks.window.step_seconds, tasks.n) == ("task", SEND, MINUTE, 5)
    assert [point.at for point in tasks.points] == [minute(back) for back in (4, 3, 2, 1, 0)]
    assert {point.runtime.sum for point in tasks.points} == {1.0}
    assert tasks.points[0].gauges == {}
    queue = metrics.series("queue", *MAIL, start=minute(9), end=minute(8))
    (point,) = queue.points
    assert (point.gauges["ready"].last, point.gauges["ready"].last_at, point.gauges["latency_seconds"].max) == (9, minute(9), 4.5)
    day = metrics.series("task", *SEND, step=DAY)
    assert day.window.step_seconds == DAY
    assert day.n == sum(minute(back) >= day.window.start for back in range(30))
    assert metrics.series("task", *SEND, minutes=10_000).window.step_seconds == HOUR


def test_an_unknown_series_or_kind_says_what_there_is(driver: StorageDriver) -> None:
    metrics = reading(driver, steady())
    with pytest.raises(ValueError, match="no kind of series 'job'; there are task, queue, exception, server, server_task"):
        metrics.series("job", "a")
    with pytest.raises(ValueError, match="has the labels connection, queue, task, not 1 labels"):
        metrics.series("task", "app.send")
    with pytest.raises(UnknownName, match=r"did you mean 'broker / mail / app\.send'"):
        metrics.series("task", *MAIL, "app.sned")


def test_a_reading_holds_several_spans_and_the_answers_of_general_calls(driver: StorageDriver) -> None:
    steady().store(driver)
    driver.set_hash("collector", {"owner": "me"})
    call = Call("get_hash", ("collector",))
    five, ten, hours = last_minutes(5, NOW), last_minutes(10, NOW), last_minutes(1000, NOW)
    found = read(driver, five, kinds=(TASK,), further=[Part(ten), Part(hours, (TASK,))], totals=(QUEUE,), calls=[call, call])
    (task,), (queue,) = found.tasks, found.queues
    assert (len(task.points), len(task.over(ten)), len(task.over(five))) == (5, 10, 5)
    assert sum(value.counter(0) for value in task.over(hours).values()) == 30
    assert (queue.points, len(queue.over(ten)), queue.over(hours)) == ({}, 10, {})
    assert (task.total.counter(0), queue.total.counter(0)) == (0, 30)
    assert found.answers == {call: {"owner": "me"}}
    assert (found.observed_from, found.window_of(ten).observed_from) == (minute(4), minute(9))


def test_the_same_points_are_not_read_twice(driver: StorageDriver) -> None:
    class Watched(MemoryStorageDriver):
        asked = 0

        def read_view(self, ranges=(), **more):  # type: ignore[no-untyped-def]
            Watched.asked = len(ranges)
            return super().read_view(ranges, **more)

    watched = Watched()
    steady().store(watched)
    spans = [last_minutes(number, NOW) for number in (5, 10, 15)]
    found = read(watched, spans[1], further=[Part(spans[0]), Part(spans[2]), Part(spans[2], (TASK,), lambda one: False)])
    assert Watched.asked == 1
    assert [len(found.tasks[0].over(span)) for span in spans] == [5, 10, 15]


def test_the_example_of_the_page_about_reading_tells_of_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reading.md").read_text()
    (example,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    url = f"sqlite:///{tmp_path}/metrics.db"
    monkeypatch.setenv("QUEUE_METRICS_STORE", url)
    monkeypatch.setenv("QUEUE_METRICS_STATE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.time", lambda: NOW)  # the fleet is of the moment at which the tests began
    driver = StorageManager().open(url)
    steady().store(driver)
    driver.close()
    space: dict[str, Any] = {}
    exec(example, space)
    first, queue, task, *windows = space["lines"]
    assert re.fullmatch(r"critical: 1[45] executions in \d+ s", first)
    assert queue == "broker/mail: 0 ready, 0 workers, score 100"
    assert re.fullmatch(r"app\.send: p95 1\.0\d* s, 1\.0 succeeded, 0 retried", task)
    assert [line.split(":")[0] for line in windows] == [f"  last {seconds} s" for seconds in (60, 300, 900, 3600, 86400)]
