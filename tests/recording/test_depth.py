"""Asking brokers for depth: by one process a connection, whatever state the store or another broker is in."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.errors import MissingDependency
from queue_metrics.hooks.base import DepthProbe, QueueDepth
from queue_metrics.recording import trouble
from queue_metrics.recording.depth import DepthWatch
from queue_metrics.recording.runtime import Runtime
from queue_metrics.storage.base import MINUTE, QUEUE
from tests.recording.tools import beats, eventually, settings_for
from tests.support.fleet import Fleet, minute
from tests.support.patience import PATIENCE
from tests.support.servers import RedisServer

_READY, _AGE, _DUE = 0, 4, 5  # indexes of gauges in docs/stored-values.md


class Probe(DepthProbe):
    """A broker that answers at once, fails, or hangs until it is let go."""

    def __init__(self, connection: str) -> None:
        self.connection = connection
        self.asked = self.ticks = self.closed = 0
        self.error: Exception | None = None
        self.go = threading.Event()
        self.go.set()

    def ask(self) -> Sequence[QueueDepth]:
        self.asked += 1
        self.go.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return [QueueDepth(self.connection, "q", ready=7, oldest_age=1.5, due_in=60.0)]

    def tick(self) -> None:
        self.ticks += 1

    def close(self) -> None:
        self.closed += 1

    def abandon(self) -> None:
        pass


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    found = Runtime(settings_for(tmp_path))
    yield found
    found.stop()


def gauge(runtime: Runtime, connection: str, index: int) -> tuple[int, ...] | None:
    """(n, sum, min, max, last, last_at) of a queue over its last minutes, or None when it was never told."""
    label = _core.series_id(QUEUE, [connection, "q"])
    now = int(_core.clock_us() / 1e6)
    points = runtime.store.read_series([label], MINUTE, now - 600, now + 600)[label]
    total = _core.Value()
    for _, value in points:
        total = total.merge(_core.Value.decode(value))
    return total.gauge(index)


def test_the_answers_of_a_broker_are_counted_as_gauges(runtime: Runtime) -> None:
    runtime.on_main()
    runtime.watch(Probe("c"))
    found = eventually(lambda: gauge(runtime, "c", _READY), "a gauge")
    assert found[2:5] == (7, 7, 7)
    age = gauge(runtime, "c", _AGE)
    assert age is not None
    assert age[4] == 1_500_000
    due = gauge(runtime, "c", _DUE)
    assert due is not None
    assert due[4:] == (60_000_000, age[5]), "of the same moment"
    assert gauge(runtime, "c", 3) is None, "what the broker cannot say stays unknown"


def test_a_probe_learns_which_queues_of_its_connection_the_store_knows(runtime: Runtime) -> None:
    fleet = Fleet()
    for labels in (("c", "elsewhere"), ("c", "__other__"), ("other", "mail")):
        fleet.queue(labels, minute(1), counts={"started": 1})
    fleet.store(runtime.store)
    probe = Probe("c")
    runtime.on_main()
    runtime.watch(probe)
    eventually(lambda: probe.asked, "it is asked")
    assert list(probe.known) == ["elsewhere"]


def test_a_main_that_executes_nothing_is_seen_by_its_questions(runtime: Runtime) -> None:
    runtime.recorder.describe(_core.MAIN, "test", "c", "q")
    runtime.on_main()
    runtime.watch(Probe("c"))
    eventually(lambda: runtime.recorder.worker_id in dict(runtime.drain.heartbeats()), "its page is read")
    eventually(lambda: beats(runtime.settings.store)[runtime.recorder.worker_id]["role"] == "main", "it is told")


def test_a_broker_that_hangs_holds_up_neither_the_drain_nor_another_broker(runtime: Runtime) -> None:
    hanging, fine = Probe("hanging"), Probe("fine")
    hanging.go.clear()
    runtime.on_main()
    runtime.watch(hanging)
    runtime.watch(fine)
    try:
        eventually(lambda: hanging.asked, "the first is asked")
        eventually(lambda: gauge(runtime, "fine", _READY), "the second is counted")
        assert runtime.flush(30)
        assert hanging.asked == 1
    finally:
        hanging.go.set()


@pytest.mark.parametrize("error", [MissingDependency("redis-py cannot be loaded"), RuntimeError("a bug")], ids=["library", "bug"])
def test_a_store_that_fails_in_any_way_ends_no_questions(runtime: Runtime, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def lease(name: str, owner: str, seconds: float) -> bool:
        raise error

    monkeypatch.setattr(runtime.store, "lease", lease)
    runtime.on_main()
    probe = Probe("c")
    runtime.watch(probe)
    eventually(lambda: probe.asked >= 2, "it is asked again")
    assert (runtime.recorder.status()["hook_errors"] > 0) is isinstance(error, RuntimeError)


def test_a_broker_that_is_away_is_warned_of_once_and_asked_again(
    runtime: Runtime, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble.warner, "_said", {})
    probe = Probe("broker")
    probe.error = ConnectionError("redis://me:hunter2@h refused")
    with caplog.at_level(logging.WARNING, "queue_metrics"):
        runtime.on_main()
        runtime.watch(probe)
        eventually(lambda: probe.asked > 2, "it is asked again")
    assert len(caplog.records) == 1
    assert "'broker' cannot be asked" in caplog.records[0].getMessage()
    assert "hunter2" not in caplog.text
    probe.error = None
    eventually(lambda: gauge(runtime, "broker", _READY), "it answers")
    assert runtime.status()["depth"] == {"broker": None}


def test_only_the_process_with_the_lease_of_a_connection_asks_and_gives_it_back(runtime: Runtime) -> None:
    probe = Probe("shared")
    watch = DepthWatch(probe, runtime.recorder, runtime.store, 0.2)
    assert runtime.store.lease("depth:shared", "another process", 60)
    try:
        watch.start()
        eventually(lambda: probe.ticks > 3, "it follows the queue")
        assert probe.asked == 0
        assert runtime.store.lease("depth:shared", "another process", 0.001)
        eventually(lambda: probe.asked > 1, "it asks, once the other is gone")
        assert not runtime.store.lease("depth:shared", "another process", 60)
    finally:
        watch.stop(5)
    assert probe.closed
    eventually(lambda: runtime.store.lease("depth:shared", "another process", 60), "the lease is given back", 0.4)


def test_while_the_store_is_away_depths_are_recorded_all_the_same(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    runtime = Runtime(settings_for(tmp_path, server.url))
    probe = Probe("c")
    try:
        runtime.on_main()
        runtime.watch(probe)
        eventually(lambda: probe.asked > 3, "it is asked")
        with server:
            assert runtime.flush(30)
            found = gauge(runtime, "c", _READY)
            assert found is not None
            assert found[0] >= 3, "a store outage loses no answer"
            runtime.stop()
    finally:
        runtime.stop()
