"""`qm.on` for job events in this process: what is told, to whom, and what a listener cannot do to a job."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import queue_metrics as qm
from queue_metrics import _core
from queue_metrics.model.job_events import JOB_EVENT_KINDS
from tests.hooks.journal import Journal

RULES = (
    (KeyboardInterrupt, _core.CANCELLED, 0),
    (TimeoutError, _core.TIMED_OUT, 0),
    (BlockingIOError, _core.TIMED_OUT, _core.RETRY_FOLLOWS),
)


@pytest.fixture
def on() -> Iterator[Callable[[str, Callable[[Any], object]], Callable[[], None]]]:
    """`qm.on`, ended with the test."""
    stops: list[Callable[[], None]] = []

    def listen(kind: str, callback: Callable[[Any], object]) -> Callable[[], None]:
        stops.append(qm.on(kind, callback))
        return stops[-1]

    yield listen
    for stop in stops:
        stop()
        stop()


@pytest.fixture
def recorder(tmp_path: Path) -> _core.Recorder:
    return _core.Recorder(os.fspath(tmp_path / "spool"), "here", memory_every=0)


def executed(recorder: _core.Recorder, body: Callable[[], object], clock: int = _core.CLOCK_PROCESS, job_id: object = "7") -> Any:
    """What a hook does around a job."""
    handle = recorder.series("mail", "high", "app.send", clock)
    return _core.Tracked(recorder, body, lambda: (handle, job_id, 0, _core.NO_TIME, False), RULES)()


def raising(error: BaseException) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_a_completed_job_is_told_as_the_original_names_it(on: Any, recorder: _core.Recorder) -> None:
    told: list[Any] = []
    on("job_completed", told.append)
    kept: list[bytearray] = []

    def body() -> str:
        kept.append(bytearray(b"\1") * (64 << 20))
        return "answer"

    assert executed(recorder, body) == "answer"
    (event,) = told
    assert type(event).__name__ == "JobCompleted"
    assert (event.job_id, event.job_class, event.connection, event.queue, event.hostname) == ("7", "app.send", "mail", "high", "here")
    assert 60 < event.memory_incremental_mb < 100
    assert event.memory_mb > event.memory_incremental_mb
    assert event.duration_ms > 0
    assert event.cpu_time_ms > 0
    assert event.worker_memory_limit_mb is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.queue = "low"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("no"), "job_failed"),
        (TimeoutError("late"), "job_failed"),
        (KeyboardInterrupt("stop"), "job_failed"),
        (BlockingIOError("full"), "job_retried"),
    ],
)
def test_each_other_end_is_told_once(on: Any, recorder: _core.Recorder, error: BaseException, kind: str) -> None:
    told: list[tuple[str, Any]] = []
    for each in JOB_EVENT_KINDS:
        on(each, lambda event, each=each: told.append((each, event)))
    with pytest.raises(type(error)) as caught:
        executed(recorder, raising(error))
    assert caught.value is error
    assert [(each, event.exception_message) for each, event in told] == [(kind, str(error))]


def test_an_exception_without_words_is_told_without(on: Any, recorder: _core.Recorder) -> None:
    told: list[Any] = []
    on("job_failed", told.append)
    with pytest.raises(Unspeakable):
        executed(recorder, raising(Unspeakable()))
    assert [event.exception_message for event in told] == [None]


def test_what_is_not_known_is_none(on: Any, recorder: _core.Recorder) -> None:
    told: list[Any] = []
    on("job_completed", told.append)
    executed(recorder, lambda: None, _core.CLOCK_NONE)
    assert (told[0].cpu_time_ms, told[0].memory_mb, told[0].memory_incremental_mb) == (None, None, None)


@pytest.mark.parametrize("reason", [_core.REVOKED, _core.EXPIRED, _core.SKIPPED, _core.REJECTED, _core.UNKNOWN_TASK, _core.RESULT_ERROR])
def test_a_job_that_will_not_be_executed_is_debounced(on: Any, recorder: _core.Recorder, reason: int) -> None:
    told: list[Any] = []
    on("job_debounced", told.append)
    recorder.discarded(recorder.series("mail", "high", "app.send", _core.CLOCK_PROCESS), 7, reason)
    expected = [{"job_id": "7", "job_class": "app.send", "connection": "mail", "queue": "high", "hostname": "here"}]
    assert [dataclasses.asdict(event) for event in told] == (expected if reason in (_core.REVOKED, _core.EXPIRED, _core.SKIPPED) else [])


def test_the_verbs_of_a_hook_tell_too(on: Any, recorder: _core.Recorder) -> None:
    told: list[Any] = []
    on("job_completed", told.append)
    slot = recorder.started(recorder.series("mail", "high", "app.send", _core.CLOCK_PROCESS), "é" * 200, 0, _core.NO_TIME)
    for _ in range(2):
        recorder.finished(slot, _core.SUCCEEDED, None, 0)
    recorder.finished(-1, _core.SUCCEEDED, None, 0)
    assert [event.job_id for event in told] == ["é" * 124], "its first 248 bytes, once"


def test_the_record_is_written_before_anybody_is_told(on: Any, recorder: _core.Recorder, tmp_path: Path) -> None:
    written: list[list[str]] = []
    on("job_completed", lambda event: written.append(Journal(tmp_path / "spool").outcomes(event.job_id)))
    executed(recorder, lambda: None)
    assert written == [["succeeded"]]


def test_a_listener_that_raises_is_counted_and_disturbs_neither_job_nor_others(
    on: Any, recorder: _core.Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Any] = []
    on("job_completed", raising_callback(RuntimeError("of mine")))
    on("job_completed", told.append)
    on("job_failed", raising_callback(OSError("too")))
    for _ in range(2):
        assert executed(recorder, lambda: 5) == 5
    with pytest.raises(ValueError, match="the job's own"):
        executed(recorder, raising(ValueError("the job's own")))
    assert recorder.status()["hook_errors"] == 3
    assert len(told) == 2
    assert caplog.text.count("RuntimeError: of mine") == 1


@pytest.mark.parametrize(("error", "outcome"), [(None, "succeeded"), (ValueError("of the job"), "failed")])
def test_only_what_interrupts_the_process_passes_through_a_listener(
    on: Any, recorder: _core.Recorder, error: ValueError | None, outcome: str, tmp_path: Path
) -> None:
    for kind in ("job_completed", "job_failed"):
        on(kind, raising_callback(SystemExit(3)))
    with pytest.raises(SystemExit) as caught:
        executed(recorder, (lambda: None) if error is None else raising(error))
    assert caught.value.__context__ is error
    assert Journal(tmp_path / "spool").outcomes("7") == [outcome]
    assert recorder.status()["hook_errors"] == 0


def test_a_signal_that_raises_an_exception_meant_for_the_job_does_not_change_its_end(on: Any, recorder: _core.Recorder) -> None:
    """As Celery's soft limit, when it strikes while a listener is at work."""
    before = signal.signal(signal.SIGUSR1, lambda *_: (_ for _ in ()).throw(TimeoutError("limit")))
    try:
        on("job_completed", lambda _: os.kill(os.getpid(), signal.SIGUSR1))
        assert executed(recorder, lambda: "done") == "done"
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert recorder.status()["hook_errors"] == 1


