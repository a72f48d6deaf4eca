"""Names that hold ids do not fill the store: beyond a limit they count together, and nothing that ran is missing."""

from __future__ import annotations

from pathlib import Path

from queue_metrics import _core
from queue_metrics.config import Limits, load_settings
from queue_metrics.recording.drain import Drain
from queue_metrics.recording.runtime import Runtime
from queue_metrics.storage.base import EXCEPTION, QUEUE, TASK, StorageDriver
from queue_metrics.storage.memory import MemoryStorageDriver

OTHER = "__other__"


def record(recorder: _core.Recorder, queue: str, task: str, exception: str | None = None) -> None:
    slot = recorder.started(recorder.series("broker", queue, task, _core.CLOCK_PROCESS), "job", 1, _core.NO_TIME)
    recorder.finished(slot, _core.FAILED if exception else _core.SUCCEEDED, exception, 0)


def drained(spool: Path, store: StorageDriver, limits: Limits | None = None) -> dict[str, int]:
    """Everything counted; the status of the drainer."""
    drain = Drain(spool, _core.Recorder(str(spool), "host"), store, limits=limits)
    while not drain.step():
        pass
    status = drain.status()
    drain.close()
    return status


def started(store: StorageDriver) -> dict[tuple[str, ...], int]:
    tasks = {one.id: one.labels for one in store.known_series() if one.kind == TASK}
    return {tasks[one]: _core.Value.decode(value).counter(0) for one, value in store.read_totals(list(tasks)).items()}


def test_a_queue_has_two_hundred_tasks_and_the_rest_count_together(tmp_path: Path) -> None:
    store, recorder = MemoryStorageDriver(), _core.Recorder(str(tmp_path), "host")
    for number in range(500):
        record(recorder, "mail", f"send-{number}", f"Error{number}")
    assert drained(tmp_path, store)["other_names"] == 300 + 400
    counts = started(store)
    assert (len(counts), counts["broker", "mail", OTHER], sum(counts.values())) == (201, 300, 500)
    types = {one.labels[-1] for one in store.known_series() if one.kind == EXCEPTION}
    assert (len(types), OTHER in types) == (101, True)
    # The next drainer knows from the store which names have series of their own.
    record(recorder, "mail", "send-7")
    record(recorder, "mail", "send-499")
    drained(tmp_path, store)
    counts = started(store)
    assert (len(counts), counts["broker", "mail", "send-7"], counts["broker", "mail", OTHER]) == (201, 2, 301)


def test_a_flood_of_names_from_several_recorders_stays_within_the_limits_of_a_store(tmp_path: Path) -> None:
    store = MemoryStorageDriver()
    for process in range(3):
        recorder = _core.Recorder(str(tmp_path), "host")
        for number in range(1_000):
            record(recorder, f"queue-{process}-{number}", "task")
    drained(tmp_path, store)
    known = [one.kind for one in store.known_series()]
    assert (known.count(TASK), known.count(QUEUE)) == (1_001, 1_001)
    assert (sum(started(store).values()), started(store)[OTHER, OTHER, OTHER]) == (3_000, 2_000)


def test_limits_are_a_setting_and_what_lies_beyond_them_is_counted(tmp_path: Path) -> None:
    limits = load_settings(limits={"tasks": 5, "tasks_of_queue": 3, "exceptions": 2}, state_dir=tmp_path).limits
    store, recorder = MemoryStorageDriver(), _core.Recorder(str(tmp_path), "host")
    for _ in range(2):
        for queue, tasks in (("mail", 10), ("press", 10)):
            for number in range(tasks):
                record(recorder, queue, f"task-{number}", f"Error{number}")
    drained(tmp_path, store, limits)
    counts = started(store)
    assert sum(counts.values()) == 40, "nothing is lost"
    assert {labels[1:]: count for labels, count in counts.items()} == {
        **{("mail", f"task-{number}"): 2 for number in range(3)},
        ("mail", OTHER): 14,
        **{("press", f"task-{number}"): 2 for number in range(2)},
        ("press", OTHER): 16,
    }
    types = {one.labels[-1]: 0 for one in store.known_series() if one.kind == EXCEPTION}
    exceptions = {one.id: one.labels[-1] for one in store.known_series() if one.kind == EXCEPTION}
    hours = store.read_series(list(exceptions), 3600, 0, 2**40)
    for one, points in hours.items():
        types[exceptions[one]] += sum(_core.Value.decode(value).counter(0) for _, value in points)
    assert set(types) == {"Error0", "Error1", OTHER}


def test_a_runtime_drains_with_the_limits_of_its_settings(tmp_path: Path) -> None:
    settings = load_settings(store="memory://limited", state_dir=tmp_path, limits={"tasks_of_queue": 2})
    records = Runtime(settings)
    for number in range(6):
        record(records.recorder, "mail", f"task-{number}")
    while not records.drain.step():
        pass
    counts = started(records.store)
    records.drain.close()
    assert sorted((labels[2], count) for labels, count in counts.items()) == [(OTHER, 4), ("task-0", 1), ("task-1", 1)]
