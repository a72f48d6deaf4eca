"""Lessons of the original's bugs that no other test shows whole, each through SQLite and a real Redis; `docs/lessons.md` lists them all."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.cli import main
from queue_metrics.collector import collect
from queue_metrics.insights import Metrics, connect
from queue_metrics.model import Advice, Outcome, Status
from queue_metrics.model.servers import DiskUse
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.servers import server_beat
from queue_metrics.testing import HostFiles
from tests.http.asking import app_of, ask
from tests.insights.known import Job, Known, drained
from tests.support.fleet import NOW, Fleet, heartbeat, minute
from tests.support.servers import RedisServer

MAIL = ("broker", "mail")
SEND = (*MAIL, "app.send")
DAY_OF_JOBS = 1_000_000
OUTCOMES = (_core.SUCCEEDED, _core.FAILED, _core.RETRIED, _core.TIMED_OUT, _core.CANCELLED)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(params=["sqlite", "redis"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorageDriver]:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else f"sqlite:///{tmp_path}/lessons.db"
    opened = StorageManager(prefix=tmp_path.name).open(url)
    yield opened
    opened.close()


def stored(fleet: Fleet, driver: StorageDriver) -> Metrics:
    fleet.store(driver)
    return connect(driver, now=lambda: NOW)


def job(ago: float, *, runtime: int = 1_000, wait: int = 0) -> Job:
    """An execution that succeeded and ended so many seconds ago; times in µs."""
    return Job(
        queue="mail",
        task="app.send",
        at=round((NOW - ago) * 1e6),
        outcome="succeeded",
        runtime=runtime,
        cpu=0,
        wait=wait,
        peak=1,
        change=0,
        exception=None,
        retry=False,
        server="web-1",
    )


def told(jobs: list[Job], spool: Path, driver: StorageDriver) -> Metrics:
    """Through journal, drainer and store."""
    drained(Known(jobs), spool, driver)
    return connect(driver, now=lambda: NOW)


def drain(spool: Path, driver: StorageDriver) -> _core.Drainer:
    drainer = _core.Drainer(str(spool))
    drainer.poll()
    while (batch := drainer.next_batch()) is not None:
        assert driver.apply_batch(0, batch).applied
        drainer.committed()
    return drainer


def test_l7_ids_of_any_type_are_jobs_like_any_other(driver: StorageDriver, tmp_path: Path) -> None:
    recorder = _core.Recorder(str(tmp_path / "spool"), "web-1")
    handle = recorder.series(*SEND, _core.CLOCK_THREAD)
    ids: list[object] = [7, 2**70, uuid.UUID(int=9), "a:b:c", "17:250", "", "ünï/{x}", "x" * 10_000]
    for one in ids:
        recorder.arrived(handle, one, 0, _core.NO_TIME)
        recorder.finished(recorder.started(handle, one, 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)
    for one in ids[:5]:
        slot = recorder.started(handle, one, 0, _core.NO_TIME)
        driver.heartbeat_many([("web-1:1:1", recorder.heartbeat())], 600.0)
        assert [worker.job_id for worker in connect(driver).workers()] == [str(one)]
        recorder.finished(slot, _core.SUCCEEDED, None, 0)
    drain(tmp_path / "spool", driver)
    (task,) = connect(driver).tasks()
    assert (task.counts.arrivals, task.counts.started, task.counts.outcomes[Outcome.SUCCEEDED]) == (len(ids), len(ids) + 5, len(ids) + 5)
    assert recorder.status()["hook_errors"] == 0


@pytest.mark.parametrize("seed", range(5))
def test_l10_whatever_is_called_each_start_has_one_outcome(driver: StorageDriver, tmp_path: Path, seed: int) -> None:
    """Ends are said twice, with another outcome, and for no execution at all, as hooks of job libraries do."""
    chance = random.Random(seed)
    recorder = _core.Recorder(str(tmp_path / "spool"), "web-1")
    handle = recorder.series(*SEND, _core.CLOCK_PROCESS)
    running: list[int] = []
    ended: list[int] = []
    first: Counter[int] = Counter()
    started = 0
    for number in range(400):
        if chance.random() < 0.5 or not running:
            slot = recorder.started(handle, number, 0, _core.NO_TIME)
            if slot >= 0:
                running.append(slot)
                ended = [one for one in ended if one != slot]
                started += 1
        else:
            slot, outcome = running.pop(chance.randrange(len(running))), chance.choice(OUTCOMES)
            recorder.finished(slot, outcome, None, 0)
            first[outcome] += 1
            ended.append(slot)
        for slot in (*chance.sample(ended, min(2, len(ended))), -1):
            recorder.finished(slot, chance.choice(OUTCOMES), "ValueError", 0)
    for slot in running:
        recorder.finished(slot, _core.FAILED, None, 0)
        first[_core.FAILED] += 1
    drain(tmp_path / "spool", driver)
    (task,) = connect(driver).tasks()
    assert started > 100
    assert (task.counts.started, task.counts.ended) == (started, started)
    assert {name.value: number for name, number in task.counts.outcomes.items() if number} == {
        name: first[code] for code, name in enumerate(("succeeded", "failed", "retried", "timed_out", "cancelled"), 1) if first[code]
    }


def test_l12_a_million_jobs_a_day_are_all_counted_also_over_an_idle_hour(driver: StorageDriver) -> None:
    idle = range(300, 360)
    worked = [back for back in range(1440) if back not in idle]
    each, rest = divmod(DAY_OF_JOBS, len(worked))
    jobs = {back: each + (number < rest) for number, back in enumerate(worked)}
    fleet = Fleet()
    for back, many in jobs.items():
        fleet.task(SEND, minute(back), counts={"started": many, "succeeded": many - 1, "failed": 1}, measures={0: [2_000] * 3})
    for back in idle:
        fleet.queue(MAIL, minute(back), gauges={0: [((minute(back) + 30) * 1_000_000, 0)]})  # somebody looked, and nothing was there
    metrics = stored(fleet, driver)
    task = metrics.task("app.send", start=minute(1439))
    assert 0 <= minute(1439) - task.window.start < task.window.step_seconds, "whole steps, and less than one more"
    assert (task.counts.started, task.counts.ended) == (DAY_OF_JOBS, DAY_OF_JOBS)
    assert task.lifetime.counts.ended == DAY_OF_JOBS
    assert task.counts.outcomes[Outcome.FAILED] == len(worked)
    assert task.window.observed_seconds is not None
    assert task.throughput_per_second == DAY_OF_JOBS / task.window.observed_seconds
    # The utilisation law: of the same window, how many jobs and how long each took make how many workers were busy.
    assert task.busy_workers == pytest.approx(task.runtime.sum / task.window.observed_seconds)
    assert [window.n for window in task.windows][:2] == [jobs[1], sum(jobs[back] for back in range(1, 6))]
    quiet = metrics.task("app.send", start=minute(idle[-1]), end=minute(idle[0] - 1))
    assert (quiet.counts.ended, quiet.throughput_per_second, quiet.runtime.mean) == (0, 0.0, None)


def test_l13_totals_and_their_failure_rate_outlive_idle_hours(driver: StorageDriver) -> None:
    fleet = Fleet()
    fleet.task(SEND, minute(600), counts={"started": 9, "succeeded": 6, "failed": 3})
    fleet.task(SEND, minute(1), counts={"started": 1, "succeeded": 1})
    (task,) = stored(fleet, driver).tasks(minutes=60)
    assert (task.counts.ended, task.lifetime.counts.ended, task.lifetime.counts.outcomes[Outcome.FAILED]) == (1, 10, 3)


def test_l15_jobs_enqueued_in_the_same_second_have_a_wait_each(driver: StorageDriver, tmp_path: Path) -> None:
    waits = [round(1e6 * 1.1**number) for number in range(20)]
    jobs = [job(100 - wait / 1e6 - 0.001, wait=wait) for wait in waits]
    enqueued = {(one.at - one.runtime - one.wait) // 1_000_000 for one in jobs}
    assert len(enqueued) == 1, "in one second"
    (task,) = told(jobs, tmp_path / "spool", driver).tasks()
    assert (task.counts.arrivals, task.wait.n) == (20, 20)
    assert task.wait.sum == pytest.approx(sum(waits) / 1e6)
    assert (task.wait.min, task.wait.max) == (min(waits) / 1e6, max(waits) / 1e6)


def test_l17_the_score_of_a_queue_is_of_what_its_store_holds_now(driver: StorageDriver) -> None:
    """Each input alone, all of them, and none; the broker's answer of a moment ago, not that of the last pass of a collector."""
    fleet = Fleet()
    for name, ready, age, failed, workers in (
        ("deep", 400, 10.0, 0, True),
        ("old", 1, 2100.0, 0, True),
        ("failing", 0, 0.0, 500, True),
        ("alone", 5, 10.0, 0, False),
        ("all", 400, 2100.0, 500, False),
        ("well", 0, 0.0, 0, True),
    ):
        gauges = {0: [(round((NOW - 5) * 1e6), ready)], 4: [(round((NOW - 5) * 1e6), round(age * 1e6))]}
        counts = {"started": 1000, "succeeded": 1000 - failed, "failed": failed}
        back = 0 if workers else 40  # what ended lately would show that somebody works there
        fleet.queue(("broker", name), minute(back), counts=counts, gauges=gauges if workers else None)
        if not workers:
            fleet.queue(("broker", name), minute(), gauges=gauges)
        fleet.task(("broker", name, f"{name}.send"), minute(back), counts=counts)
        if workers:
            fleet.worker(pid=len(fleet.beats) + 1, queue=name)
    metrics = stored(fleet, driver)
    found = {queue.queue: queue.health for queue in metrics.queues()}
    scores = {name: health.score for name, health in found.items()}
    assert scores == {"deep": 70, "old": 70, "failing": 80, "alone": 80, "all": 0, "well": 100}
    assert (found["all"].status, found["well"].status) == (Status.CRITICAL, Status.HEALTHY)
    for health in found.values():
        assert sum(reason.points for reason in health.reasons) == 100 - (health.score or 0)


