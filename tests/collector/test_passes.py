"""A pass of the collector through real stores: what it writes, once a minute, all of it or nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from queue_metrics.collector import Ages, collect, once
from queue_metrics.collector.baselines import calculate_now
from queue_metrics.errors import StoreUnavailable
from queue_metrics.insights import connect
from queue_metrics.storage.base import Commit, StorageDriver
from queue_metrics.storage.baselines import BASELINES, decode
from queue_metrics.storage.collector import COLLECTOR, state_of
from queue_metrics.storage.efficiency import ALL_KEY, fleet_minutes
from queue_metrics.storage.events import EVENTS, SILENT, events_of
from queue_metrics.storage.general import Call
from queue_metrics.storage.servers import server_minutes
from tests.collector.stored import crew, general, mail
from tests.support.fleet import NOW, Fleet, heartbeat, minute
from tests.support.patience import PATIENCE


def passed(driver: StorageDriver, back: int, **pages: tuple[float, float]) -> bool:
    """A pass so many minutes before NOW, with workers as they were then."""
    crew(driver, NOW - 60 * back, **pages)
    return collect(driver, "test", now=NOW - 60 * back).done


def test_a_pass_keeps_servers_workers_baselines_and_its_moment(driver: StorageDriver) -> None:
    mail().store(driver)
    assert passed(driver, 2, **{"web-1": (100.0, 0.0), "web-10": (0.0, 50.0)})
    assert passed(driver, 1, **{"web-1": (115.0, 45.0), "web-10": (60.0, 50.0)})
    for host in ("web-1", "web-10"):
        rows = server_minutes(driver.get_sorted_set_by_rank(f"server_minutes:{host}"))
        assert [row.minute for row in rows] == [minute(2), minute(1)]
        assert (rows[0].cpu_ratio, rows[0].memory_ratio, rows[0].disk_ratio, rows[0].load, rows[0].cores) == (0.5, 0.25, 0.8, 1.5, 4)
    (row,) = fleet_minutes(driver.get_sorted_set_by_rank(ALL_KEY))
    assert (row.crew.spent.busy_seconds, row.crew.spent.idle_seconds, row.seconds) == (75.0, 45.0, 60.0)
    assert (row.crew.live, row.crew.rss_mean_bytes, row.crew.cpu_mean_ratio) == (2, 1000, 0.25)
    stored = decode(driver.get_hash(BASELINES), NOW)
    assert set(stored) == {("broker", "mail"), ("broker", "mail", "send")}
    assert stored["broker", "mail", "send"].duration_seconds == pytest.approx(0.1)
    state = state_of(driver.get_hash(COLLECTOR))
    assert (state.last_pass, state.settled_since, state.owner) == (NOW - 60, NOW - 120, "test")


def test_a_process_with_the_pid_of_one_that_is_gone_inherits_nothing_of_it(driver: StorageDriver) -> None:
    """L20: within the minute between two passes a worker died, and its pid went to the next one, which has a start time of its own."""
    mail().store(driver)
    crew(driver, NOW, other=(0.0, 0.0))
    old: dict[str, Any] = {"host": "web", "queue": "mail", "busy": 5000.0, "idle": 100.0, "finished": 900, "process_started": NOW - 9000}
    driver.heartbeat_many([("web:100:77", heartbeat(**old, written=NOW - 60, seen=NOW - 60))], 600.0)
    assert collect(driver, "test", now=NOW - 60).done
    new: dict[str, Any] = {"host": "web", "queue": "mail", "busy": 10.0, "idle": 15.0, "finished": 3, "process_started": NOW - 25}
    pages = [("web:100:77", heartbeat(**old, state="lost", seen=NOW)), ("web:100:78", heartbeat(**new, written=NOW, seen=NOW))]
    driver.heartbeat_many(pages, 600.0)
    assert collect(driver, "test", now=NOW).done
    (row,) = fleet_minutes(driver.get_sorted_set_by_rank(ALL_KEY))
    assert (row.crew.spent.busy_seconds, row.crew.spent.idle_seconds) == (10.0, 15.0)
    found = {each.id: each for each in connect(driver, now=lambda: NOW).workers() if each.host == "web"}
    assert {id: (each.state, each.pid, each.jobs) for id, each in found.items()} == {
        "web:100:77": ("lost", 100, 900),
        "web:100:78": ("idle", 100, 3),
    }
    assert (found["web:100:78"].busy_seconds, found["web:100:78"].uptime_seconds) == (10.0, 25.0)


def test_a_second_pass_of_a_minute_changes_nothing(driver: StorageDriver) -> None:
    mail(ready=500).store(driver)
    assert passed(driver, 2, web=(0.0, 0.0))
    assert passed(driver, 1, web=(60.0, 0.0))
    before = general(driver)
    crew(driver, NOW, web=(90.0, 0.0))
    again = collect(driver, "another", now=NOW - 60 + 20)
    assert (again.done, again.events) == (False, {})
    assert general(driver) == before


def test_a_trial_says_what_would_be_written_and_writes_nothing(driver: StorageDriver) -> None:
    mail(ready=500).store(driver)
    crew(driver, NOW, web=(0.0, 0.0))
    before = general(driver)
    answer = once(driver, now=NOW, dry_run=True)
    assert answer is not None
    assert (answer.done, answer.servers, answer.baselines) == (False, 1, 2)
    assert answer.events == {"queue_depth_threshold_exceeded": 1, "baseline_recalculated": 1}
    assert general(driver) == before == {}


def test_minutes_without_a_pass_are_gaps_and_settling_begins_anew(driver: StorageDriver) -> None:
    mail().store(driver)
    for back, busy in ((8, 0.0), (7, 30.0), (2, 230.0), (1, 260.0)):
        assert passed(driver, back, web=(busy, 0.0))
    rows = fleet_minutes(driver.get_sorted_set_by_rank(ALL_KEY))
    assert [(int(row.at) // 60 * 60, row.seconds) for row in rows] == [(minute(7), 60.0), (minute(2), 300.0), (minute(1), 60.0)]
    assert [row.minute for row in server_minutes(driver.get_sorted_set_by_rank("server_minutes:web"))] == [
        minute(back) for back in (8, 7, 2, 1)
    ]
    assert state_of(driver.get_hash(COLLECTOR)).settled_since == NOW - 120


def test_baselines_are_made_by_the_schedule_of_each_queue(driver: StorageDriver) -> None:
    """300 executions give a confidence of 1, so the next calculation is an hour away."""
    mail().store(driver)
    done = [collect(driver, "test", now=NOW + 60 * number).baselines for number in (0, 1, 59, 60)]
    assert done == [2, 0, 0, 2]


def ended(driver: StorageDriver, number: int, back: int, seconds: float) -> None:
    """Ten executions of a task, in one minute, as the batch of this number."""
    fleet = Fleet()
    costs = {0: [round(seconds * 1e6)] * 10, 2: [1000] * 10, 3: [1 << 20] * 10}
    fleet.task(("broker", "mail", "app.mail"), minute(back), counts={"started": 10, "succeeded": 10}, measures=costs)
    fleet.store(driver, sequence=number)


def test_a_queue_of_which_a_task_deviates_is_calculated_within_five_minutes(driver: StorageDriver) -> None:
    """From the second minute on executions take ten times as long; until then a pass reads what every pass reads."""

    def passing(number: int) -> tuple[int, int]:
        answer = collect(driver, "test", now=NOW - 60 * (20 - number))
        found = connect(driver, now=lambda: NOW - 60 * (20 - number)).baseline("broker", "mail")
        assert found.next_interval_minutes == (5 if found.deviation.deviates else 60)
        return answer.baselines, answer.requests

    for number in range(60):
        ended(driver, number, 80 - number, 0.1)
    passing(0)
    quiet = {}
    for number in (1, 2, 3, 4, 5, 6):
        ended(driver, 59 + number, 21 - number, 0.1)
        quiet[number] = passing(number)
    assert {baselines for baselines, _ in quiet.values()} == {0}
    assert quiet[5] == quiet[4], "it is looked after, by what is read anyway"
    done = []
    for number in range(7, 17):
        ended(driver, 59 + number, 21 - number, 1.0)
        done.append(passing(number)[0])
    assert done == [0, 0, 0, 2, 0, 0, 0, 0, 2, 0], "at 10 and at 15 minutes, not after an hour"


@pytest.mark.parametrize(
    ("passes", "done"),
    [((0, 5, 9, 11, 12, 16), (11, 16)), ((0, 2, 4, 6, 8, 10, 12, 14, 16), (10, 16)), ((0, 8, 9), ()), ((0, 3, 19), (19,))],
    ids=["one is missing", "each other one is", "it is not looked twice", "many are"],
)
def test_a_deviation_is_seen_by_the_pass_after_one_that_is_missing(
    driver: StorageDriver, passes: Sequence[int], done: Sequence[int]
) -> None:
    """Executions take ten times as long from the ninth minute on."""
    found = []
    for number in range(-59, 20):
        ended(driver, number + 59, 21 - number, 0.1 if number < 9 else 1.0)
        if number in passes and collect(driver, "test", now=NOW - 60 * (20 - number)).baselines:
            found.append(number)
    assert found == [0, *done]


def test_when_the_next_queue_is_due_heeds_a_deviation_of_now(driver: StorageDriver) -> None:
    """Executions take ten times as long from the second minute after the calculation on; nothing of it is stored."""
    told = []
    for number in range(-59, 8):
        now = NOW - 60 * (20 - number)
        ended(driver, number + 59, 21 - number, 0.1 if number < 2 else 1.0)
        if number == 0:
            assert collect(driver, "test", now=now).baselines
        if number >= 0:
            told.append([calculate_now(driver, connection=each, dry_run=True, now=now) for each in (None, "other")])
    assert [(len(all_due.calculated), all_due.next_minutes) for all_due, _ in told] == [
        (0, 60),
        (0, 59),
        *[(0, 3), (0, 2), (0, 1)],
        *[(2, 5)] * 3,
    ]
    assert [other.next_minutes for _, other in told] == [60, 59, 3, 2, 1, 0, 4, 3], "a pass looks each five minutes"


def test_a_clock_that_was_far_ahead_stops_nobody(driver: StorageDriver) -> None:
    mail().store(driver)
    crew(driver, NOW, web=(0.0, 0.0))
    assert collect(driver, "wrong", now=NOW + 400 * 86400).done
    assert not collect(driver, "wrong", now=NOW + 400 * 86400 + 10).done
    assert collect(driver, "right", now=NOW).done
    assert collect(driver, "right", now=NOW + 60).done
    assert [int(row.at) for row in fleet_minutes(driver.get_sorted_set_by_rank(ALL_KEY))] == [int(NOW) + 60]


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
def test_a_store_that_fails_in_a_pass_has_a_whole_minute_or_none(
    driver: StorageDriver, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    """The connection breaks as the transaction is sent, or once the store has done it: nobody can tell, and the next pass goes on."""
    mail(ready=500).store(driver)
    assert passed(driver, 3, web=(0.0, 0.0))
    crew(driver, NOW - 120, web=(60.0, 0.0))
    before, watching = general(driver), driver.watching

    @contextlib.contextmanager
    def broken(names: Sequence[str]) -> Iterator[Commit]:
        with watching(names) as commit:

            def fails(calls: Sequence[Call]) -> list[Any] | None:
                if written:
                    commit(calls)
                raise StoreUnavailable("the connection broke")

            yield fails

    monkeypatch.setattr(driver, "watching", broken)
    with pytest.raises(StoreUnavailable):
        collect(driver, "test", now=NOW - 120)
    monkeypatch.undo()
    if not written:
        assert general(driver) == before
    assert collect(driver, "test", now=NOW - 110).done is not written
    assert passed(driver, 1, web=(90.0, 30.0))
    rows = fleet_minutes(driver.get_sorted_set_by_rank(ALL_KEY))
    assert [(row.crew.spent.busy_seconds, row.crew.spent.idle_seconds) for row in rows] == [(60.0, 0.0), (30.0, 30.0)]
    told = events_of(driver.get_sorted_set_by_rank(EVENTS))
    assert [event.number for event in told] == list(range(1, len(told) + 1))
    # The depth is of NOW, shortly ahead of every pass, so each of the three that were written tells of it.
    once = ["baseline_recalculated", *["queue_depth_threshold_exceeded"] * 3, "worker_efficiency_changed"]
    assert sorted(event.kind for event in told) == once


def test_a_minute_in_which_executions_ended_is_told_once_when_all_of_it_is_there(driver: StorageDriver) -> None:
    """300 of mail, 30 of them failed, of 100 ms; and 100 more of another queue of 300 ms: 400 in all, 150 ms in the mean."""
    fleet = mail(failed=30)
    fleet.queue(("broker", "mail"), minute(1), measures={0: [100_000] * 300})
    fleet.task(("broker", "slow", "sum"), minute(1), counts={"started": 100, "succeeded": 100}, measures={0: [300_000] * 100})
    fleet.queue(("broker", "slow"), minute(1), counts={"started": 100, "succeeded": 100}, measures={0: [300_000] * 100})
    fleet.store(driver)
    told = [collect(driver, "test", now=NOW + 60 * number).events.get("metrics_recorded", 0) for number in (0, 1, 1, 2)]
    assert told == [0, 1, 0, 0]
    (event,) = [each for each in events_of(driver.get_sorted_set_by_rank(EVENTS)) if each.kind == "metrics_recorded"]
    assert event.data == {
        "minute": datetime.fromtimestamp(minute(1), UTC).isoformat(),
        "window_seconds": 60,
        "queues": 2,
        "jobs_processed": 400,
        "jobs_failed": 30,
        "failure_rate": 7.5,
        "avg_duration": 150.0,
    }


def test_of_two_passes_at_once_one_writes(driver: StorageDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have read before either writes, as when a lease ended during a long look."""
    mail(ready=500).store(driver)
    crew(driver, NOW, web=(0.0, 0.0))
    look = driver.read_view
    first: list[bool] = []

    def slow(*arguments: Any, **more: Any) -> Any:
        view = look(*arguments, **more)
        if not first:
            first.append(True)
            first.append(collect(driver, "quick", now=NOW).done)
        return view

    monkeypatch.setattr(driver, "read_view", slow)
    answer = collect(driver, "slow", now=NOW)
    assert first == [True, True]
    assert (answer.done, answer.message) == (False, "another collector was quicker")
    assert state_of(driver.get_hash(COLLECTOR)).owner == "quick"
    assert driver.count_sorted_set(EVENTS) == 2


