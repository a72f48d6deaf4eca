"""Job events of real workers: told where the job ran, with its numbers, whether anything is stored or not, whatever a listener does."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from queue_metrics.config.places import spools_dir
from queue_metrics.recording.spool import pages, spools
from tests.hooks.processes import Worker, worker
from tests.recording.tools import QUICK, counts, eventually, size
from tests.support.servers import RedisServer

HUEY = "tests.flow.apps.told_huey"
CELERY = "tests.flow.apps.told_celery"
LIMIT_KIB = 1_000_000
PREFORK = ("celery", "-A", CELERY, "worker", "-c", "1", "--without-gossip", "--without-mingle", "--max-memory-per-child", str(LIMIT_KIB))
JOBS = {
    "sleeps": ["job_completed"],
    "keeps": ["job_completed"],
    "fails": ["job_failed"],
    "retries": ["job_retried", "job_completed"],
    "debounced": ["job_debounced"],
    "nests": ["job_completed"],
}
IDENTITY = {"job_id", "job_class", "connection", "queue", "hostname"}
MEASURED = IDENTITY | {"duration_ms", "memory_mb", "cpu_time_ms", "worker_memory_limit_mb", "memory_incremental_mb"}
FIELDS = {
    "job_completed": MEASURED,
    "job_failed": MEASURED | {"exception_message"},
    "job_retried": MEASURED | {"exception_message"},
    "job_debounced": IDENTITY,
}
"""Rows 93 to 95 of the original, and ours between them."""


class Told:
    """A worker that listens, and what it was told."""

    def __init__(self, running: Worker, producer: str) -> None:
        self.running = running
        self._producer = producer

    def send(self, *names: str) -> None:
        self.running.run(self._producer, *names)

    def events(self) -> list[dict[str, Any]]:
        path = self.running.directory / "told"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def wait(self, number: int) -> list[dict[str, Any]]:
        return eventually(lambda: events if len(events := self.events()) >= number else None, f"{number} events\n{self.running.log()}")


def hook_errors(state: Path) -> int:
    """As the worker's pages say."""
    return sum(pages(spool).hook_errors for spool in spools(spools_dir(state)))


@contextlib.contextmanager
def told(library: str, tmp_path: Path, **settings: Any) -> Iterator[Told]:
    """One process that executes, under a main process, with these settings."""
    directory = tmp_path / "worker"
    chosen = {**QUICK, "state_dir": tmp_path / "state", **settings}
    environment = {"FLOW_DIRECTORY": os.fspath(directory)}
    environment |= {f"QUEUE_METRICS_{name.upper()}" if name.islower() else name: str(value) for name, value in chosen.items()}
    with contextlib.ExitStack() as stack:
        if library == "celery":
            environment["FLOW_BROKER"] = stack.enter_context(RedisServer(tmp_path)).url
        words = (HUEY, "work") if library == "huey" else PREFORK
        yield Told(stack.enter_context(worker(directory, *words, **environment)), HUEY if library == "huey" else CELERY)


@pytest.mark.parametrize("library", ["huey", "celery"])
def test_without_persistence_each_job_is_told_with_its_numbers_and_nothing_else_happens(library: str, tmp_path: Path) -> None:
    with socket.socket() as store:
        store.bind(("127.0.0.1", 0))
        store.listen()
        store.setblocking(False)
        url = f"redis://127.0.0.1:{store.getsockname()[1]}/0"
        with told(library, tmp_path, persistence=False, store=url) as teller:
            teller.send(*JOBS)
            events = teller.wait(sum(map(len, JOBS.values())))
            assert teller.running.process.pid not in {event["pid"] for event in events if event["job_id"] != "debounced"}
            assert teller.running.stop(), teller.running.log()
        with pytest.raises(BlockingIOError):
            store.accept()
    assert not (tmp_path / "state").exists()

    assert {job: [event["kind"] for event in events if event["job_id"] == job] for job in JOBS} == JOBS
    assert sum(map(len, JOBS.values())) == len(events), "nothing inside of a job is told on its own"
    of = {(event["job_id"], event["kind"]): event for event in events}
    for (job, kind), event in of.items():
        assert event.keys() - {"kind", "pid"} == FIELDS[kind]
        assert (event["connection"], event["queue"]) == ("told", "told" if library == "huey" else "celery")
        assert event["job_class"].rpartition(".")[2] == ("quiet" if job == "debounced" else job)
        assert event["hostname"] == socket.gethostname()
        if kind != "job_debounced":
            assert event["worker_memory_limit_mb"] == (None if library == "huey" else LIMIT_KIB / 1024)
    slept = of["sleeps", "job_completed"]
    assert 150 <= slept["duration_ms"] < 10_000
    assert slept["cpu_time_ms"] < 20
    grown = of["keeps", "job_completed"]
    assert 195 < grown["memory_incremental_mb"] < 250
    assert grown["memory_mb"] > grown["memory_incremental_mb"]
    assert of["fails", "job_failed"]["exception_message"] == "é" * 1_000
    assert "later" in of["retries", "job_retried"]["exception_message"]


def test_an_end_by_a_hard_limit_is_told_by_the_process_that_is_ended_if_it_can_without_its_exit_code(tmp_path: Path) -> None:
    """Celery gives it a tenth of a second; the record is right either way."""
    store = f"sqlite:///{tmp_path}/store.db"
    with told("celery", tmp_path, store=store) as teller:
        teller.send("hard", "quiet")
        eventually(lambda: (counts(store)["timed_out"], counts(store)["succeeded"]) == (1, 1), f"{counts(store)}")
        told_of = [event for event in teller.events() if event["job_id"] == "hard"]
        assert teller.running.stop(), teller.running.log()
    assert [(event["kind"], event["exception_message"]) for event in told_of] in ([("job_failed", None)], [])


@pytest.mark.parametrize("library", ["huey", "celery"])
def test_a_listener_that_is_slow_raises_or_dies_takes_no_record_with_it(library: str, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    with told(library, tmp_path, store=store, FLOW_WITH="torment") as teller:
        teller.send("quiet", "quiet", "quiet", "fails")
        events = teller.wait(4)
        begun = teller.running.directory / "begun-quiet"
        eventually(lambda: counts(store)["failed"] == 1 and counts(store)["succeeded"] == size(begun), f"{counts(store)}")
        assert size(begun) == 3
        assert (teller.running.directory / "died").exists()
        eventually(lambda: hook_errors(tmp_path / "state") == 2, "its errors are counted, those of the two that it outlived")
        assert counts(store) | {"arrivals": 0} == dict.fromkeys(counts(store), 0) | {"started": 4, "succeeded": 3, "failed": 1}
        assert teller.running.stop(), teller.running.log()
    assert len({event["pid"] for event in events}) == 2, "the process that died, and the one in its place"
    assert all(event["cpu_time_ms"] < 250 for event in events), "what the listener burns is in no job"
    assert "RuntimeError" in teller.running.log()