@pytest.mark.parametrize(
    ("busy", "advice"), [(60.0, Advice.ADD), (56.0, Advice.ADD), (30.0, Advice.KEEP), (16.0, Advice.REDUCE), (0.0, Advice.REDUCE)]
)
def test_l22_l25_one_minute_after_a_week_makes_efficiency_and_advice(driver: StorageDriver, busy: float, advice: Advice) -> None:
    """The worker was busy for half of a week: a share of its life would be 50 % and say to keep, whatever this minute was."""
    week = 7 * 86_400.0
    for back, more in ((120, 0.0), (60, busy)):
        now = NOW - back
        idle = week / 2 + (60.0 - more if back == 60 else 0.0)
        page = heartbeat(
            host="web-1", pid=2, busy=week / 2 + more, idle=idle, process_started=now - week, written=now, seen=now, state_changed=now
        )
        driver.heartbeat_many([("web-1:2:77", page)], 600.0)
        assert collect(driver, "test", now=now).done
    metrics = connect(driver, now=lambda: NOW - 60)
    assert metrics.efficiency().values == pytest.approx((100 * busy / 60,))
    (server,) = metrics.servers()
    assert server.capacity is not None
    assert server.capacity.advice == advice
    assert server.capacity.busy_ratio == pytest.approx(busy / 60)


