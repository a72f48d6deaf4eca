"""Stamps, notes, arrivals and methods: what a library's objects say of their jobs without a hook being asked."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from queue_metrics import _core
from tests.core.library import Library, stamp_of
from tests.core.writing import in_child, of_kind
from tests.support.journal_oracle import NO_TIME, job_hash
from tests.support.patience import PATIENCE

SECOND = 1_000_000


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "spool")


def test_a_stored_job_arrives_with_the_stamp_of_its_message(library: Library) -> None:
    library.warm()
    before = _core.clock_us()
    assert library.store(library.job("a")) == 1
    (message,) = library.stored
    ready_at, attempt = stamp_of(message)
    assert message[: -_core.STAMP_SIZE] == b"message"
    assert before <= ready_at <= _core.clock_us()
    assert attempt == 0
    (arrive,) = of_kind(library.spool, "ARRIVE")
    assert (arrive.job, arrive.small, arrive.ready_at) == (job_hash("a"), 0, ready_at)
    assert library.asked == []


def test_a_job_that_is_due_later_could_run_then(library: Library) -> None:
    library.warm()
    job = library.job("a")
    job.eta = _core.clock_us() + SECOND
    library.store(job)
    assert stamp_of(library.stored[0]) == (job.eta, 0)
    job = library.job("b")
    job.eta = 5  # over long ago: it can run now
    library.store(job)
    assert stamp_of(library.stored[1])[0] > SECOND


def test_a_job_that_only_moves_keeps_its_stamp_and_does_not_arrive(library: Library) -> None:
    library.warm()
    library.store(library.job("a"))
    (message,) = library.stored
    moved = library.job("a", message)
    library.store(moved)
    assert stamp_of(library.stored[1]) == stamp_of(message)
    library.store(library.job("b", b"without a stamp"))
    assert stamp_of(library.stored[2]) == (NO_TIME, 0)
    assert library.arrivals() == [(job_hash("a"), 0)]


def test_an_executed_job_arrives_again_with_the_next_attempt(library: Library) -> None:
    library.warm()
    job = library.job("a")
    job.note = 41
    library.store(job)
    assert stamp_of(library.stored[0])[1] == 42
    assert library.arrivals() == [(job_hash("a"), 42)]


def test_a_way_into_storage_that_raises_is_no_arrival(library: Library) -> None:
    library.warm()

    def full(job: Any) -> None:
        library._store(job)
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        library.storing(full)(library.job("a"))
    assert library.arrivals() == []
    library.storing(lambda job: None)(library.job("b"))
    assert [word for word, _ in library.asked] == ["arrived"], "not the job before"
    assert library.arrivals() == []


def test_the_hook_is_asked_where_no_message_was_stamped_and_first_in_each_process(library: Library) -> None:
    library.store(library.job("first"))
    library.storing(lambda job: None)(library.job("b"))
    job = library.job(17)  # an id that is no text
    library.store(job)
    assert [word for word, _ in library.asked if word == "arrived"] == ["arrived"] * 3
    library.asked.clear()

    def child() -> None:
        library.store(library.job("c"))
        assert [word for word, _ in library.asked] == ["arrived"]
        library.store(library.job("d"))
        assert len(library.asked) == 1

    assert in_child(child) == 0
    assert library.arrivals() == [(job_hash("d"), 0)]


def test_one_job_stored_inside_the_storing_of_another(library: Library) -> None:
    library.warm()
    inner = library.job("inner")

    def both(job: Any) -> None:
        library._store(job)
        library.store(inner)

    outer = library.job("outer")
    library.storing(both)(outer)
    assert library.arrivals() == [(job_hash("inner"), 0)]
    assert library.asked == [("arrived", outer)]


def test_calls_for_other_owners_pass_through(library: Library) -> None:
    library.warm()
    store: Any = library.store
    job = library.job("a")
    assert store.__func__(object(), job) == 1
    assert library.messages.stamped(b"message", object(), job, job.id, job.eta) == b"message"
    assert library.arrivals() == []
    assert library.asked == []


def test_a_dismissed_job_does_not_arrive(library: Library) -> None:
    library.warm()

    def dismissed(job: Any) -> None:
        library._store(job)
        library.messages.dismiss()

    library.storing(dismissed)(library.job("a"))
    assert library.arrivals() == []
    assert [word for word, _ in library.asked] == ["arrived"]


def test_arguments_of_a_way_into_storage_pass_unchanged(library: Library) -> None:
    seen: list[object] = []
    store = library.storing(lambda *args, **options: seen.append((args, options)))
    store(1, two=2)
    store()
    store(1, 2)
    assert seen == [((1,), {"two": 2}), ((), {}), ((1, 2), {})]


def test_a_message_that_is_no_bytes_is_not_stamped_and_its_job_arrives(library: Library) -> None:
    library.warm()
    job = library.job("a")
    text: Any = "message"
    library.storing(lambda job: library.messages.stamped(text, library, job, job.id, job.eta))(job)
    assert library.messages.stamped(text, library, job, job.id, job.eta) is text
    assert library.arrivals() == [(job_hash("a"), 0)]


@pytest.mark.parametrize("which", ["series", "moment", "arrived"])
@pytest.mark.parametrize("error", [ValueError(), KeyboardInterrupt()])
def test_an_error_of_the_hook_is_counted_and_an_interruption_passed_on(tmp_path: Path, which: str, error: BaseException) -> None:
    library = Library(tmp_path / "spool")

    def raising(*_: object) -> Any:
        raise error

    callables: list[Callable[..., Any]] = [raising if name == which else getattr(library, name) for name in ("series", "moment", "arrived")]
    library.messages = _core.Messages(library.recorder, library, "note", "retries", *callables)
    job = library.job("a")
    job.eta = 5
    store = library.storing(library._store)
    if isinstance(error, ValueError):
        assert store(job) == 1
        assert library.recorder.status()["hook_errors"] == 1
        assert stamp_of(library.stored[0])[1] == 0
    else:
        with pytest.raises(KeyboardInterrupt):
            store(job)


def test_when_it_is_stopped_everything_passes_through(library: Library) -> None:
    library.warm()
    library.messages.handle(library.executed)
    library.store(library.job("a"))
    (message,) = library.stored
    library.executed("a", message).work()
    library.messages.stop()
    library.store(library.job("b"))
    assert library.stored[1] == b"message"
    assert library.executed("c", message).work(1) == ("c", (1,), {})
    assert library.arrivals() == [(job_hash("a"), 0)]
    assert len(of_kind(library.spool, "START")) == 1
    assert [word for word, _ in library.asked] == ["series"]


def test_an_execution_is_told_by_its_note(library: Library) -> None:
    library.warm()
    library.messages.handle(library.executed)
    library.asked.clear()
    library.store(library.job("a"))
    job = library.executed("a", library.stored[0])
    assert job.work(1, two=2) == ("a", (1,), {"two": 2})
    assert job.note == 0
    (start,), (end,) = of_kind(library.spool, "START"), of_kind(library.spool, "END")
    assert (start.job, start.small, start.ready_at) == (job_hash("a"), 0, stamp_of(library.stored[0])[0])
    assert (end.key, end.small) == (start.key, _core.SUCCEEDED)
    assert job.work() == ("a", (), {}), "part of the first"
    assert len(of_kind(library.spool, "START")) == 1
    assert library.asked == []


@pytest.mark.parametrize("note", [None, [], b"", b"no stamp", (b"x", "a"), b"\0qm\x01" + bytes(7) + b"\x80" + bytes(8), "5"])
def test_a_note_that_tells_nothing_is_left_to_the_probe(library: Library, note: object) -> None:
    job = library.executed("a")
    job.note = note
    assert job.work() == ("a", (), {})
    assert library.asked == [("probe", job)]


def test_an_object_that_did_not_wait_is_left_to_the_probe_with_its_stamp(library: Library) -> None:
    library.warm()
    library.messages.handle(library.executed)
    library.store(library.job("a"))
    (message,) = library.stored
    stamp = message[-_core.STAMP_SIZE :]
    jobs = [library.executed("a", message) for _ in range(100)]
    assert all(job.note in (0, stamp) for job in jobs)
    assert 0 < sum(job.note == 0 for job in jobs) < 100, "the rest had to give its place away"
    library.messages.settle(jobs[-1])
    assert jobs[-1].note == stamp
    library.messages.settle(object())
    library.messages.settle()
    assert [job.note for job in jobs] == [stamp] * 100
    library.asked.clear()
    assert jobs[0].work() == ("a", (), {})
    assert library.asked == [("probe", jobs[0])]


def test_each_of_many_objects_is_executed_once_by_whichever_thread(library: Library) -> None:
    import threading

    library.warm()
    library.messages.handle(library.executed)
    library.store(library.job("a"))
    (message,) = library.stored
    jobs = [library.executed(f"job-{number}", message) for number in range(100)]
    waited = [job.id for job in jobs if job.note == 0]
    thread = threading.Thread(target=lambda: [job.work() for job in jobs + jobs])
    library.asked.clear()
    thread.start()
    thread.join()
    assert sorted(start.job for start in of_kind(library.spool, "START")) == sorted(job_hash(job) for job in waited)
    told = [job for word, job in library.asked if word == "probe"]
    assert {id(job) for job in told} == {id(job) for job in jobs if job.id not in waited}


def test_an_object_that_waits_does_not_pass_its_stamp_on_by_its_address(library: Library) -> None:
    library.warm()
    library.messages.handle(library.executed)
    library.store(library.job("a"))
    (message,) = library.stored
    for number in range(200):
        library.executed(f"gone-{number}", message)
        job = library.executed("other")
        job.work()
        del job
    assert of_kind(library.spool, "START") == []


def test_an_object_is_let_go_of_when_it_is_executed_or_settled(library: Library) -> None:
    library.warm()
    library.messages.handle(library.executed)
    library.store(library.job("a"))
    (message,) = library.stored
    job = library.executed("a", message)
    job.work()
    gone = weakref.ref(job)
    del job
    assert gone() is None
    gone = weakref.ref(library.executed("b", message))
    assert gone() is not None, "it waits for its execution"
    library.messages.settle()
    assert gone() is None
    gone = weakref.ref(library.executed("c", message))
    library.messages.stop()
    assert gone() is None


def test_an_object_whose_task_is_not_known_yet_is_left_to_the_probe(library: Library) -> None:
    library.warm()
    library.store(library.job("a"))
    job = library.executed("a", library.stored[0])
    library.messages.forget()
    library.asked.clear()
    job.work()
    assert library.asked == [("probe", job)]
    assert job.note == library.stored[0][-_core.STAMP_SIZE :]


def test_a_note_that_cannot_be_written_is_counted(library: Library) -> None:
    library.warm()
    library.store(library.job("a"))

    class Closed:
        __slots__ = ("id",)

    closed = Closed()
    assert library.messages.unpacked(library.stored[0], closed, "a") == 0
    library.messages.settle(closed)
    assert library.recorder.status()["hook_errors"] == 1


@pytest.mark.parametrize(("retries", "outcome"), [(1, _core.RETRIED), (0, _core.FAILED), (None, _core.FAILED), ("x", _core.FAILED)])
def test_retries_that_are_left_after_an_exception_decide(library: Library, retries: object, outcome: int) -> None:
    library.warm()
    library.store(library.job("a"))

    def failing(job: Any) -> None:
        job.retries = retries
        raise error

    error = ValueError("mine")
    tracked = _core.Tracked(library.recorder, failing, library.probe, [], pass_self=True, messages=library.messages)

    class Failing(library.job):  # type: ignore[name-defined]
        work = _core.method(tracked)

    library.messages.handle(Failing)
    with pytest.raises(ValueError, match="mine") as caught:
        Failing("a", library.stored[0]).work()
    assert caught.value is error
    assert [end.small for end in of_kind(library.spool, "END")] == [outcome]


def test_a_method_is_bound_called_and_collected_as_a_function_is(library: Library) -> None:
    method = library.executed.__dict__["work"]
    assert isinstance(method, _core.Method)
    assert method.target.inner is library.job.work
    job = library.executed("a")
    assert library.executed.work is method
    assert job.work.__self__ is job
    assert library.executed.work(job, 1) == ("a", (1,), {})
    assert job.work(*(1,), two=2) == ("a", (1,), {"two": 2})
    with pytest.raises(TypeError):
        library.executed.work()
    with pytest.raises(TypeError):
        _core.Method()

    def cycle() -> weakref.ref[type]:
        class Own:
            pass

        def work(self: Own) -> type:
            return Own

        Own.work = _core.method(_core.Tracked(library.recorder, work, library.probe, [], pass_self=True))  # type: ignore[attr-defined]
        return weakref.ref(Own)

    gone = cycle()
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("tail", [b"", b"\0", b"\x00qm\x01", b"x" * 20, b"\x00qm\x02" + bytes(16)])
def test_other_bytes_are_no_stamp(tail: bytes) -> None:
    assert _core.read_stamp(tail) is None


def test_threads_do_not_mix_their_jobs(library: Library) -> None:
    """Each gives the interpreter away between its message and the end of its storing."""
    import threading

    library.warm()
    barrier = threading.Barrier(4)

    def storing(job: Any) -> None:
        library._store(job)
        barrier.wait(PATIENCE)

    store = library.storing(storing)
    jobs = [library.job(f"job-{number}") for number in range(4)]
    threads = [threading.Thread(target=store, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(library.arrivals()) == sorted((job_hash(job.id), 0) for job in jobs)
    assert library.asked == []
    assert os.getpid() == library.recorder.status()["pid"]