def test_memory_that_a_listener_takes_is_not_the_next_jobs(on: Any, recorder: _core.Recorder) -> None:
    told: list[Any] = []
    kept: list[bytearray] = []
    on("job_completed", told.append)
    on("job_completed", lambda _: kept.append(bytearray(b"\1") * (64 << 20)))
    for _ in range(3):
        executed(recorder, lambda: None)
    assert all(event.memory_incremental_mb < 32 for event in told)


def test_what_a_listener_executes_is_recorded_and_not_told_for_ever(on: Any, recorder: _core.Recorder, tmp_path: Path) -> None:
    told: list[str] = []

    def again(event: Any) -> None:
        told.append(event.job_id)
        executed(recorder, lambda: None, job_id="inner")

    on("job_completed", again)
    executed(recorder, lambda: None)
    assert told == ["7"]
    assert Journal(tmp_path / "spool").outcomes("inner") == ["succeeded"]


def test_nested_executions_are_part_of_the_outer_one(on: Any, recorder: _core.Recorder) -> None:
    told: list[str] = []
    on("job_completed", lambda event: told.append(event.job_id))
    executed(recorder, lambda: executed(recorder, lambda: None, job_id="inner"))
    assert told == ["7"]


def test_nobody_is_told_after_the_end(on: Any, recorder: _core.Recorder) -> None:
    first: list[Any] = []
    second: list[Any] = []
    stop = on("job_completed", first.append)
    stop_second = on("job_completed", second.append)
    for end in (stop, stop_second, lambda: None):
        executed(recorder, lambda: None)
        end()
    assert (len(first), len(second)) == (1, 2)