def test_l31_means_of_jobs_below_a_millisecond_keep_their_fractions(driver: StorageDriver, tmp_path: Path) -> None:
    jobs = [job(100, runtime=runtime) for runtime in (400, 250, 10_900, 11_900)]
    metrics = told(jobs, tmp_path / "spool", driver)
    runtime = metrics.task("app.send").runtime
    assert runtime.min == 0.00025
    assert runtime.mean == pytest.approx((0.0004 + 0.00025 + 0.0109 + 0.0119) / 4, rel=1e-12)


def test_l32_equal_minutes_are_as_many_points(driver: StorageDriver) -> None:
    fleet = Fleet()
    for back in range(1, 31):
        at = minute(back)
        fleet.queue(MAIL, at, counts={"started": 3, "succeeded": 3}, gauges={0: [((at + 30) * 1_000_000, 7)]})
    metrics = stored(fleet, driver)
    series = metrics.series("queue", *MAIL, start=minute(30), end=minute(0))
    assert [point.at for point in series.points] == [minute(back) for back in range(30, 0, -1)]
    assert {(point.counts.started, point.gauges["ready"].last) for point in series.points} == {(3, 7)}
    trend = metrics.trend(*MAIL, period_seconds=3600)
    assert (trend.available, trend.data_points) == (True, 30)


