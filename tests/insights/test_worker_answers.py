"""What is said of one worker: its state on two thresholds and in the original's words, since when, its time, and whether it is stuck."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from queue_metrics import _core
from queue_metrics._core import Value, decode_heartbeat
from queue_metrics.insights import Metrics, connect
from queue_metrics.insights.stuck import stuck
from queue_metrics.insights.workers import workers
from queue_metrics.model import WorkerAnswer
from queue_metrics.storage.base import Beat, StorageDriver
from tests.support.fleet import NOW, Fleet, heartbeat, minute

SECOND = 1_000_000


def one(age: float = 0.0, *, settled_since: float | None = None, **fields: Any) -> WorkerAnswer:
    beats = [Beat("web-1:100:77", heartbeat(**fields), age)]
    (answer,), _ = workers(beats, NOW, stale_seconds=60.0, lost_seconds=300.0, settled_since=settled_since)
    return answer


@pytest.mark.parametrize(("age", "state"), [(60.0, "idle"), (60.1, "stale"), (300.0, "stale"), (300.1, "lost")])
def test_silence_makes_a_worker_stale_and_later_lost(age: float, state: str) -> None:
    """L9: one threshold for both deleted busy workers with their counters."""
    answer = one(age, finished=12)
    assert (answer.state, answer.jobs) == (state, 12)


@pytest.mark.parametrize(
    ("state", "age", "theirs", "active", "attention"),
    [
        ("starting", 0.0, "idle", True, False),
        ("idle", 0.0, "idle", True, False),
        ("busy", 0.0, "busy", True, False),
        ("stopped", 0.0, "stopped", False, True),
        ("lost", 0.0, "crashed", False, True),
        ("idle", 61.0, "crashed", False, True),
        ("idle", 301.0, "crashed", False, True),
    ],
)
def test_states_in_the_words_of_the_original(state: str, age: float, theirs: str, active: bool, attention: bool) -> None:
    answer = one(age, state=state)
    assert (answer.original_state, answer.active, answer.needs_attention) == (theirs, active, attention)


def test_a_process_that_executes_nothing_is_no_worker_of_the_original() -> None:
    answer = one(role="producer")
    assert (answer.original_state, answer.active, answer.busy_seconds) == ("unknown", False, None)


@pytest.mark.parametrize(("since", "state"), [(119.9, "idle"), (120.0, "lost"), (None, "lost")])
def test_nobody_is_lost_for_age_until_the_collector_has_passed_for_two_minutes(since: float | None, state: str) -> None:
    """A collector or a store that comes back finds old heartbeats of workers that live."""
    settled = None if since is None else NOW - since
    assert one(1000.0, settled_since=settled).state == state
    assert one(0.0, settled_since=NOW, state="lost").state == "lost", "what the kernel said of a process needs no grace"


def test_one_that_beats_again_is_back_with_its_counters(driver: StorageDriver) -> None:
    clock = [NOW]
    metrics = Metrics(driver, now=lambda: clock[0], stale_seconds=0.0001, lost_seconds=0.0002)
    driver.heartbeat_many([("web-1:100:77", heartbeat(finished=41))], 600.0)
    while metrics.workers()[0].state != "lost":
        pass
    driver.heartbeat_many([("web-1:100:77", heartbeat(finished=42))], 600.0)
    (answer,) = connect(driver, now=lambda: NOW).workers()
    assert (answer.state, answer.jobs) == ("idle", 42)


def test_since_when_it_is_in_its_state() -> None:
    assert one(5.0, seen=NOW - 905, state_changed=NOW - 1000).since_state_seconds == pytest.approx(100.0)
    assert one(100.0, seen=NOW - 100, state_changed=NOW - 1000).since_state_seconds == 40.0
    assert one(400.0, seen=NOW - 400, state_changed=NOW - 1000).since_state_seconds == 100.0


def test_idle_and_busy_seconds_have_fractions_and_go_on_by_the_clock_of_the_own_host() -> None:
    """A host whose clock is an hour behind: what the drainer there saw counts, not what is late here."""
    answer = one(1.0, state="busy", busy=1.25, idle=0.5, written=NOW - 3600.25, seen=NOW - 3600, job_started=NOW - 3610)
    assert (answer.busy_seconds, answer.idle_seconds) == (1.5, 0.5)
    assert answer.elapsed_seconds == pytest.approx(10.0)


def test_the_first_beat_has_no_share_of_the_cpu() -> None:
    answer = one(cpu=3.0)
    assert (answer.cpu_ratio, answer.cpu_reason) == (None, "it was read once, and a share needs two readings")
    assert one(cpu=3.0, cpu_share=(3.0, 2.0)).cpu_ratio == 1.5


def runtimes(n: int, seconds: float) -> Value:
    return Value.from_parts([], {0: [round(seconds * SECOND)] * n}, {}, 5)


@pytest.mark.parametrize(
    ("elapsed", "n", "seconds", "verdict"),
    [
        (60.0, 1000, 0.01, False),
        (60.1, 1000, 0.01, True),
        (60.1, 20, 0.01, True),
        (60.1, 19, 0.01, None),
        (299.0, 1000, 100.0, False),
        (304.0, 1000, 100.0, True),
        (60.0, 0, 0.0, False),
        (6000.0, 0, 0.0, None),
        (None, 1000, 0.01, None),
    ],
)
def test_a_job_is_stuck_beyond_a_minute_and_three_times_its_p99(
    elapsed: float | None, n: int, seconds: float, verdict: bool | None
) -> None:
    found, reason = stuck(elapsed, "t", lambda: runtimes(n, seconds))
    assert found is verdict
    assert (reason is None) == (verdict is False)


@pytest.mark.parametrize(
    ("elapsed", "running", "verdict"),
    [(60.0, 3, False), (90.0, 1, False), (90.0, 3, None), (304.0, 3, True), (10.0, 64, False), (10.0, 65, None)],
)
def test_of_several_jobs_only_the_one_that_runs_longest_is_known(elapsed: float, running: int, verdict: bool | None) -> None:
    """While it is younger than a minute no other can be stuck; older and not stuck, it says nothing of them."""
    found, reason = stuck(elapsed, "t", lambda: runtimes(1000, 100.0), running)
    assert found is verdict
    assert (reason is None) == (verdict is False)


def test_the_job_that_a_worker_shows_is_the_one_that_runs_longest(tmp_path: Path) -> None:
    recorder = _core.Recorder(str(tmp_path / "spool"), "web")
    drainer, tickets = _core.Drainer(str(tmp_path / "spool")), {}
    handle = recorder.series("broker", "mail", "send", _core.CLOCK_NONE)

    def shown() -> tuple[str, int]:
        drainer.poll()
        ((_, page),) = drainer.heartbeats(_core.clock_us())
        told = decode_heartbeat(page)
        return told["job_id"], told["running"]

    for number, job in enumerate("abc", 1):
        tickets[job] = recorder.started(handle, job, 0, _core.NO_TIME)
        assert shown() == ("a", number)
    for ended, left in (("b", ("a", 2)), ("a", ("c", 1))):
        recorder.finished(tickets[ended], _core.SUCCEEDED, None, 0)
        assert shown() == left
    tickets["d"] = recorder.started(handle, "d", 0, _core.NO_TIME)
    assert shown() == ("c", 2)


def test_a_hung_worker_shows_as_stuck_though_it_beats(driver: StorageDriver) -> None:
    fleet = Fleet()
    for task in ("app.quick", "app.slow"):
        usual = 100_000 if task == "app.quick" else 400 * SECOND
        fleet.task(("broker", "default", task), minute(5), counts={"started": 25, "succeeded": 25}, measures={0: [usual] * 25})
    hung = {"state": "busy", "written": NOW - 1000, "seen": NOW, "job_started": NOW - 1000}
    for pid, task in ((1, "app.quick"), (2, "app.slow"), (3, "app.new")):
        fleet.worker(pid=pid, task=task, job_id="j", **hung)
    fleet.worker(pid=4)
    fleet.store(driver)
    metrics = connect(driver, now=lambda: NOW)
    found = {worker.pid: (worker.stuck, worker.stuck_reason) for worker in metrics.workers()}
    assert found[1][0] is True
    assert found[1][1] == "the job has run for 16 min 40 s; 99 % of 25 executions of app.quick took 100 ms at most"
    assert found[2] == (False, None)
    assert found[3] == (None, "the job has run for 16 min 40 s; what is usual is known from 20 executions on, not 0")
    assert found[4] == (False, None)
    assert {worker.pid: worker.stuck for worker in metrics.snapshot().workers} == {pid: each[0] for pid, each in found.items()}