def test_a_forked_child_tells_what_its_parent_listens_to(on: Any, recorder: _core.Recorder, tmp_path: Path) -> None:
    on("job_completed", lambda event: (tmp_path / "told").write_text(json.dumps([event.job_id, os.getpid()])))
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            executed(recorder, lambda: None)
        os._exit(0)
    os.waitpid(child, 0)
    assert json.loads((tmp_path / "told").read_text()) == ["7", child]


def test_track_tells_also_in_a_loop_of_asyncio(on: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_METRICS_STATE_DIR", os.fspath(tmp_path / "state"))
    monkeypatch.setenv("QUEUE_METRICS_PERSISTENCE", "0")
    from queue_metrics import instrument

    monkeypatch.setattr(instrument.__globals__["_tracking"], "_pid", 0)
    monkeypatch.setattr(instrument.__globals__["_tracking"], "_settings", None)
    told: list[Any] = []
    on("job_completed", told.append)
    on("job_failed", told.append)

    async def body() -> None:
        async with qm.track(task="awaited", queue="nightly"):
            await asyncio.sleep(0)

    asyncio.run(body())
    with pytest.raises(KeyError), qm.track(task="blocked", job_id=3):
        raise KeyError("k")
    assert [(event.job_class, event.queue, event.connection) for event in told] == [
        ("awaited", "nightly", "custom"),
        ("blocked", "default", "custom"),
    ]
    assert told[0].cpu_time_ms is None
    assert (told[1].job_id, told[1].exception_message) == ("3", "'k'")
    assert not (tmp_path / "state").exists()


async def _never_run(event: object) -> None:
    """What cannot be a callback."""


def _never_begun(event: object) -> Iterator[object]:
    """Nor can this: it is a generator."""
    yield event


class _NeverRun:
    async def __call__(self, event: object) -> None:
        """Nor an object like this."""


NEVER_RUN = [_never_run, _never_begun, _NeverRun(), _NeverRun().__call__, functools.partial(_NeverRun()), functools.partial(_never_run)]


@pytest.mark.parametrize("callback", [None, "print", *NEVER_RUN])
def test_a_callback_must_be_a_plain_function(callback: Any) -> None:
    with pytest.raises(TypeError, match="plain function"):
        qm.on("job_completed", callback)


@pytest.mark.parametrize("callback", [functools.partial(print, "heard"), _NeverRun, [].append])
def test_whatever_runs_at_once_can_be_a_callback(callback: Any) -> None:
    """A class, too: its call makes an object."""
    qm.on("job_completed", callback)()


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'happened'.*job_completed.*job_debounced.*health_score_changed"):
        qm.on("happened", print)
    with pytest.raises(ValueError, match="leave out `store`"):
        qm.on("job_completed", print, store="memory://")


def test_only_one_pair_of_functions_listens_to_the_core(on: Any) -> None:
    on("job_completed", print)
    with pytest.raises(ValueError, match="somebody else listens"):
        _core.listen(lambda *_: 0, lambda *_: 0)


def raising_callback(error: BaseException) -> Callable[[Any], None]:
    def callback(_: Any) -> None:
        raise error

    return callback