def test_l35_a_depth_goes_to_zero_when_its_queue_is_drained_and_away_when_nobody_looks(driver: StorageDriver) -> None:
    fleet = Fleet()
    fleet.queue(("broker", "drained"), minute(), gauges={0: [(round((NOW - 20) * 1e6), 50), (round((NOW - 3) * 1e6), 0)]})
    fleet.queue(("broker", "unseen"), minute(30), gauges={0: [(minute(30) * 1_000_000, 50)]})
    metrics = stored(fleet, driver)
    assert metrics.queue("broker", "drained").ready == 0
    unseen = metrics.queue("broker", "unseen")
    assert unseen.ready is None
    assert unseen.depth_reason


def test_l29_options_of_a_command_reach_the_store_as_numbers(
    driver: StorageDriver,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A store that took "1800" for a text would compare it with the numbers that it has."""
    fleet, this = Fleet(), int(time.time()) // 60 * 60  # a command has no other clock
    for at in range(this - 3600, this, 60):
        fleet.queue(MAIL, at, counts={"started": 3, "succeeded": 3}, gauges={0: [((at + 30) * 1_000_000, 7)]})
    fleet.store(driver)
    monkeypatch.setenv("QUEUE_METRICS_PREFIX", tmp_path.name)
    monkeypatch.setenv("QUEUE_METRICS_STATE_DIR", str(tmp_path / "state"))
    url = request.getfixturevalue("redis_url") if driver.url.startswith("redis") else f"sqlite:///{tmp_path}/lessons.db"
    assert main(["trend", "depth", *MAIL, "--period", "1800", "--interval", "120", "--store", url, "--json"]) == 0
    trend = json.loads(capsys.readouterr().out)
    assert (trend["period_seconds"], trend["time_window"]["sample_interval_seconds"]) == (1800, 120)
    assert 14 <= trend["data_points"] <= 16
    assert (trend["statistics"]["min"], trend["statistics"]["max"]) == (7, 7)


def test_l33_what_is_left_of_a_container_and_of_a_disk_is_no_limit(driver: StorageDriver, tmp_path: Path) -> None:
    """Files of a nearly full container on a machine that is not, and a disk with a part for its owner, as `/v1/servers` tells them."""
    files = HostFiles(tmp_path / "host")
    files.container(limit_bytes=2 << 30, used_bytes=31 << 26)
    sample = files.server().sample()
    disk = DiskUse("/srv", "ext4", total_bytes=1000, used_bytes=950, available_bytes=0, usage_ratio=1.0)
    driver.heartbeat_many([server_beat("web-1", replace(sample, disks=(disk,)))], 600.0)
    (server,) = ask(app_of(None, driver), "/v1/servers").json()["servers"]
    room = server["sample"]["memory_room"]
    assert (room["limit"], room["usage"], room["demand"], room["headroom"]) == (2 << 30, 31 << 26, 31 << 26, 1 << 26)
    memory = server["sample"]["memory"]
    assert (memory["total_bytes"], memory["available_bytes"]) == (8 << 30, 6 << 30)
    (told,) = server["sample"]["disks"]
    assert (told["total_bytes"], told["used_bytes"], told["available_bytes"], told["usage_ratio"]) == (1000, 950, 0, 1.0)
    assert {issue["code"]: issue["points"] for issue in server["health"]["issues"]} == {"memory": 40, "disk": 30}


def test_l34_a_host_with_control_groups_of_version_2_is_told_as_a_host(driver: StorageDriver, tmp_path: Path) -> None:
    """Its numbers are those of the machine, those of a container are its own: as `/v1/servers` tells them."""
    bare, pod = HostFiles(tmp_path / "bare"), HostFiles(tmp_path / "pod")
    bare.write("proc/self/cgroup", "0::/user.slice/session-1.scope\n")
    bare.write("proc/self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    bare.write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n")
    pod.container(limit_bytes=1 << 30, used_bytes=1 << 29)
    driver.heartbeat_many([server_beat(name, files.server().sample()) for name, files in (("bare", bare), ("pod", pod))], 600.0)
    rooms = {server["hostname"]: server["sample"]["memory_room"] for server in ask(app_of(None, driver), "/v1/servers").json()["servers"]}
    assert (rooms["bare"]["source"], rooms["bare"]["limit"], rooms["bare"]["usage"]) == ("host", 8 << 30, 2 << 30)
    assert (rooms["pod"]["source"], rooms["pod"]["limit"], rooms["pod"]["usage"]) == ("cgroup_v2", 1 << 30, 1 << 29)
