"""The native callable around a job: every end is recorded, every exception passed on unchanged."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import threading
import traceback
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from queue_metrics import _core
from tests.core.writing import in_child, of_kind, open_keys, outcomes, whole
from tests.support.journal_oracle import NO_TIME, hash64, job_hash, label_list, read_spool


class SoftLimit(Exception):
    """Stands for a library's soft time limit."""


class Interrupted(BaseException):
    """Stands for what a signal handler raises."""


RULES: list[tuple[Any, ...]] = [
    (SoftLimit, _core.TIMED_OUT, 0),
    (SystemExit, _core.CANCELLED, _core.ASK_TERMINATING | _core.PROVISIONAL),
    (OSError, _core.TIMED_OUT, 0, "errno", 4),
    (OSError, _core.LOST, 0, "no_such_attribute", 4),
    (EOFError, _core.CANCELLED, _core.RETRY_IF_LEFT),
    (StopIteration, _core.RETRIED, _core.RETRY_FOLLOWS),
    (LookupError, _core.CANCELLED, 0),
]


class Jobs:
    """A recorder with one task, and what its probe says."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.recorder = _core.Recorder(str(spool), "host")
        self.handle = self.recorder.series("broker", "default", "task", _core.CLOCK_PROCESS)
        self.job_id: object = "job"
        self.retries_left = False

    def probe(self, *_: object) -> tuple[int, object, int, int, bool]:
        return (self.handle, self.job_id, 3, NO_TIME, self.retries_left)

    def tracked(self, inner: Callable[..., Any], **options: Any) -> _core.Tracked:
        return _core.Tracked(self.recorder, inner, options.pop("probe", self.probe), RULES, **options)

    def ends(self) -> list[tuple[int, int]]:
        return [(end.small, end.flags) for end in of_kind(self.spool, "END")]


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path / "spool")


def raising(error: BaseException) -> Callable[[], None]:
    def job() -> None:
        raise error

    return job


def test_arguments_and_result_pass_unchanged(jobs: Jobs) -> None:
    answer = object()
    seen: list[object] = []

    def job(*args: object, **options: object) -> object:
        seen.append((args, options))
        return answer

    tracked = jobs.tracked(job)
    assert tracked(1, "two", three=3) is answer
    assert seen == [((1, "two"), {"three": 3})]
    assert tracked.inner is job
    (start,), (end,) = of_kind(jobs.spool, "START"), of_kind(jobs.spool, "END")
    assert (start.small, start.job, start.key) == (3, job_hash("job"), end.key)
    assert (end.small, end.flags, end.exception) == (_core.SUCCEEDED, 0, 0)


@pytest.mark.parametrize(
    ("error", "retries_left", "ended"),
    [
        (ValueError(), False, (_core.FAILED, 0)),
        (ValueError(), True, (_core.RETRIED, _core.RETRY_FOLLOWS)),
        (KeyboardInterrupt(), True, (_core.FAILED, 0)),
        (SoftLimit(), True, (_core.TIMED_OUT, 0)),
        (StopIteration(), False, (_core.RETRIED, _core.RETRY_FOLLOWS)),
        (KeyError("x"), True, (_core.CANCELLED, 0)),
        (SystemExit(1), False, (_core.FAILED, 0)),
        (OSError(4, "x"), False, (_core.TIMED_OUT, 0)),
        (OSError(5, "x"), False, (_core.FAILED, 0)),
        (EOFError(), True, (_core.CANCELLED, _core.RETRY_FOLLOWS)),
        (EOFError(), False, (_core.CANCELLED, 0)),
        (GeneratorExit(), False, (_core.FAILED, 0)),
    ],
)
def test_the_first_rule_that_matches_decides_the_outcome(
    jobs: Jobs, error: BaseException, retries_left: bool, ended: tuple[int, int]
) -> None:
    jobs.retries_left = retries_left
    with pytest.raises(type(error)) as caught:
        jobs.tracked(raising(error))()
    assert caught.value is error
    assert jobs.ends() == [ended]
    assert of_kind(jobs.spool, "END")[0].exception == hash64(label_list(7, type(error).__name__))


def test_the_exception_keeps_its_traceback_cause_and_context(jobs: Jobs) -> None:
    def job() -> None:
        try:
            raise KeyError("first")
        except KeyError as first:
            raise ValueError("second") from first

    with pytest.raises(ValueError, match="second") as caught:
        jobs.tracked(job)()
    assert isinstance(caught.value.__cause__, KeyError)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "job"
    assert traceback.extract_tb(caught.value.__cause__.__traceback__)[-1].name == "job"


@pytest.mark.parametrize(
    ("answer", "ended", "errors"),
    [
        (True, (_core.CANCELLED, _core.PROVISIONAL), 0),
        (False, (_core.FAILED, 0), 0),
        (ValueError(), (_core.FAILED, 0), 1),
        (Interrupted(), (_core.CANCELLED, _core.PROVISIONAL), 0),
    ],
)
def test_a_rule_may_hold_only_while_the_process_is_torn_down(jobs: Jobs, answer: object, ended: tuple[int, int], errors: int) -> None:
    def terminating() -> bool:
        if isinstance(answer, BaseException):
            raise answer
        return bool(answer)

    with pytest.raises(SystemExit):
        jobs.tracked(raising(SystemExit()), terminating=terminating)()
    assert jobs.ends() == [ended]
    assert jobs.recorder.status()["hook_errors"] == errors


def test_as_a_class_attribute_it_binds_like_a_function(jobs: Jobs) -> None:
    class Task:
        execute = _core.method(jobs.tracked(lambda self, value: (self, value), pass_self=True))

    instance = Task()
    assert instance.execute(5) == (instance, 5)
    assert Task.execute(instance, 6) == (instance, 6)
    assert instance.execute.__self__ is instance
    assert jobs.ends() == [(_core.SUCCEEDED, 0)] * 2


def test_a_call_that_is_no_execution_leaves_no_record(jobs: Jobs) -> None:
    assert jobs.tracked(lambda: 5, probe=lambda: None)() == 5
    assert not jobs.spool.exists()


@pytest.mark.parametrize("answer", [(), (1, 2), ("handle", "job", 0, 0, False), 5])
def test_a_wrong_answer_of_the_probe_is_counted_and_the_job_runs(jobs: Jobs, answer: object) -> None:
    assert jobs.tracked(lambda: 5, probe=lambda: answer)() == 5
    assert jobs.recorder.status()["hook_errors"] == 1
    assert not jobs.spool.exists()


def test_an_error_of_the_probe_is_counted_and_the_job_runs(jobs: Jobs) -> None:
    assert jobs.tracked(lambda: 5, probe=raising(ValueError()))() == 5
    assert jobs.recorder.status()["hook_errors"] == 1


@pytest.mark.parametrize(("error", "outcome"), [(SoftLimit(), _core.TIMED_OUT), (Interrupted(), _core.FAILED)])
def test_an_interruption_of_the_probe_is_the_end_of_the_job(jobs: Jobs, error: BaseException, outcome: int) -> None:
    first = [error]

    def probe() -> tuple[int, object, int, int, bool]:
        if first:
            raise first.pop()
        return jobs.probe()

    ran: list[int] = []
    with pytest.raises(type(error)) as caught:
        jobs.tracked(lambda: ran.append(1), probe=probe)()
    assert caught.value is error
    assert ran == []
    assert jobs.ends() == [(outcome, 0)]


def test_an_interruption_while_the_job_id_becomes_text_is_the_end_of_the_job(jobs: Jobs) -> None:
    class Id:
        def __str__(self) -> str:
            raise SoftLimit

    jobs.job_id = Id()
    with pytest.raises(SoftLimit):
        jobs.tracked(lambda: None)()
    assert jobs.ends() == [(_core.TIMED_OUT, 0)]


def test_a_job_id_without_text_is_counted_and_the_job_recorded(jobs: Jobs) -> None:
    class Id:
        def __str__(self) -> str:
            raise ValueError

    jobs.job_id = Id()
    assert jobs.tracked(lambda: 5)() == 5
    assert jobs.ends() == [(_core.SUCCEEDED, 0)]
    assert jobs.recorder.status()["hook_errors"] == 1


def test_a_tracked_call_inside_another_is_part_of_it(jobs: Jobs) -> None:
    inner = jobs.tracked(raising(ValueError()))

    def outer() -> None:
        with pytest.raises(ValueError, match=r"^$"):
            inner()

    jobs.tracked(outer)()
    assert jobs.ends() == [(_core.SUCCEEDED, 0)]


def test_a_task_that_forks_ends_once(jobs: Jobs) -> None:
    def job() -> int:
        return in_child(lambda: None)

    def forking() -> None:
        child = jobs.tracked(os.fork)()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)

    assert jobs.tracked(job)() == 0
    forking()
    assert jobs.ends() == [(_core.SUCCEEDED, 0)] * 2


def test_a_spool_that_cannot_be_written_stops_no_job(jobs: Jobs) -> None:
    jobs.spool.write_bytes(b"")
    assert jobs.tracked(lambda: 5)() == 5
    with pytest.raises(ValueError, match="mine"):
        jobs.tracked(raising(ValueError("mine")))()
    assert jobs.recorder.status()["drops"] == {"not_writable": 4}


@pytest.mark.parametrize("outcome", [0, 7, -1, "failed"])
def test_a_rule_without_outcome_is_refused(jobs: Jobs, outcome: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        _core.Tracked(jobs.recorder, print, jobs.probe, [(ValueError, outcome, 0)])


def test_a_cycle_through_it_is_collected(jobs: Jobs) -> None:
    class Box:
        tracked: _core.Tracked

    def cycle() -> weakref.ref[Box]:
        box = Box()
        box.tracked = jobs.tracked(lambda: box)
        return weakref.ref(box)

    gone = cycle()
    gc.collect()
    assert gone() is None


def test_the_context_manager_records_its_body(jobs: Jobs) -> None:
    def track() -> _core.Track:
        return _core.Track(jobs.recorder, jobs.handle, "job", 1, NO_TIME, RULES)

    with track() as entered:
        assert isinstance(entered, _core.Track)
    for error in (ValueError(), SoftLimit(), SystemExit(), Interrupted()):
        with pytest.raises(type(error)) as caught, track():
            raise error
        assert caught.value is error
    assert jobs.ends() == [(outcome, 0) for outcome in (_core.SUCCEEDED, _core.FAILED, _core.TIMED_OUT, _core.FAILED, _core.FAILED)]
    assert open_keys(read_spool(jobs.spool)) == set()


def work() -> int:
    total = 0
    for number in range(200):
        total += number
    return total


@pytest.mark.parametrize("way", ["raised by the handler", "set asynchronously"])
def test_no_end_is_lost_to_exceptions_at_any_moment(tmp_path: Path, way: str) -> None:
    """4,000 signals, at any instruction of a child that does nothing but run jobs."""
    jobs = Jobs(tmp_path / "spool")
    signals = 4_000

    def child() -> None:
        seen = 0

        def raise_it(*_: object) -> None:
            nonlocal seen
            seen += 1
            if seen >= signals:
                signal.setitimer(signal.ITIMER_REAL, 0)
            kind = SoftLimit if seen % 2 else Interrupted
            if way == "raised by the handler":
                raise kind
            set_exception(thread, ctypes.py_object(kind))

        set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
        thread = ctypes.c_ulong(threading.get_ident())
        tracked = jobs.tracked(work)

        def run(depth: int) -> None:
            # A signal may come while the one before is handled; the next one cannot reach all floors.
            while seen < signals:
                try:  # noqa: SIM105 - the Python code of contextlib could be interrupted itself
                    run(depth - 1) if depth else tracked()
                except (SoftLimit, Interrupted):
                    pass

        signal.signal(signal.SIGALRM, raise_it)
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
        run(4)
        assert jobs.recorder.status()["running"] == 0
        assert jobs.recorder.status()["hook_errors"] == 0

    assert in_child(child) == 0
    records = whole(jobs.spool)
    assert open_keys(records) == set()
    interrupted = outcomes(records)[_core.TIMED_OUT] + outcomes(records)[_core.FAILED]
    assert interrupted >= 2_000
