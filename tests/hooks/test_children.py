"""L6 with real workers: the CPU time of a job holds that of the processes that it waited for, and that of no other job's."""

from __future__ import annotations

import json
from pathlib import Path

from tests.hooks.journal import Journal, eventually
from tests.hooks.processes import Worker, worker
from tests.support.servers import RedisServer

APP = ("celery", "-A", "tests.hooks.apps.celery_app", "worker", "-P", "prefork", "-c", "1", "--without-gossip", "--without-mingle")
MS = 1_000_000


def of_a_child_and_of_none(running: Worker, *names: str) -> None:
    """A job whose child burns a second costs that, and a job after it in the same process nothing."""
    eventually(lambda: all(Journal(running.spool).outcomes(name) == ["succeeded"] for name in names), about=running.log)
    journal = Journal(running.spool)
    ends = [journal.end(journal.of("START", name)[0]) for name in names]
    assert ends[0] is not None
    assert ends[1] is not None
    assert 1_000 * MS <= ends[0].cpu <= 1_400 * MS, "a second, and the start of two Pythons"
    assert ends[1].cpu < 100 * MS


def test_l6_a_celery_job_costs_what_its_child_burns(tmp_path: Path) -> None:
    """L6: children that had ended were not counted."""
    with RedisServer(tmp_path) as redis, worker(tmp_path / "celery", *APP, HOOK_TEST_BROKER=redis.url) as running:
        plan = [["send", "child", "child", [], {}], ["send", "ok", "ok", [], {}]]
        running.run("tests.hooks.apps.celery_send", json.dumps(plan))
        of_a_child_and_of_none(running, "child", "ok")


def test_l6_a_huey_job_costs_what_its_child_burns(tmp_path: Path) -> None:
    with worker(tmp_path / "huey", "tests.hooks.apps.huey_consume", "process") as running:
        running.run("tests.hooks.apps.huey_send", "child")
        eventually(lambda: Journal(running.spool).outcomes("child") == ["succeeded"], about=running.log)
        running.run("tests.hooks.apps.huey_send", "ok")
        of_a_child_and_of_none(running, "child", "ok")
