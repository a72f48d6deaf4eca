"""
Hears which ends a worker's main process gives to executions, before Celery writes them to the result backend; knows nothing of recording.

Celery sends `task_failure` for a hard limit and `task_revoked` for a terminated job only after it has written the result. A backend that
is away raises, no signal is sent, and the job is never spoken of again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from celery.worker import request as requests
from celery.worker import state

from queue_metrics.hooks.replaced import Replaced

Heard = Callable[[Any], None]
"""Given the request whose execution has ended; raises nothing."""


def attach(replaced: Replaced, timed_out: Heard, cancelled: Heard) -> None:
    """Wrap what every class of requests inherits. A Celery that has no such method is left alone; its signals remain."""

    def on_timeout(request: Any, soft: Any = True, *_: Any, **__: Any) -> None:
        if not soft and not state.should_terminate:  # a cold stop comes this way too: no limit was exceeded
            timed_out(request)

    def announce_revoked(request: Any, reason: Any = None, terminated: Any = False, *_: Any, **__: Any) -> None:
        if terminated:
            cancelled(request)

    for name, hear in (("on_timeout", on_timeout), ("_announce_revoked", announce_revoked)):
        method = vars(requests.Request).get(name)
        if callable(method):
            replaced.put(requests.Request, name, _after(hear, method))


def _after(hear: Callable[..., None], method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        hear(*args, **kwargs)
        return method(*args, **kwargs)

    return wrapper