def test_while_passes_settle_nobody_is_lost_for_age_alone_and_who_beats_again_is_revived(driver: StorageDriver) -> None:
    """The collector, or the store, was away until now: who lives has had no time to beat."""
    mail().store(driver)
    beat = ("web-9:1:77", heartbeat(host="web-9", pid=1, written=NOW, seen=NOW, finished=12, busy=5.0))
    driver.heartbeat_many([beat], 600.0)
    deadline = time.monotonic() + PATIENCE
    while driver.read_heartbeats()[0].age < 0.2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    impatient, patient = Ages(0.05, 0.1), Ages(60.0, 300.0)

    def heard(number: int, ages: Ages) -> set[str]:
        answer = collect(driver, "test", now=NOW + 60 * number, ages=ages)
        return {kind for kind in answer.events if kind.startswith("worker_")}

    assert [heard(number, impatient) for number in range(4)] == [set(), set(), {"worker_lost"}, set()]
    assert [heard(number, impatient) for number in (7, 8, 9)] == [set()] * 3, "after a gap it has not beaten, and is not lost once more"
    driver.heartbeat_many([beat], 600.0)
    assert [heard(number, patient) for number in (10, 11)] == [{"worker_revived"}, set()]
    assert driver.get_hash(SILENT) == {}
    events = [event for event in events_of(driver.get_sorted_set_by_rank(EVENTS)) if event.kind.startswith("worker_")]
    assert [(event.data["worker_id"], event.data["hostname"], event.data["state"]) for event in events] == [
        ("web-9:1:77", "web-9", "lost"),
        ("web-9:1:77", "web-9", "idle"),
    ]
    (worker,) = connect(driver, now=lambda: NOW + 660).workers()
    assert (worker.jobs, worker.busy_seconds) == (12, 5.0)


LATE = (0.5, 50.0, 3.0, 30.0, 59.0, 10.0, 0.5, 50.0)
"""Seconds of its minute at which each pass writes; it asked 3 s before."""


@pytest.mark.parametrize("asked", [("broker",), ("another",)])
def test_a_depth_that_passes_ask_for_lapses_between_none_of_them_however_late(driver: StorageDriver, asked: tuple[str, ...]) -> None:
    """One that somebody else told does, after `stale_seconds`."""
    found = []
    for number, late in enumerate(LATE):
        at = minute(len(LATE) - number) + late
        if number:
            found.append(connect(driver, now=lambda: at).queue("broker", "mail").ready)  # noqa: B023  asked at once
        fleet = Fleet()
        fleet.queue(("broker", "mail"), int(at - 3) // 60 * 60, gauges={0: [(round((at - 3) * 1e6), 7)]})
        fleet.store(driver, number)
        assert collect(driver, "test", now=at, asked=asked).done
    assert found == [7] * 7 if asked == ("broker",) else None in found
