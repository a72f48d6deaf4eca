"""Celery whose result backend is away: executions have the outcomes that they have with one, and what was not stored is counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import celery.app.trace
import pytest
from celery import Celery, signals
from celery.backends.base import BaseBackend
from celery.worker.request import Request

from queue_metrics import _core
from queue_metrics.hooks.base import HookContext
from queue_metrics.hooks.celery import CeleryHook
from tests.hooks.journal import Journal, eventually
from tests.hooks.processes import worker
from tests.support.servers import RedisServer

APP = ("celery", "-A", "tests.hooks.apps.celery_app", "worker", "--without-gossip", "--without-mingle", "-l", "INFO")
SEND = "tests.hooks.apps.celery_send"
STORED = ["ok", "fail", "retry", "soft", "ignore", "errors"]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    """What one prefork worker recorded that never reached its backend."""
    directory = tmp_path_factory.mktemp("away")
    environment = {"HOOK_TEST_WITH": "away"}
    with (
        RedisServer(tmp_path_factory.mktemp("redis")) as redis,
        worker(directory, *APP, "-P", "prefork", "-c", "3", HOOK_TEST_BROKER=redis.url, **environment) as running,
    ):
        jobs = [["send", job, job, [], {}] for job in [*STORED, "hard"]]
        running.run(SEND, json.dumps([*jobs, ["send", "terminated", "long", ["terminated"], {}]]))
        eventually((directory / "begun-terminated").exists, about=running.log)
        running.run(SEND, json.dumps([["terminate", "terminated", None, None, None]]))

        def over() -> bool:
            journal = Journal(running.spool)
            ended = all(journal.outcomes(job) and "open" not in journal.outcomes(job) for job in [*STORED, "hard", "terminated"])
            return ended and len(journal.outcomes("retry")) == 2

        eventually(over, about=running.log)
        running.stop()
        assert [path.name for path in directory.glob("begun-errors-*")] == ["begun-errors-0"]
        yield Journal(running.spool)


def test_a_hard_limit_is_hinted_before_celery_turns_to_its_backend(journal: Journal) -> None:
    assert journal.hints("hard") == {"timed_out"}
    assert journal.outcomes("hard") in (["cancelled?"], ["open"])


def test_a_terminated_job_is_hinted_before_celery_turns_to_its_backend(journal: Journal) -> None:
    assert journal.hints("terminated") == {"cancelled"}
    assert journal.outcomes("terminated") in (["cancelled?"], ["open"])


@pytest.mark.parametrize(
    ("job", "outcomes", "unstored"),
    [
        ("ok", ["succeeded"], 1),
        ("fail", ["failed"], 1),
        ("soft", ["timed_out"], 1),
        ("retry", ["retried+", "succeeded"], 2),
        ("ignore", ["succeeded"], 0),
    ],
)
def test_each_result_that_could_not_be_stored_is_counted_whatever_the_outcome(
    journal: Journal, job: str, outcomes: list[str], unstored: int
) -> None:
    assert journal.outcomes(job) == outcomes
    assert journal.discards(job) == ["result_error"] * unstored


class Flapping(BaseBackend):
    """Refuses to store a number of times, then stores."""

    refusals = 0

    def _store_result(self, *_: Any, **__: Any) -> None:
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("no result backend")


@pytest.fixture
def app() -> Iterator[Celery]:
    app = Celery("away", broker="memory://", set_as_current=False)
    app._local.backend = Flapping(app)

    @app.task(name="ok", shared=False)
    def ok() -> None:
        pass

    @app.task(name="fail", shared=False)
    def fail() -> None:
        raise ValueError

    @app.task(name="stores", shared=False)
    def stores() -> None:
        """Its own use of a backend fails, not Celery's."""
        backend = Flapping(app)
        backend.refusals = 1
        backend.mark_as_failure("other", ValueError())

    app.finalize()
    yield app
    app.close()


@pytest.fixture
def hook(app: Celery, tmp_path: Path) -> Iterator[CeleryHook]:
    def nothing() -> None:
        pass

    recorder = _core.Recorder(str(tmp_path / "spool"), "testhost")
    hook = CeleryHook(app, HookContext(recorder, on_main=nothing, on_child=nothing, on_producer=nothing))
    hook.install()
    yield hook
    hook.uninstall()


@pytest.mark.parametrize(
    ("task", "refusals", "unstored"),
    [("ok", 0, 0), ("fail", 0, 0), ("stores", 0, 0), ("ok", 1, 1), ("fail", 1, 1), ("stores", 1, 1), ("ok", 9, 1), ("fail", 9, 1)],
)
@pytest.mark.usefixtures("hook")
@pytest.mark.filterwarnings("ignore:Exception raised outside body")
def test_a_result_that_is_refused_is_counted_once_however_often_celery_tries(
    app: Celery, tmp_path: Path, task: str, refusals: int, unstored: int
) -> None:
    app.backend.refusals = refusals
    request = {"id": "job", "is_eager": False, "delivery_info": {"routing_key": "letters"}}
    celery.app.trace.trace_task(app.tasks[task], "job", (), {}, request, app=app)
    journal = Journal(tmp_path / "spool")
    assert len(journal.outcomes("job")) == 1
    assert journal.discards("job") == ["result_error"] * unstored


class StartedWorker:
    """As much of Celery's worker as the signal of its start shows."""

    pool_cls = "prefork"

    def __init__(self, app: Celery) -> None:
        self.app = app


def test_uninstall_puts_the_requests_of_the_worker_back(app: Celery, hook: CeleryHook) -> None:
    def methods() -> list[Any]:
        return [Request.on_timeout, Request._announce_revoked]

    before = methods()
    for _ in range(2):
        signals.worker_init.send(sender=StartedWorker(app))
        assert all(now is not own and now.__wrapped__ is own for now, own in zip(methods(), before, strict=True))
    hook.uninstall()
    assert methods() == before
