"""From batches in a store to answers, with every expected number computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from queue_metrics.errors import QueueMetricsError, StoreUnavailable
from queue_metrics.insights import Metrics, UnknownName, connect
from queue_metrics.model import Discard, Outcome, Status
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.memory import MemoryStorageDriver
from queue_metrics.storage.spools import spool_beat
from queue_metrics.storage.view import View
from tests.support.fleet import HOSTILE, NOW, Fleet, minute

SEND = ("broker", "mail", "app.send")


def reading(driver: StorageDriver, fleet: Fleet) -> Metrics:
    fleet.store(driver)
    return connect(driver, now=lambda: NOW)


def two_minutes() -> Fleet:
    """Ten minutes ago four executions, in the open minute two; something happened on another queue twenty minutes ago."""
    fleet = Fleet()
    fleet.task(("broker", "default", "app.other"), minute(20), counts={"started": 1, "succeeded": 1}, measures={0: [2_000_000]})
    fleet.task(
        SEND,
        minute(10),
        counts={"started": 4, "succeeded": 2, "failed": 1, "retried": 1, "arrivals": 3, "retries_following": 1},
        discarded=[2, 0, 0, 1],
        measures={0: [100_000, 200_000, 300_000, 400_000], 1: [1_000, 2_000, 3_000, 4_000], 2: [50_000] * 4, 3: [1024, 2048], 4: [-10, 30]},
    )
    fleet.task(SEND, minute(0), counts={"started": 2, "succeeded": 1, "lost": 1, "result_errors": 1}, measures={0: [1_000_000]})
    return fleet


def test_a_task_is_answered_over_its_window_with_lifetime_and_history(driver: StorageDriver) -> None:
    answer = reading(driver, two_minutes()).task("app.send")
    assert (answer.connection, answer.queue, answer.task) == SEND
    assert answer.counts.started == 6
    assert {outcome.value: number for outcome, number in answer.counts.outcomes.items() if number} == {
        "succeeded": 3,
        "failed": 1,
        "retried": 1,
        "lost": 1,
    }
    assert (answer.n, answer.counts.failures, answer.counts.arrivals, answer.counts.result_errors) == (6, 2, 3, 1)
    assert (answer.counts.discarded[Discard.REVOKED], answer.counts.discarded[Discard.SKIPPED]) == (2, 1)
    assert (answer.runtime.n, answer.runtime.sum, answer.runtime.mean) == (5, 2.0, 0.4)
    assert (answer.runtime.min, answer.runtime.max) == (0.1, 1.0)
    assert answer.runtime.p50 == pytest.approx(0.3, rel=0.011)
    assert answer.runtime.p95 == pytest.approx(1.0, rel=0.011)
    assert (answer.wait.mean, answer.cpu.mean, answer.memory_peak.mean, answer.memory_change.mean) == (0.0025, 0.05, 1536.0, 10.0)
    assert (answer.failure.part, answer.failure.n, answer.failure.ratio) == (2, 5, 0.4)
    # Recording was seen alive for twenty minutes and the thirty seconds of the open one.
    assert answer.window.observed_seconds == 20 * 60 + 30
    assert answer.throughput_per_second == 6 / 1230
    assert answer.busy_workers == 2.0 / 1230
    assert answer.capacity_ratio == 0.5
    assert answer.error_ratio == pytest.approx(0.0108, abs=0.0001)


def test_history_knows_zero_from_unknown(driver: StorageDriver) -> None:
    history = reading(driver, two_minutes()).task("app.send").history
    assert len(history.ended) == 60
    assert history.start == minute(59)
    assert history.ended[:39] == (None,) * 39
    assert history.ended[39:49] == (0,) * 10
    assert (history.ended[49], history.failures[49], history.ended[59], history.failures[59]) == (4, 1, 2, 1)
    assert history.runtime_p95_seconds[48] is None
    assert history.runtime_p95_seconds[49] == pytest.approx(0.4, rel=0.011)


def test_totals_are_exact_and_outlast_the_window(driver: StorageDriver) -> None:
    answer = reading(driver, two_minutes()).task("app.send", minutes=5)
    assert (answer.counts.started, answer.lifetime.counts.started) == (2, 6)
    assert answer.lifetime.counts.outcomes[Outcome.LOST] == 1
    assert (answer.lifetime.runtime.n, answer.lifetime.runtime.sum_seconds) == (5, 2.0)
    assert dict(zip(answer.lifetime.runtime.bounds_seconds, answer.lifetime.runtime.cumulative, strict=True))[0.25] == 2
    assert (answer.lifetime.memory_change.n, answer.lifetime.memory_change.sum) == (2, 20)


@pytest.mark.parametrize("minutes", [60, 600, 40_000])
def test_minutes_hours_and_days_count_the_same(driver: StorageDriver, minutes: int) -> None:
    answer = reading(driver, two_minutes()).task("app.send", minutes=minutes)
    assert (answer.counts.started, answer.n, answer.runtime.sum) == (6, 6, 2.0)
    assert answer.runtime.p50 == pytest.approx(0.3, rel=answer.error_ratio)


def test_a_task_of_several_queues_is_answered_together_or_apart(driver: StorageDriver) -> None:
    fleet = two_minutes()
    fleet.task(("broker", "bulk", "app.send"), minute(3), counts={"started": 1, "succeeded": 1}, measures={0: [9_000_000]})
    metrics = reading(driver, fleet)
    together = metrics.task("app.send")
    assert (together.connection, together.queue, together.n, together.runtime.max) == ("broker", None, 7, 9.0)
    assert metrics.task("app.send", queue="bulk").n == 1
    assert [(task.queue, task.task) for task in metrics.tasks()] == [("bulk", "app.send"), ("mail", "app.send"), ("default", "app.other")]


def test_an_unknown_name_is_a_key_error_that_says_which_are_near(driver: StorageDriver) -> None:
    metrics = reading(driver, two_minutes())
    with pytest.raises(KeyError, match=r"no task 'app\.sned' was recorded; did you mean 'app\.send'\?") as caught:
        metrics.task("app.sned")
    assert isinstance(caught.value, UnknownName)
    assert isinstance(caught.value, QueueMetricsError)
    with pytest.raises(UnknownName, match="was recorded in broker/mail only"):
        metrics.task("app.send", queue="other")
    with pytest.raises(UnknownName, match="no queue was recorded yet"):
        metrics.queue("broker", "mail")


def test_a_queue_shows_four_depths_age_and_flow(driver: StorageDriver) -> None:
    fleet = Fleet()
    fleet.queue(("broker", "mail"), minute(2), counts={"arrivals": 30, "started": 20, "succeeded": 15, "failed": 3})
    asked = int((NOW - 7) * 1e6)
    gauges = {0: [(asked - 10_000_000, 9), (asked, 4)], 1: [(asked, 1)], 2: [(asked, 12)], 3: [(asked, 2)], 4: [(asked, 90_500_000)]}
    fleet.queue(("broker", "mail"), minute(0), gauges=gauges, measures={1: [250_000]})
    fleet.worker(pid=1, state="busy", connection="broker", queue="default,mail")
    fleet.worker(pid=2, state="idle", connection="other", queue="mail")
    answer = reading(driver, fleet).queue("broker", "mail")
    assert (answer.ready, answer.reserved, answer.scheduled, answer.running) == (4, 1, 12, 2)
    assert (answer.latency_seconds, answer.depth_reason) == (90.5, None)
    assert answer.depth_age_seconds == pytest.approx(7.0)
    assert (answer.arrivals_per_second, answer.starts_per_second, answer.ends_per_second) == (30 / 150, 20 / 150, 18 / 150)
    assert (answer.wait.n, answer.wait.mean, answer.workers) == (1, 0.25, 1)
    assert answer.history.ready[-1] == 9
    assert answer.history.latency_seconds[-1] == 90.5
    assert answer.history.ready[-2] is None


def test_quantiles_of_a_queue_are_those_of_its_tasks_which_alone_keep_sketches(driver: StorageDriver) -> None:
    fleet = Fleet()
    fleet.task(("broker", "mail", "one"), minute(2), counts={"started": 1}, measures={0: [1_000], 1: [10_000] * 9})
    fleet.task(("broker", "mail", "two"), minute(1), counts={"started": 1}, measures={1: [90_000]})
    fleet.task(("broker", "other", "two"), minute(1), counts={"started": 1}, measures={1: [7_000_000]})
    fleet.queue(("broker", "mail"), minute(1), counts={"started": 2})
    answer = reading(driver, fleet).queue("broker", "mail")
    assert (answer.wait.n, answer.wait.max, answer.runtime.n) == (10, 0.09, 1)
    assert answer.wait.p50 == pytest.approx(0.01, rel=0.011)
    assert answer.wait.p95 == pytest.approx(0.09, rel=0.011)


def test_an_old_depth_is_unknown_with_a_reason_and_an_age_of_an_emptied_queue_too(driver: StorageDriver) -> None:
    fleet = Fleet()
    old, new = int((NOW - 300) * 1e6), int((NOW - 5) * 1e6)
    fleet.queue(("broker", "gone"), minute(5), gauges={0: [(old, 50)], 4: [(old, 1_000_000)]})
    fleet.queue(("broker", "emptied"), minute(0), gauges={0: [(new - 10_000_000, 3), (new, 0)], 4: [(new - 10_000_000, 1_000_000)]})
    fleet.queue(("broker", "unasked"), minute(0), counts={"started": 1})
    answers = {answer.queue: answer for answer in reading(driver, fleet).queues()}
    assert (answers["gone"].ready, answers["gone"].latency_seconds) == (None, None)
    assert answers["gone"].depth_reason == "the broker was last asked 5 min 00 s ago"
    assert (answers["emptied"].ready, answers["emptied"].latency_seconds) == (0, None)
    assert "nobody has asked the broker" in (answers["unasked"].depth_reason or "")


def test_the_overview_adds_up_and_says_what_is_wrong(driver: StorageDriver) -> None:
    fleet = two_minutes()
    asked = int((NOW - 5) * 1e6)
    one_of_four = {"started": 4, "succeeded": 3, "failed": 1}  # which may be luck of a queue, and is none of two
    fleet.queue(("broker", "mail"), minute(0), counts=one_of_four, gauges={0: [(asked, 500)], 4: [(asked, 960_000_000)]})
    fleet.queue(("broker", "default"), minute(9), counts=one_of_four, gauges={0: [(asked, 2)], 4: [(asked, 1_000_000)]})
    fleet.queue(("broker", "dark"), minute(0), counts={"started": 1})
    fleet.worker(pid=10, role="main", queue="mail,default")
    fleet.worker(pid=11, parent_pid=10, state="busy", queue="mail,default")
    fleet.worker(pid=12, parent_pid=10, state="lost")
    fleet.beats.append(spool_beat("a" * 32, {"waiting": 3, "drops": {"spool_full": 8, "disk_full": 0}, "damaged": 0}))
    answer = reading(driver, fleet).overview()
    assert (answer.counts.started, answer.n, answer.runtime.sum) == (7, 7, 4.0)
    assert (answer.ready, answer.latency_seconds, answer.latency_queue, answer.queues_unknown) == (502, 960.0, ("broker", "mail"), 1)
    assert (answer.workers.busy, answer.workers.lost, answer.workers.live) == (1, 1, 1)
    assert (answer.tasks, answer.queues, answer.waiting_records, answer.dropped) == (2, 3, 3, {"spool_full": 8})
    assert answer.health.status is Status.CRITICAL
    assert [reason.code for reason in answer.health.reasons] == ["dropped", "queue", "workers_lost", "failures"]
    assert answer.history.ended[49] == 4


def test_an_empty_store_is_unknown_and_says_so(driver: StorageDriver) -> None:
    answer = connect(driver, now=lambda: NOW).overview()
    assert answer.health.status is Status.UNKNOWN
    assert [reason.code for reason in answer.health.reasons] == ["empty"]
    assert (answer.throughput_per_second, answer.ready, answer.failure.ratio, answer.runtime.p95) == (None, None, None, None)
    assert answer.history.ended == (None,) * 60


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_is_found_again(driver: StorageDriver, name: str) -> None:
    fleet = Fleet()
    fleet.task((name, name, name), minute(1), counts={"started": 1})
    fleet.queue((name, name), minute(1), counts={"started": 1})
    metrics = reading(driver, fleet)
    assert metrics.task(name, queue=name, connection=name).counts.started == 1
    assert metrics.queue(name, name).queue == name


def test_errors_of_the_store_pass_as_they_are() -> None:
    class Away(MemoryStorageDriver):
        def read_view(self, *ranges: Any, **more: Any) -> View:
            raise StoreUnavailable("gone")

    with pytest.raises(StoreUnavailable, match="gone"):
        connect(Away()).overview()


def test_reading_changes_nothing(driver: StorageDriver) -> None:
    metrics = reading(driver, two_minutes())
    first = metrics.snapshot()
    second = metrics.snapshot()
    assert (first.tasks, first.queues) == (second.tasks, second.queues)
