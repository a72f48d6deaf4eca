"""Unknown is None, with a reason: every answer of an empty, a partly filled and a full store, field by field. And how fresh each is."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import queue_metrics as qm
from queue_metrics import model
from queue_metrics.collector import collect
from queue_metrics.config import load_settings
from queue_metrics.insights import Metrics, UnknownName, connect
from queue_metrics.model import Baseline, Window
from queue_metrics.model.reasons import RULES, rule_of, why
from queue_metrics.model.reasons_of_servers import UNSAID
from queue_metrics.model.servers import CpuUse, Load, MemoryUse, Room
from queue_metrics.storage import baselines
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import StorageManager, open_store
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.http.everything import everything
from tests.support.fleet import NOW, Fleet, heartbeat, minute

MAIL = ("broker", "mail")


def partly(driver: StorageDriver) -> None:
    """Jobs that nobody started, a queue that was asked long ago, executions without a measure, processes that just began or are lost."""
    fleet = Fleet()
    fleet.task((*MAIL, "app.mail"), minute(40), counts={"arrivals": 3})
    fleet.queue(MAIL, minute(40), counts={"arrivals": 3}, gauges={0: [(int((NOW - 2400) * 1e6), 3)]})
    fleet.task(("broker", "bulk", "app.mail"), minute(3), counts={"started": 2, "retried": 1})
    asked = int((NOW - 5) * 1e6)
    fleet.queue(("broker", "bulk"), minute(0), counts={"started": 2}, gauges={0: [(asked, 2)], 2: [(asked, 0)]})
    fleet.worker(host="new", state="starting", busy=0.0, idle=0.0)
    fleet.worker(host="agent", role="agent")
    fleet.store(driver)
    for state in ("lost", "stopped"):
        driver.heartbeat_many([(f"{state}:1:7", heartbeat(host=state, pid=1, state=state))], 600.0)


def full(driver: StorageDriver) -> None:
    """All that is ever stored."""
    everything(driver)
    for back in (2, 1, 0):
        collect(driver, "test", now=NOW - 60 * back)


STORES: dict[str, Callable[[StorageDriver], None]] = {"empty": lambda driver: None, "partly": partly, "full": full}


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Metrics]]:
    driver = StorageManager().open(f"sqlite:///{tmp_path_factory.mktemp('store')}/m.db")
    STORES[request.param](driver)
    yield request.param, connect(driver, now=lambda: NOW)
    driver.close()


def answers(metrics: Metrics) -> Iterator[tuple[str, Any]]:
    """What every method of the front door answers, of everything that it may be asked for."""
    queues, tasks = metrics.queues(), metrics.tasks()
    for minutes in (5, 60, 1000, 30_000):
        yield "snapshot", metrics.snapshot(minutes=minutes)
        yield "task_details", metrics.task_details(minutes=minutes)
        yield "servers", metrics.servers(minutes=minutes)
        yield "worker_summary", metrics.worker_summary(minutes=minutes)
        yield "health", metrics.health(minutes=minutes)
    yield "everything", metrics.everything().jobs
    yield "scrape", metrics.scrape()
    yield "overview", metrics.overview()
    yield "collector", metrics.collector()
    yield "events", metrics.events()
    yield "workers", metrics.workers()
    yield "baselines", metrics.baselines()
    yield "efficiency", metrics.efficiency()
    yield "footprint", metrics.footprint()
    for task in {task.task for task in tasks}:
        yield "task", metrics.task(task)
    for queue in queues:
        names = (queue.connection, queue.queue)
        yield "queue", metrics.queue(*names)
        yield "trend", metrics.trend(*names)
        yield "throughput", metrics.throughput(*names)
        yield "series", metrics.series("queue", *names)
        yield "worker_summary", metrics.worker_summary(connection=names[0], queue=names[1])
        yield "baseline", metrics.baseline(*names, cpu_available_percent=50.0)
    for worker in metrics.workers():
        yield "worker", metrics.worker(worker.id)
    for server in metrics.servers():
        yield "server", metrics.server(server.hostname)


def parts(place: str, answer: Any) -> Iterator[tuple[str, Any]]:
    """An answer and every answer in it."""
    if dataclasses.is_dataclass(answer):
        yield place, answer
        for field in dataclasses.fields(answer):
            yield from parts(f"{place}.{field.name}", getattr(answer, field.name))
    elif isinstance(answer, Mapping):
        for value in answer.values():
            yield from parts(place, value)
    elif isinstance(answer, (tuple, list)):
        for value in answer:
            yield from parts(place, value)


def named(answer: Any) -> list[str]:
    """Its fields and properties."""
    properties = [name for name, _ in inspect.getmembers(type(answer), lambda each: isinstance(each, property))]
    return [*(field.name for field in dataclasses.fields(answer)), *properties]


def unknown(answer: Any) -> Iterator[str]:
    """Fields that are None, or of a history have entries that are."""
    for name in named(answer):
        value = getattr(answer, name)
        if value is None or (isinstance(value, tuple) and None in value and name != "memory_bytes"):
            yield name


def test_whatever_is_none_has_a_reason(store: tuple[str, Metrics]) -> None:
    name, metrics = store
    seen, asked = 0, set()
    for method, answer in answers(metrics):
        asked.add(method)
        for place, part in parts(method, answer):
            if type(part).__module__.startswith("queue_metrics.model"):
                for field in unknown(part):
                    reason = why(part, field)
                    assert reason, f"{place}.{field} of a {name} store"
                    assert rule_of(type(part), field) is not None, f"{place}.{field} has no rule"
                    assert not reason.endswith("None")
                    seen += 1
    assert seen > {"empty": 10, "partly": 300, "full": 1000}[name]
    fronts = {each for each, _ in inspect.getmembers(Metrics, inspect.isfunction) if not each.startswith("_")} - {"close"}
    missing = fronts - asked - {"tasks", "queues"}
    assert missing == (set() if name != "empty" else {"task", "queue", "trend", "throughput", "series", "baseline", "worker", "server"})


def test_what_nobody_ever_recorded_is_an_error_that_says_so(store: tuple[str, Metrics]) -> None:
    _, metrics = store
    with pytest.raises(UnknownName):
        metrics.task("none")
    with pytest.raises(UnknownName):
        metrics.queue("no", "ne")
    with pytest.raises(UnknownName):
        metrics.worker("none")
    with pytest.raises(UnknownName):
        metrics.server("none")


def classes() -> Iterator[type]:
    """Every class of answers."""
    for info in pkgutil.iter_modules(model.__path__):
        module = importlib.import_module(f"queue_metrics.model.{info.name}")
        for value in vars(module).values():
            if inspect.isclass(value) and value.__module__ == module.__name__ and not issubclass(value, enum.Enum):
                yield value


def optional(kind: type) -> Iterator[str]:
    """Its fields and properties that may be None, as it is typed."""
    if dataclasses.is_dataclass(kind):
        yield from (field.name for field in dataclasses.fields(kind) if "None" in str(field.type))
        for name, found in inspect.getmembers(kind, lambda each: isinstance(each, property)):
            returned = str(found.fget.__annotations__["return"])
            if "None" in returned and not returned.startswith("tuple"):
                yield name


def test_every_field_that_may_be_none_has_a_rule_and_every_rule_a_field() -> None:
    """A new field needs a reason before it can be None."""
    without = {f"{kind.__name__}.{name}" for kind in classes() for name in optional(kind) if rule_of(kind, name) is None}
    assert without == set()
    for kind, rules in RULES.items():
        for name in rules:
            assert name in named_of(kind), f"{kind.__name__} has no {name}"


def named_of(kind: type) -> set[str]:
    return {*dir(kind), *getattr(kind, "__dataclass_fields__", ())}


def test_reasons_say_what_is_missing_and_known_fields_have_none(tmp_path: Path) -> None:
    driver = StorageManager().open(f"sqlite:///{tmp_path}/m.db")
    partly(driver)
    metrics = connect(driver, now=lambda: NOW)
    queue, other = metrics.queue(*MAIL), metrics.queue("broker", "bulk")
    assert qm.why(queue, "ready") == queue.depth_reason
    assert "asked" in str(queue.depth_reason)
    assert qm.why(other, "ready") is None
    assert qm.why(other, "reserved") == "the broker does not tell it"
    assert qm.why(other, "due_seconds") == "nothing is scheduled"
    assert qm.why(other, "latency_seconds") == "the oldest message does not say since when it waits"
    assert qm.why(queue.runtime, "p95") == "nothing of it was measured in the window"
    assert qm.why(metrics.task("app.mail"), "queue") == "it is about several of them together"
    assert qm.why(metrics.worker("lost:1:7"), "busy_ratio") == "of a lost worker nobody knows how long it did what it did last"
    assert qm.why(queue.history, "ready") == "no broker told it in that step"
    with pytest.raises(AttributeError):
        qm.why(queue, "depht")
    driver.close()


@pytest.mark.parametrize(
    ("given", "measured", "said"),
    [
        ({}, True, "it was not asked for: neither cpu_available_percent nor memory_available_bytes was given"),
        ({"cpu_available_percent": 50.0}, True, "memory_available_bytes was not given"),
        ({"memory_available_bytes": 1e9}, True, "cpu_available_percent was not given"),
        ({"cpu_available_percent": 50.0, "memory_available_bytes": 1e9}, True, None),
        (
            {"cpu_available_percent": 50.0, "memory_available_bytes": 1e9},
            False,
            "the baseline has no CPU time and no memory: it was measured of no execution",
        ),
    ],
)
def test_what_a_capacity_lacks_is_said_and_nothing_else(given: dict[str, float], measured: bool, said: str | None) -> None:
    driver, fleet = MemoryStorageDriver(), Fleet()
    fleet.task((*MAIL, "app.mail"), minute(3), counts={"started": 1, "succeeded": 1}, measures={0: [1_000_000]})
    fleet.store(driver)
    ratio, memory = (0.5, 1000.0) if measured else (None, None)
    baselines.write(driver, [Baseline(*MAIL, "app.mail", 1.0, ratio, memory, 9, 0.4, NOW - 60, deviates=False)])
    found = connect(driver, now=lambda: NOW).baseline(*MAIL, "app.mail", **given)  # type: ignore[arg-type]
    assert (why(found, "capacity"), found.capacity is None) == (said, said is not None)


@pytest.mark.parametrize(("seconds", "words"), [(86_400, "in the last 1 d 0 h ("), (30 * 86_400, "in the last 30 d 0 h (")])
def test_how_long_baselines_are_kept_is_that_of_the_setting(seconds: int, words: str, tmp_path: Path) -> None:
    driver = open_store(load_settings(store=f"sqlite:///{tmp_path}/m.db", ttl={"baseline": seconds}))
    partly(driver)
    assert words in connect(driver, now=lambda: NOW).baseline(*MAIL).message
    driver.close()


@pytest.mark.parametrize(
    ("unread", "said"),
    [
        ({}, UNSAID),
        ({"": "no /proc here"}, "no /proc here"),
        ({"": "no /proc here", "boot_id": "permission denied"}, "permission denied"),
        ({"disks": "no such file"}, UNSAID),
    ],
)
def test_what_a_sample_could_not_read_is_the_reason(unread: dict[str, str], said: str) -> None:
    assert why(model.ServerSample(unread=unread), "boot_id") == said


def test_what_is_made_of_a_sample_is_unknown_for_the_reason_of_its_part() -> None:
    cpu, room = CpuUse(host_cores=4, unread={"": "the first"}), Room("cgroup_v2", limit=2.0, unread={"usage": "no cpu.stat"})
    assert why(model.ServerSample(cpu=cpu), "cpu_ratio") == "the first"
    assert why(model.ServerSample(cpu=cpu, cpu_room=room), "cpu_ratio") == "no cpu.stat"
    memory = MemoryUse(unread={"": "no meminfo"})
    assert why(model.ServerSample(memory=memory), "memory_ratio") == "no meminfo"
    assert why(model.ServerSample(memory=memory, memory_room=room), "memory_ratio") == "no cpu.stat"
    load = Load(unread={"over_1_minute": "no loadavg"})
    assert why(model.ServerSample(cpu=cpu, load=load), "load_per_core") == "no loadavg"
    none = CpuUse(unread={"host_cores": "no stat"})
    assert why(model.ServerSample(cpu=none, load=Load(1.0)), "load_per_core") == "no stat"


# Freshness


def test_every_answer_says_how_fresh_it_is(store: tuple[str, Metrics]) -> None:
    """By a window with its last sign of recording, an age, or the moment of reading; a list by each of its entries."""
    _, metrics = store
    for method, answer in answers(metrics):
        for each in answer if isinstance(answer, tuple) else (answer,):
            assert fresh(each), f"{method}: {type(each).__name__}"


def fresh(answer: Any) -> bool:
    if isinstance(getattr(answer, "window", None), Window):
        return True
    ages = ("age_seconds", "last_seen_seconds", "last_pass_seconds", "asked_at")
    if any(hasattr(answer, name) for name in ages):
        return True
    return any(fresh(getattr(answer, name)) for name in ("detail", "overview", "snapshot", "collector") if hasattr(answer, name))


@pytest.mark.parametrize(("back", "minutes", "age"), [(0, 60, 0.0), (1, 60, 30.0), (25, 60, 1470.0), (25, 1000, None)])
def test_a_window_says_when_anything_was_recorded_last(tmp_path: Path, back: int, minutes: int, age: float | None) -> None:
    driver = StorageManager().open(f"sqlite:///{tmp_path}/m.db")
    fleet = Fleet()
    fleet.task((*MAIL, "a"), minute(40), counts={"succeeded": 1})
    fleet.task((*MAIL, "b"), minute(back), counts={"succeeded": 1})
    fleet.store(driver)
    metrics = connect(driver, now=lambda: NOW)
    for task in metrics.tasks(minutes=minutes):
        window = task.window
        assert window.observed_until is not None
        step = window.step_seconds
        newest = minute(back) // step * step + step
        assert window.observed_until == min(newest, NOW)
        assert window.age_seconds == (NOW - min(newest, NOW) if age is None else age)
    assert metrics.task("a", minutes=5).window.age_seconds == (None if back > 5 else age)
    driver.close()


def test_health_trend_and_footprint_are_as_old_as_what_they_rest_on(tmp_path: Path) -> None:
    driver = StorageManager().open(f"sqlite:///{tmp_path}/m.db")
    full(driver)
    metrics = connect(driver, now=lambda: NOW)
    overview = metrics.overview()
    assert overview.health.age_seconds == overview.drainer_age_seconds is not None
    queue = metrics.queue(*MAIL)
    assert queue.health.age_seconds == queue.depth_age_seconds
    trend = metrics.trend(*MAIL)
    assert trend.age_seconds == pytest.approx(NOW - trend.times[-1])
    assert trend.age_seconds is not None
    assert 0 <= trend.age_seconds < 60
    assert metrics.footprint().asked_at == NOW
    driver.close()
