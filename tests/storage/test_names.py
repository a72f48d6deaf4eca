"""The names that have series of their own in a store stay within the limits, whoever fills it, and nothing that ran is missing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.errors import StoreRefused, StoreUnavailable, TransactionConflict
from queue_metrics.recording.drain import Drain
from queue_metrics.storage import MemoryStorageDriver, StorageDriver
from queue_metrics.storage.base import EXCEPTION, HOUR, QUEUE, SERVER, SERVER_TASK, TASK
from queue_metrics.storage.names import ATTEMPTS, KEY, Name, known_names, let_in
from tests.storage.batches import everything, ones, row, send, series

Open = Callable[..., StorageDriver]
LIMITS = (4, 2, 3, 2, 2)
OTHER = "__other__"


def queue(id_: int) -> Name:
    return (QUEUE, id_, 0)


def task(id_: int, of: int) -> Name:
    return (TASK, id_, of)


def exception(id_: int) -> Name:
    return (EXCEPTION, id_, 0)


def at_once(*works: Callable[[], object]) -> None:
    """Each in a thread of its own; what one of them raises is raised here."""
    errors: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_a_store_lets_in_what_it_has_room_for_and_remembers_it(driver: StorageDriver) -> None:
    assert known_names(driver) == []
    asked = [queue(1), task(11, 1), task(12, 1), task(13, 1), exception(2**64 - 1)]
    first = [queue(1), task(11, 1), task(12, 1), exception(2**64 - 1)]
    assert sorted(let_in(driver, asked, LIMITS)) == sorted(first) == sorted(known_names(driver))
    assert sorted(let_in(driver, asked, LIMITS)) == sorted(first), "asked again, as after an answer that was lost"
    more = [queue(2), task(21, 2), queue(3), task(31, 3), queue(4), task(41, 4), *map(exception, range(5))]
    second = [*first, queue(2), task(21, 2), queue(3), task(31, 3), queue(4), exception(0), exception(1)]
    assert sorted(let_in(driver, more, LIMITS)) == sorted(second) == sorted(known_names(driver))


def test_many_who_ask_at_once_fill_the_store_to_its_limits_and_no_further(open_driver: Open) -> None:
    def ask(driver: StorageDriver, first: int) -> None:
        for number in range(first, first + 5):
            waiting = [queue(number), task(number + 100, number), exception(number)]
            while waiting:
                try:
                    let_in(driver, waiting, LIMITS)
                    waiting = []
                except StoreUnavailable:  # as a drainer does, which comes again
                    continue

    drivers = [open_driver() for _ in range(4)]  # here, since fixtures are not for threads
    at_once(*(lambda place=place: ask(*place) for place in zip(drivers, range(0, 20, 5), strict=True)))
    kinds = [kind for kind, _, _ in known_names(open_driver())]
    assert {kind: kinds.count(kind) for kind in (QUEUE, TASK, EXCEPTION)} == {QUEUE: 4, TASK: 4, EXCEPTION: 3}


def test_names_that_an_older_version_wrote_without_asking_count_too(driver: StorageDriver) -> None:
    own, others = ("c", "q", "old"), [("c", "q", OTHER), (OTHER, OTHER, OTHER)]
    rows = [row for labels in (own, *others) for row in everything(labels, ones())]
    rows += everything(("c", "depth"), ones(), QUEUE)
    rows += [row(("host",), ones(), kind=SERVER), row(("host", *own), ones(), HOUR, kind=SERVER_TASK)]
    rows += [row((OTHER,), ones(), kind=SERVER), row((OTHER, *own), ones(), HOUR, kind=SERVER_TASK)]
    rows += [row(("host", "c", "q", OTHER), ones(), HOUR, kind=SERVER_TASK)]
    rows += everything((*own, "Error"), ones(), EXCEPTION) + everything(("c", "r", "new", "Error"), ones(), EXCEPTION)
    send(driver, rows)
    of = _core.series_id(QUEUE, ("c", "q"))
    error = _core.hash64(_core.label_list(7, ("Error",)))
    found = [queue(of), task(series(own), of), queue(_core.series_id(QUEUE, ("c", "depth"))), exception(error)]
    found.append((SERVER, _core.series_id(SERVER, ("host",)), 0))
    found += [(SERVER_TASK, _core.series_id(SERVER_TASK, ("host", "c", "q", name)), 0) for name in ("old", OTHER)]
    assert sorted(known_names(driver)) == sorted(found)
    asked = [task(1, of), task(2, of)]
    assert sorted(let_in(driver, asked, LIMITS)) == sorted([*found, task(1, of)]) == sorted(known_names(driver))


@pytest.mark.parametrize("field", ["", "1", "one/0000000000000001", "1/xyz"])
def test_what_is_no_name_is_refused_and_left(driver: StorageDriver, field: str) -> None:
    driver.set_hash(KEY, {field: "0"})
    with pytest.raises(StoreRefused, match="no name of ours"):
        let_in(driver, [queue(1)])
    assert driver.get_hash(KEY) == {field: "0"}


def test_who_is_never_quick_enough_is_told_to_come_again() -> None:
    class Busy(MemoryStorageDriver):
        reads = 0

        def known_series(self) -> list:
            self.reads += 1
            self.set_hash("elsewhere", {"a": "b"})
            self.set_key(KEY, str(self.reads))  # under the same name, so it is noticed
            return super().known_series()

    driver = Busy()
    with pytest.raises(TransactionConflict, match="try again"):
        let_in(driver, [queue(1)])
    assert driver.reads == ATTEMPTS


def fill(spool: Path, store: StorageDriver, who: str, jobs: int) -> Drain:
    """A spool with as many tasks, and types of exceptions, as jobs."""
    recorder = _core.Recorder(str(spool), "host")
    for number in range(jobs):
        handle = recorder.series("broker", "mail", f"{who}-{number}", _core.CLOCK_PROCESS)
        slot = recorder.started(handle, number, 1, _core.NO_TIME)
        recorder.finished(slot, _core.FAILED, f"{who}Error{number}", 0)
    return Drain(spool, recorder, store)


def drained(drain: Drain) -> None:
    while True:
        try:
            if drain.step():
                return
        except StoreUnavailable:
            continue


def counted(store: StorageDriver, kind: int, index: int) -> dict[Sequence[str], int]:
    """A counter in the totals of all series of a kind, by labels."""
    labels = {one.id: one.labels for one in store.known_series() if one.kind == kind}
    return {labels[one]: _core.Value.decode(value).counter(index) for one, value in store.read_totals(list(labels)).items()}


def test_drainers_that_fill_a_store_together_keep_its_limits_and_count_everything(open_driver: Open, tmp_path: Path) -> None:
    """Each has names for less than the limits, all of them for more; they drain at the same time, each on a spool of its own."""
    store, jobs, spools = open_driver(), 90, ("a", "b", "c")
    drains = [fill(tmp_path / who, store, who, jobs) for who in spools]
    try:
        at_once(*(lambda drain=drain: drained(drain) for drain in drains))
        tasks, failures = counted(store, TASK, 0), counted(store, EXCEPTION, 2)
        own = [labels for labels in tasks if OTHER not in labels]
        assert len(own) == 200
        assert len({labels[-1] for labels in failures} - {OTHER}) == 100
        assert tasks["broker", "mail", OTHER] == len(spools) * jobs - 200
        assert sum(tasks.values()) == sum(counted(store, TASK, 2).values()) == len(spools) * jobs
        assert all(count == 1 for labels, count in tasks.items() if labels in own)
        assert sum(failures.values()) == len(spools) * jobs
        assert any(drain.status()["other_names"] for drain in drains)
    finally:
        for drain in drains:
            drain.close()


def test_what_was_let_in_keeps_its_series_for_the_next_drainer_and_for_an_execution_that_is_open(tmp_path: Path) -> None:
    """An execution that began as `__other__` ends there, though another drainer takes over; START and END are in one series."""
    store = MemoryStorageDriver()
    drained(fill(tmp_path / "first", store, "a", 200))
    recorder = _core.Recorder(str(tmp_path / "second"), "host")
    slot = recorder.started(recorder.series("broker", "mail", "late", _core.CLOCK_PROCESS), 1, 1, _core.NO_TIME)
    for _ in range(2):
        drain = Drain(tmp_path / "second", recorder, store)
        drained(drain)
        drain.close()
    recorder.finished(slot, _core.SUCCEEDED, None, 0)
    drain = Drain(tmp_path / "second", recorder, store)
    drained(drain)
    drain.close()
    assert counted(store, TASK, 0)["broker", "mail", OTHER] == counted(store, TASK, 1)["broker", "mail", OTHER] == 1
    assert ("broker", "mail", "late") not in counted(store, TASK, 0)
