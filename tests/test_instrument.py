"""`instrument` and `track`: which hook, which settings, which handle; what is said of anything else."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from huey import MemoryHuey, SqliteHuey

import queue_metrics as qm
from tests.recording.tools import counts, environment, eventually
from tests.support.patience import PATIENCE
from tests.support.servers import free_port


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("QUEUE_METRICS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("QUEUE_METRICS_STATE_DIR", os.fspath(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def app(tmp_path: Path) -> Iterator[SqliteHuey]:
    found = SqliteHuey("shop", filename=os.fspath(tmp_path / "huey.db"))
    yield found
    qm.instrument(found, enabled=False).uninstall()


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def test_the_hook_is_chosen_by_the_class_of_the_target_or_a_base_of_it(app: SqliteHuey, store: str) -> None:
    class OwnCelery(Celery):
        pass

    handles = [qm.instrument(target, store=store) for target in (app, OwnCelery("own", set_as_current=False))]
    try:
        assert [handle.enabled for handle in handles] == [True, True]
        assert [handle.findings()[0].partition(":")[0] for handle in handles] == ["huey", "celery"]
        assert [handle.settings.namespace for handle in handles] == ["shop", "own"]
    finally:
        for handle in handles:
            handle.uninstall()


@pytest.mark.parametrize("target", [object(), "app", None, 7, Celery, lambda: None])
def test_anything_else_is_answered_with_what_there_is(target: object) -> None:
    with pytest.raises(qm.UnsupportedTarget, match=r"celery\.Celery.*huey\.Huey.*qm\.track"):
        qm.instrument(target)


def test_the_same_target_twice_is_the_same_handle_and_wraps_once(app: SqliteHuey, store: str) -> None:
    @app.task()
    def add(a: int, b: int) -> int:
        return a + b

    first = qm.instrument(app, store=store)
    wrapped = add.task_class.execute
    assert qm.instrument(app, store=store, namespace="other") is first
    assert add.task_class.execute is wrapped


def test_what_a_second_call_asks_for_in_vain_is_said(app: SqliteHuey, store: str, caplog: pytest.LogCaptureFixture) -> None:
    first = qm.instrument(app, store=store)
    assert qm.instrument(app) is first
    assert qm.instrument(app, store=store, namespace="shop") is first
    assert not caplog.records
    assert qm.instrument(app, store=f"{store}.other?secret", connection="mail") is first
    (record,) = caplog.records
    assert "store, connection" in record.getMessage()
    assert "uninstall()" in record.getMessage()
    assert "secret" not in record.getMessage()


def test_uninstall_puts_everything_back_and_may_be_called_twice(app: SqliteHuey, store: str) -> None:
    @app.task()
    def add(a: int, b: int) -> int:
        return a + b

    before = (add.task_class.__dict__.get("execute"), app.create_consumer)
    handle = qm.instrument(app, store=store)
    assert add.task_class.__dict__.get("execute") != before[0]
    assert repr(handle).endswith(": enabled>")
    handle.uninstall()
    handle.uninstall()
    assert (add.task_class.__dict__.get("execute"), app.create_consumer) == before
    assert not handle.enabled
    assert repr(handle).endswith(": uninstalled>")
    assert handle.findings() == ()
    assert qm.instrument(app, store=store) is not handle


def test_jobs_of_a_target_are_counted_in_its_store(app: SqliteHuey, store: str) -> None:
    @app.task()
    def add(a: int, b: int) -> int:
        return a + b

    handle = qm.instrument(app, store=store)
    for _ in range(5):
        add(1, 2)
    while (task := app.dequeue()) is not None:
        app.execute(task)
    assert handle.flush(30)
    found = counts(store)
    assert (found["arrivals"], found["started"], found["succeeded"]) == (5, 5, 5)
    status = handle.status()
    assert status["enabled"]
    assert status["store"] == store
    assert status["recorder"]["hook_errors"] == 0


def test_two_apps_with_two_stores_in_one_process_never_mix(tmp_path: Path) -> None:
    apps = [SqliteHuey(name, filename=os.fspath(tmp_path / f"{name}-huey.db")) for name in ("one", "two")]
    stores = [f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "two")]
    handles = [qm.instrument(app, store=store, namespace="same") for app, store in zip(apps, stores, strict=True)]
    try:
        assert len({handle.status()["spool"] for handle in handles}) == 2
        for number, app in enumerate(apps, 1):
            task = app.task(name="t")(lambda: None)
            for _ in range(number):
                task()
            while (message := app.dequeue()) is not None:
                app.execute(message)
        assert all(handle.flush(30) for handle in handles)
        assert [counts(store)["succeeded"] for store in stores] == [1, 2]
    finally:
        for handle in handles:
            handle.uninstall()


def test_disabled_wraps_nothing_makes_nothing_and_starts_nothing(app: SqliteHuey, place: Path) -> None:
    threads, files = threading.enumerate(), sorted(place.rglob("*"))
    before = dict(vars(app))
    handle = qm.instrument(app, enabled=False, store="redis://127.0.0.1:1/0")
    assert dict(vars(app)) == before
    assert not handle.enabled
    assert handle.flush() is True
    assert handle.status() == {"enabled": False, "findings": []}
    assert threading.enumerate() == threads
    assert sorted(place.rglob("*")) == files


def test_a_store_that_is_away_is_no_error(app: SqliteHuey) -> None:
    assert qm.instrument(app, store=f"redis://127.0.0.1:{free_port()}/0").enabled


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"store": "postgres//x"}, "postgres//x"),
        ({"store": "rediss"}, "A store is one of"),
        ({"flush_second": 1}, "did you mean 'flush_seconds'"),
        ({"namespace": 7}, "namespace must be text"),
        ({"prefix": "Ä"}, "prefix"),
    ],
)
def test_a_wrong_setting_is_an_error_at_once_and_wraps_nothing(app: SqliteHuey, settings: dict[str, object], message: str) -> None:
    before = dict(vars(app))
    with pytest.raises(qm.ConfigurationError, match=message):
        qm.instrument(app, **settings)  # type: ignore[arg-type]
    assert dict(vars(app)) == before


def test_a_target_without_a_name_has_the_namespace_of_the_project(place: Path) -> None:
    handle = qm.instrument(Celery(set_as_current=False), enabled=False)
    assert handle.settings.namespace == place.name
    handle.uninstall()


def test_memory_huey_is_instrumented_and_says_what_it_cannot_tell(store: str) -> None:
    handle = qm.instrument(MemoryHuey("m"), store=store)
    assert any("depth" in finding for finding in handle.findings())
    handle.uninstall()


def tracked(tmp_path: Path, code: str, **variables: str) -> str:
    """The output of a program that tracks, in an empty project with a store of its own."""
    done = subprocess.run(
        [sys.executable, "-c", f"import queue_metrics as qm\n{code}"],
        cwd=tmp_path,
        env={**environment(), "QUEUE_METRICS_STATE_DIR": os.fspath(tmp_path / "state"), **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_track_records_where_the_settings_say_and_flushes_at_the_exit(tmp_path: Path, store: str) -> None:
    tracked(
        tmp_path,
        "@qm.track(queue='nightly')\ndef clean(): pass\n"
        "for _ in range(3): clean()\n"
        "with qm.track(task='import'): pass\n"
        "try:\n  with qm.track(task='broken'): raise ValueError\nexcept ValueError: pass\n",
        QUEUE_METRICS_STORE=store,
    )
    found = counts(store)
    assert (found["started"], found["succeeded"], found["failed"]) == (5, 4, 1)


def test_track_in_a_forked_child_is_counted_too(tmp_path: Path, store: str) -> None:
    tracked(
        tmp_path,
        "import os\nwith qm.track(task='a'): pass\npid = os.fork()\nwith qm.track(task='b'): pass\nif pid: os.waitpid(pid, 0)\n",
        QUEUE_METRICS_STORE=store,
    )
    assert counts(store)["succeeded"] == 3


def test_track_disabled_runs_the_code_and_makes_nothing(tmp_path: Path) -> None:
    assert tracked(tmp_path, "with qm.track(task='a'): print('ran')", QUEUE_METRICS_ENABLED="false") == "ran\n"
    assert list(tmp_path.iterdir()) == []


def test_track_says_a_wrong_setting_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    output = tracked(tmp_path, "try: qm.track(task='a')\nexcept qm.ConfigurationError as error: print(error)", QUEUE_METRICS_STROE="x")
    assert "did you mean 'QUEUE_METRICS_STORE'" in output


def test_track_goes_where_the_instrumented_app_goes(app: SqliteHuey, store: str) -> None:
    handle = qm.instrument(app, store=store)

    async def body() -> None:
        async with qm.track(task="async"):
            pass

    with qm.track(task="sync"):
        pass
    asyncio.run(body())
    assert handle.flush(30)
    eventually(lambda: counts(store)["succeeded"] == 2, "both are counted")
