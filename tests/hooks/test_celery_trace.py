"""How the callable gets into Celery's tracers, and out again, without a worker."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import celery.app.trace
import celery.worker.consumer.consumer
import pytest
from celery import Celery
from kombu.messaging import Producer

from queue_metrics import _core
from queue_metrics.hooks import celery_trace
from queue_metrics.hooks.base import HookContext
from queue_metrics.hooks.celery import CeleryHook
from tests.hooks.journal import Journal


def nothing() -> None:
    pass


@pytest.fixture
def recorder(tmp_path: Path) -> _core.Recorder:
    return _core.Recorder(str(tmp_path / "spool"), "testhost")


@pytest.fixture
def app() -> Iterator[Celery]:
    app = Celery("units", broker="memory://", set_as_current=False)

    @app.task(name="add", shared=False)
    def add(a: int, b: int) -> int:
        return a + b

    app.finalize()
    yield app
    app.close()


@pytest.fixture
def hook(app: Celery, recorder: _core.Recorder) -> Iterator[CeleryHook]:
    hook = CeleryHook(app, HookContext(recorder, on_main=nothing, on_child=nothing, on_producer=nothing))
    yield hook
    hook.uninstall()


def tracer(app: Celery, **options: Any) -> Any:
    return celery.app.trace.build_tracer("add", app.tasks["add"], app=app, **options)


def called(built: Any) -> Any:
    cell = celery_trace.function_cell(built)
    assert cell is not None
    return cell.cell_contents


class CallableObject:
    def __init__(self, inner: Callable[..., Any]) -> None:
        self.inner = inner

    def __call__(self, *args: Any) -> Any:
        return self.inner(*args)

    def method(self, *args: Any) -> Any:
        return self.inner(*args)


def wrapped(inner: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(inner)
    def wrapper(*args: Any) -> Any:
        return inner(*args)

    return wrapper


@pytest.mark.parametrize(
    "wrap",
    [
        lambda built: built,
        wrapped,
        lambda built: wrapped(wrapped(wrapped(built))),
        functools.partial,
        CallableObject,
        lambda built: CallableObject(built).method,
        lambda built: wrapped(functools.partial(CallableObject(built))),
    ],
)
def test_the_function_is_found_below_wrappers(app: Celery, wrap: Callable[[Any], Any]) -> None:
    assert called(wrap(tracer(app))) == app.tasks["add"].run


@pytest.mark.parametrize("candidate", [None, 3, len, lambda: None, CallableObject(len)])
def test_what_is_no_tracer_has_no_function(candidate: Any) -> None:
    assert celery_trace.function_cell(candidate) is None


def test_wrappers_in_a_circle_end(app: Celery) -> None:
    first, second = CallableObject(len), CallableObject(len)
    first.inner, second.inner = second, first
    assert celery_trace.function_cell(first) is None


def test_new_and_existing_tracers_are_treated_and_eager_ones_left_alone(app: Celery, hook: CeleryHook) -> None:
    app.tasks["add"].__trace__ = existing = tracer(app)
    hook.install()
    assert isinstance(called(existing), _core.Tracked)
    assert isinstance(called(tracer(app)), _core.Tracked)
    assert not isinstance(called(tracer(app, eager=True)), _core.Tracked)


def test_tracers_of_another_app_are_left_alone(hook: CeleryHook) -> None:
    other = Celery("other", broker="memory://", set_as_current=False)

    @other.task(name="add", shared=False)
    def add() -> None:
        pass

    hook.install()
    assert not isinstance(called(tracer(other)), _core.Tracked)


def test_installing_twice_wraps_once(app: Celery, hook: CeleryHook) -> None:
    hook.install()
    hook.install()
    assert called(tracer(app)).inner == app.tasks["add"].run


def test_uninstall_puts_everything_back(app: Celery, hook: CeleryHook) -> None:
    modules = [celery.app.trace, celery.worker.consumer.consumer]
    before = [module.build_tracer for module in modules]
    receivers = [len(signal.receivers) for signal, _ in hook._receivers]
    send = app.amqp.send_task_message
    app.tasks["add"].__trace__ = existing = tracer(app)
    amqp = set(vars(app.amqp))
    hook.install()
    assert [module.build_tracer for module in modules] != before
    assert app.amqp.send_task_message is not send
    hook.uninstall()
    hook.uninstall()
    assert [module.build_tracer for module in modules] == before
    assert called(existing) == app.tasks["add"].run
    assert app.amqp.send_task_message is send
    assert set(vars(app.amqp)) == amqp
    assert [len(signal.receivers) for signal, _ in hook._receivers] == receivers


def test_a_builder_that_somebody_wrapped_meanwhile_stays_and_does_nothing(app: Celery, hook: CeleryHook) -> None:
    original = celery.app.trace.build_tracer
    hook.install()
    theirs = celery.app.trace.build_tracer = wrapped_builder(celery.app.trace.build_tracer)
    try:
        hook.uninstall()
        assert celery.app.trace.build_tracer is theirs
        assert called(tracer(app)) == app.tasks["add"].run
        hook.install()
        assert called(tracer(app)).inner == app.tasks["add"].run
    finally:
        hook.uninstall()
        celery.app.trace.build_tracer = original


def wrapped_builder(inner: Callable[..., Any]) -> Callable[..., Any]:
    def build_tracer(name: str, task: Any, *args: Any, **kwargs: Any) -> Any:
        return wrapped(inner(name, task, *args, **kwargs))

    return build_tracer


def test_an_unknown_tracer_is_a_finding_and_its_class_is_put_back(
    app: Celery, hook: CeleryHook, recorder: _core.Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(celery_trace, "function_cell", lambda _: None)
    hook.install()
    task = app.tasks["add"]
    run = tracer(app)
    request = {"id": "job", "is_eager": False, "delivery_info": {"exchange": "", "routing_key": "letters"}}
    assert run("job", (1, 2), {}, request).retval == 3
    assert any("__call__" in finding and "add" in finding for finding in hook.findings())
    assert Journal(tmp_path / "spool").outcomes("job") == ["succeeded"]
    assert task(1, 2) == 3
    assert len(Journal(tmp_path / "spool").of("START")) == 1, "a direct call is no execution"
    hook.uninstall()
    assert "__call__" not in vars(type(task))


@pytest.mark.parametrize(
    ("fields", "ready_at"),
    [
        ({}, _core.NO_TIME),
        ({"queue_metrics": 1_700_000_000_000_000}, 1_700_000_000_000_000),
        ({"queue_metrics": 1_700_000_000_000_000, "eta": "2023-11-14T22:13:21.500000+00:00"}, 1_700_000_001_500_000),
        ({"queue_metrics": 1_700_000_002_000_000, "eta": "2023-11-14T22:13:21+00:00"}, 1_700_000_002_000_000),
        ({"eta": "2023-11-14T22:13:21"}, 1_700_000_001_000_000),
        ({"headers": {"queue_metrics": 7}}, 7),
        ({"queue_metrics": "soon", "eta": "tomorrow"}, _core.NO_TIME),
        ({"queue_metrics": True, "eta": 5}, _core.NO_TIME),
        ({"queue_metrics": 2**80}, _core.NO_TIME),
        ({"queue_metrics": None, "headers": None}, _core.NO_TIME),
    ],
)
def test_the_moment_a_job_could_run(app: Celery, hook: CeleryHook, tmp_path: Path, fields: dict[str, Any], ready_at: int) -> None:
    """Published and due, whatever else stands in the headers."""
    hook.install()
    tracer(app)("job", (1, 2), {}, {"id": "job", "is_eager": False, "delivery_info": {"routing_key": "q"}, **fields})
    (start,) = Journal(tmp_path / "spool").of("START", "job")
    assert start.ready_at == ready_at


@pytest.mark.parametrize("job", ["", "ü" * 5000, 17, ("a", 1), b"\xff", None])
def test_job_ids_of_any_type(app: Celery, hook: CeleryHook, tmp_path: Path, job: object) -> None:
    """None is no job: nothing is recorded and the task runs all the same."""
    hook.install()
    answer = tracer(app)(job, (1, 2), {}, {"id": job, "is_eager": False, "delivery_info": None})
    assert answer.retval == 3
    assert len(Journal(tmp_path / "spool").of("START")) == (job is not None)


def test_a_users_headers_are_kept_and_an_old_stamp_replaced(
    app: Celery, hook: CeleryHook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.install()
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(Producer, "publish", lambda _self, _body, *, headers, **_: sent.append(headers))
    mine = {"trace": "abc", "queue_metrics": 5}
    app.send_task("add", (1, 2), task_id="with", headers=mine)
    app.send_task("add", (1, 2), task_id="without", queue="letters")
    assert mine == {"trace": "abc", "queue_metrics": 5}
    assert sent[0]["trace"] == "abc"
    journal = Journal(tmp_path / "spool")
    for headers, job, queue in zip(sent, ("with", "without"), ("celery", "letters"), strict=True):
        (arrival,) = journal.of("ARRIVE", job)
        assert headers["queue_metrics"] == arrival.ready_at
        assert journal.series(arrival) == ("units", queue, "add")


def test_a_message_that_could_not_be_sent_is_no_arrival(
    app: Celery, hook: CeleryHook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.install()

    def publish(*_: Any, **__: Any) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(Producer, "publish", publish)
    with pytest.raises(ConnectionError):
        app.send_task("add", (1, 2))
    assert not (tmp_path / "spool").exists() or Journal(tmp_path / "spool").of("ARRIVE") == []
