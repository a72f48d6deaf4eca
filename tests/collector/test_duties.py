"""Each duty of the collector can be switched off: a pass does not do it, what was stored of it stays, and answers say so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from queue_metrics import why
from queue_metrics.collector import Ages, Duties, collect, collector
from queue_metrics.config import load_settings
from queue_metrics.insights import connect
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.baselines import BASELINES, write
from queue_metrics.storage.collector import COLLECTOR, READ_COLLECTOR, state_of
from queue_metrics.storage.efficiency import ALL_KEY, COUNTERS_KEY
from queue_metrics.storage.events import EVENTS, HEALTH, SILENT, events_of
from queue_metrics.storage.manager import StorageManager
from tests.collector.stored import crew, mail
from tests.recording.tools import eventually
from tests.support.fleet import NOW, Fleet, heartbeat

ALL = tuple(each.name for each in fields(Duties))
IMPATIENT = Ages(0.0001, 0.0002)
DAY = 86400.0


def fill(driver: StorageDriver) -> None:
    """A queue with a backlog, a worker that goes quiet, and a baseline that nobody renewed."""
    mail(ready=500, failed=30).store(driver)
    crew(driver, NOW - 120, web=(0.0, 0.0))
    driver.heartbeat_many([("gone:1:7", heartbeat(host="gone", pid=1, written=NOW, seen=NOW))], 600.0)
    collect(driver, "before", now=NOW - 60, ages=IMPATIENT)
    found = connect(driver, now=lambda: NOW - 50).baselines()
    old = [replace(each.baseline, queue="old", calculated_at=NOW - 31 * DAY) for each in found if each.baseline is not None]
    with driver.transaction() as change:
        change.delete(BASELINES, EVENTS, HEALTH, SILENT, ALL_KEY, COUNTERS_KEY, "server_minutes:web")
        write(change, old, 60.0 * DAY)


def passes(driver: StorageDriver, duties: Duties, start: float = NOW) -> None:
    """Three passes, with workers that get busy in between and are silent in the end."""
    for number, busy in enumerate((0.0, 30.0, 30.0)):
        now = start + 60 * number
        crew(driver, now, web=(busy, 60.0 * number - busy))
        collect(driver, "test", now=now, duties=duties, ages=Ages() if number < 2 else IMPATIENT)


def kept(driver: StorageDriver) -> dict[str, Any]:
    """What the passes left, by duty."""
    kinds = {event.kind for event in events_of(driver.get_sorted_set_by_rank(EVENTS))}
    queues = {json.loads(name)[1] for name in driver.get_hash(BASELINES)}
    return {
        "servers": driver.count_sorted_set("server_minutes:web"),
        "workers": driver.count_sorted_set(ALL_KEY),
        "baselines": "baseline_recalculated" in kinds,
        "silence": bool(driver.get_hash(SILENT)),
        "events": {"queue_depth_threshold_exceeded", "metrics_recorded"} & kinds,
        "cleanup": "old" not in queues,
    }


@pytest.mark.parametrize("off", ALL)
def test_what_is_switched_off_is_not_done_and_all_else_is(driver: StorageDriver, off: str) -> None:
    fill(driver)
    passes(driver, Duties(**{off: False}))
    found = kept(driver)
    assert not found.pop(off)
    assert all(found.values()), found
    assert state_of(driver.execute([READ_COLLECTOR])[0]).off == (off,)


def test_with_all_of_them_off_only_the_moment_of_the_pass_is_kept(driver: StorageDriver) -> None:
    fill(driver)
    baselines = driver.get_hash(BASELINES)
    passes(driver, Duties(**dict.fromkeys(ALL, False)))
    assert not any(kept(driver).values())
    assert driver.get_hash(BASELINES) == baselines
    assert state_of(driver.get_hash(COLLECTOR)).last_pass == NOW + 120


def test_answers_say_what_is_switched_off(driver: StorageDriver) -> None:
    fill(driver)
    passes(driver, Duties(workers=False, baselines=False))
    metrics = connect(driver, now=lambda: NOW + 121)
    assert metrics.collector().message.endswith("Switched off there: `duties.workers`, `duties.baselines`.")
    trend = metrics.efficiency()
    assert not trend.available
    assert "`duties.workers`" in str(trend.message)
    passes(driver, Duties(), NOW + 180)
    metrics = connect(driver, now=lambda: NOW + 301)
    assert "Switched off" not in metrics.collector().message


def test_the_counters_of_workers_do_not_age_while_nobody_wants_them(driver: StorageDriver) -> None:
    """Else a utilisation of yesterday would be shown as that of the last minute, and the next pass would count a day as one."""
    fill(driver)
    passes(driver, Duties())
    assert driver.get_hash(COUNTERS_KEY)
    crew(driver, NOW + 180, web=(90.0, 90.0))
    collect(driver, "test", now=NOW + 180, duties=Duties(workers=False))
    assert driver.get_hash(COUNTERS_KEY) == {}
    rows = driver.count_sorted_set(ALL_KEY)
    for number in (4, 5):
        crew(driver, NOW + 60 * number, web=(90.0, 60.0 * number - 90.0))
        collect(driver, "test", now=NOW + 60 * number)
    assert driver.count_sorted_set(ALL_KEY) == rows + 1, "the first pass only counts, as the first of all does"


def test_the_setting_reaches_the_pass_of_the_command(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/m.db"
    driver = StorageManager().open(url)
    mail(ready=500).store(driver)
    file = tmp_path / "metrics.toml"
    file.write_text("[duties]\nbaselines = false\n")
    environment = {**os.environ, "QUEUE_METRICS_CONFIG": str(file), "QUEUE_METRICS_STATE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "queue_metrics", "record-trends", "--store", url, "--json"]
    answer = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert (answer["done"], answer["baselines"]) == (True, 0)
    assert driver.get_hash(BASELINES) == {}
    assert connect(driver).collector().message.endswith("Switched off there: `duties.baselines`.")
    driver.close()


def test_a_collector_in_an_app_does_what_is_configured(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/m.db"
    driver = StorageManager().open(url)
    mail(ready=500).store(driver)
    driver.heartbeat_many([("web:1:7", heartbeat(host="web", pid=1, written=NOW, seen=NOW))], 600.0)
    with collector(settings=load_settings(store=url, duties={"baselines": False})):
        eventually(lambda: state_of(driver.get_hash(COLLECTOR)).last_pass, "a pass")
    assert state_of(driver.get_hash(COLLECTOR)).off == ("baselines",)
    assert driver.get_hash(BASELINES) == {}
    driver.close()


@pytest.mark.parametrize("opened", [True, False])
def test_a_collector_collects_the_store_that_it_was_given_also_with_settings(tmp_path: Path, opened: bool) -> None:
    url, other = (f"sqlite:///{tmp_path}/{name}.db" for name in ("given", "other"))
    drivers = [StorageManager("ours").open(url), StorageManager().open(other)]
    for driver in drivers:
        mail(ready=500).store(driver)
    with collector(drivers[0] if opened else url, prefix=None if opened else "ours", settings=load_settings(store=other)) as running:
        eventually(lambda: running.passes, "a pass")
    assert [bool(state_of(driver.get_hash(COLLECTOR)).last_pass) for driver in drivers] == [True, False]
    for driver in drivers:
        driver.close()


def test_why_nobody_counted_the_time_of_a_worker(driver: StorageDriver) -> None:
    def told(now: float) -> str | None:
        (worker,) = (each for each in connect(driver, now=lambda: now).workers() if each.host == "web")
        assert (worker.utilisation_ratio is None) == (worker.utilisation_reason is not None)
        assert why(worker, "utilisation_ratio") == worker.utilisation_reason
        return worker.utilisation_reason

    crew(driver, NOW, web=(0.0, 0.0))
    assert str(told(NOW)).startswith("no collector runs: run `queue-metrics serve`")
    collect(driver, "test", now=NOW, duties=Duties(workers=False))
    assert told(NOW + 1) == "`duties.workers` is switched off"
    driver.delete(COLLECTOR)
    other = Fleet()
    other.worker(host="other", queue="mail", pid=9, written=NOW, seen=NOW)
    driver.heartbeat_many(other.beats, 600.0)
    collect(driver, "test", now=NOW + 60)
    crew(driver, NOW + 60, web=(0.0, 0.0))
    assert told(NOW + 61) == "the collector has not seen it twice yet"
    for minute in (2, 3):
        crew(driver, NOW + 60 * minute, web=(30.0 * minute, 30.0 * minute))
        collect(driver, "test", now=NOW + 60 * minute)
    assert told(NOW + 181) is None
