"""A Celery app with one task for each way a job can go; words in HOOK_TEST_WITH change how it is instrumented, or take its backend away."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import sentry_sdk
from celery import Celery, Task, shared_task
from celery.exceptions import Ignore, Reject
from celery.signals import task_postrun, task_prerun
from sentry_sdk.integrations.celery import CeleryIntegration

from queue_metrics.hooks import celery_trace
from queue_metrics.hooks.celery import CeleryHook
from tests.hooks.apps.celery_names import HOSTILE
from tests.hooks.apps.hooked import begun, context, have_a_child_burn, moment, once, recorder, sleep_between_moments

WITH = os.environ.get("HOOK_TEST_WITH", "").split(",")
BROKER = os.environ.get("HOOK_TEST_BROKER", "memory://")

AWAY = "tests.hooks.apps.celery_away:Away"

app = Celery("shop", broker=BROKER, backend=AWAY if "away" in WITH else BROKER if BROKER.startswith("redis") else None)
app.conf.update(
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    worker_send_task_events=False,
    task_protocol=1 if "protocol1" in WITH else 2,
    task_acks_late="late" in WITH,
    task_reject_on_worker_lost="late" in WITH,
    broker_transport_options={"visibility_timeout": 60},
    redis_max_connections=20,
)


def _sentry() -> None:
    sentry_sdk.init(dsn=None, integrations=[CeleryIntegration()], default_integrations=False, auto_enabling_integrations=False)


@app.task(name="ok")
def ok() -> str:
    begun("ok")
    return "fine"


@app.task(name="fail")
def fail() -> None:
    raise ValueError("no")


@app.task(name="retry", bind=True, max_retries=3)
def retry(self: Any) -> str:
    if self.request.retries < 1:
        raise self.retry(countdown=1)
    return "after all"


@app.task(name="autoretry", autoretry_for=(KeyError,), retry_kwargs={"max_retries": 1, "countdown": 0})
def autoretry() -> None:
    raise KeyError("again")


@app.task(name="ignore")
def ignore() -> None:
    raise Ignore


@app.task(name="reject", acks_late=True)
def reject() -> None:
    raise Reject("no", requeue=False)


@app.task(name="requeue", acks_late=True)
def requeue() -> str:
    if once("requeue"):
        raise Reject("later", requeue=True)
    return "second time"


@app.task(name="soft", soft_time_limit=1)
def soft() -> None:
    while True:
        time.sleep(0.01)


@app.task(name="hard", time_limit=1)
def hard() -> None:
    while True:
        time.sleep(0.01)


@app.task(name="killed")
def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="exits")
def exits() -> None:
    raise SystemExit(3)


@app.task(name="vanishes")
def vanishes() -> None:
    os._exit(0)


@app.task(name="long")
def long(name: str = "long") -> None:
    begun(name)
    time.sleep(300)  # longer than any test waits for its end


@app.task(name="sleeps")
def sleeps() -> None:
    sleep_between_moments()


@task_prerun.connect(sender=sleeps)
@task_postrun.connect(sender=sleeps)
def around(**_: Any) -> None:
    moment()


@app.task(name="takes")
def takes(megabytes: int) -> int:
    """Takes memory and gives it back before it ends."""
    return len(bytearray(megabytes << 20))


@app.task(name="child")
def child() -> None:
    have_a_child_burn()


@app.task(name="peak")
def peak() -> None:
    """Tell whether true peaks are measured in the process that runs this."""
    begun(f"peak-{recorder.status()['exact_peak']}")


@app.task(name="unencodable")
def unencodable() -> object:
    return object()


@app.task(name="body_cannot_encode")
def body_cannot_encode() -> None:
    ok.apply_async(kwargs={"x": object()})


@app.task(name="needs_arguments")
def needs_arguments(a: int) -> int:
    return a


@app.task(name="outer")
def outer() -> Any:
    ok()
    ok.run()
    return ok.apply(task_id="nested").get(disable_sync_subtasks=False)


@app.task(name="recursive")
def recursive(depth: int = 3) -> int:
    return depth and recursive(depth - 1)


@shared_task(name="shared")
def shared() -> None:
    begun("shared")


class OwnCall(Task):
    """A base whose `__call__` the worker honours."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        begun("own_call")
        return super().__call__(*args, **kwargs)


@app.task(name="own_call", base=OwnCall)
def own_call() -> None:
    begun("own_call_body")


class ClassBased(Task):
    name = "class_based"

    def run(self) -> None:
        begun("class_based")


app.register_task(ClassBased())


@app.task(name=HOSTILE)
def hostile() -> None:
    pass


if "early" not in WITH:
    app.finalize()

if "sentry_before" in WITH:
    _sentry()
if "fallback" in WITH:
    celery_trace.function_cell = lambda tracer: None
hook = CeleryHook(app, context("named" if "named" in WITH else None))
hook.install()
hook.install()
if "sentry_after" in WITH:
    _sentry()


@app.task(name="late")
def late() -> None:
    begun("late")


@app.task(name="errors")
def errors() -> None:
    """Tell how many errors the hook had in the process that runs this."""
    begun(f"errors-{recorder.status()['hook_errors']}")
