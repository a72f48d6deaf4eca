"""A Huey instance on SQLite with one task for each way a job can go."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from huey import CancelExecution, RetryTask, SqliteHuey, crontab
from huey.api import Task

from queue_metrics.hooks.huey import HueyHook
from tests.hooks.apps.hooked import DIRECTORY, begun, context, have_a_child_burn, moment, once, recorder, sleep_between_moments

WITH = os.environ.get("HOOK_TEST_WITH", "").split(",")

huey = SqliteHuey("mail", filename=os.fspath(DIRECTORY / "huey.db"), compression="compressed" in WITH, fsync=False)


@huey.task()
def ok() -> str:
    begun("ok")
    return "fine"


@huey.task()
def child() -> None:
    have_a_child_burn()


@huey.task()
def fail() -> None:
    raise ValueError("no")


@huey.task(retries=2)
def retries() -> None:
    raise KeyError("again")


@huey.task(retries=1, retry_delay=1)
def delayed_retry() -> str:
    if once("delayed_retry"):
        raise KeyError("once")
    return "fine"


@huey.task()
def retry_task() -> str:
    if once("retry_task"):
        raise RetryTask
    return "fine"


@huey.task()
def cancels() -> None:
    raise CancelExecution


@huey.task(retries=1)
def cancels_for_good() -> None:
    raise CancelExecution(retry=False)


@huey.task(retries=1)
def cancels_once() -> str:
    if once("cancels_once"):
        raise CancelExecution
    return "fine"


@huey.task(timeout=1)
def times_out() -> None:
    time.sleep(20)


@huey.task(timeout=0.5, retries=1)
def times_out_once() -> str:
    if once("times_out_once"):
        time.sleep(20)
    return "fine"


@huey.task(context=True)
def with_context(task: Any = None) -> str:
    return str(task.id)


@huey.task()
@huey.lock_task("taken")
def locked() -> None:
    begun("locked")


@huey.task()
@huey.rate_limit("none", limit=0, per=3600, retry=False)
def limited() -> None:
    begun("limited")


@huey.task(retries=0, retry_delay=3600)
@huey.rate_limit("none_retry", limit=0, per=3600)
def limited_retry() -> None:
    begun("limited_retry")


@huey.task()
def outer() -> None:
    ok.call_local()
    ok.task_class().execute()


@huey.periodic_task(crontab())
def periodic() -> None:
    begun("periodic")


@huey.task(expires=-5)
def expires() -> None:
    begun("expires")


@huey.pre_execute()
def refuse(task: Any) -> None:
    if task.name == "refused":
        raise CancelExecution


@huey.task()
def refused() -> None:
    begun("refused")


@huey.task()
def revoked() -> None:
    begun("revoked")


@huey.task()
def exits() -> None:
    raise SystemExit(3)


@huey.task()
def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@huey.task()
def sleeps() -> None:
    sleep_between_moments()


@huey.pre_execute()
def before(task: Any) -> None:
    if task.name == "sleeps":
        moment()


@huey.post_execute()
def after(task: Any, *_: Any) -> None:
    if task.name == "sleeps":
        moment()


@huey.task()
def long() -> None:
    begun("long")
    time.sleep(30)


hook = HueyHook(huey, context())
hook.install()
hook.install()


class ClassBased(Task):
    """Registered by hand, after instrumenting; its subclass calls it."""

    def execute(self) -> str:
        begun("ClassBased")
        return "fine"


class Derived(ClassBased):
    def execute(self) -> str:
        return super().execute()


huey._registry.register(ClassBased)
huey._registry.register(Derived)


@huey.task()
def late() -> None:
    begun("late")


@huey.task()
def errors() -> None:
    """Tell how many errors the hook had in the process that runs this."""
    begun(f"errors-{recorder.status()['hook_errors']}")
