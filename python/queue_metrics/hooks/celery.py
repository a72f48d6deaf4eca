"""
Celery: executions from inside the tracer, all that happens outside of them from signals; knows no other job library.

An execution is recorded where the worker calls the function of a task (`celery_trace`), never through `task_prerun`,
`task_postrun` or `task_success`, whose mere receivers cost more than all of this. Signals are used for what no function sees: revoked,
expired, unknown, killed by a hard limit, lost with its process, a result that could not be stored.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Any

from billiard import common as billiard_common
from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from celery import Celery, current_app, signals
from celery.exceptions import Ignore, Reject, Retry

from queue_metrics import _core
from queue_metrics.hooks import celery_trace, job_events
from queue_metrics.hooks.base import DepthProbe, Hook, HookContext, guarded
from queue_metrics.hooks.celery_depth import RedisDepth, redis_parameters
from queue_metrics.hooks.celery_messages import HEADER, Messages, is_moment
from queue_metrics.hooks.replaced import Replaced

_Probed = tuple[int, object, int, int, bool]


def _terminating() -> bool:
    """Whether a signal handler of billiard is taking this process down; older billiards have only the variable."""
    fired = getattr(billiard_common, "terminate_handler_fired", None)
    return bool(fired() if fired is not None else billiard_common._should_have_exited[0])


RULES: Sequence[Any] = (
    (Retry, _core.RETRIED, _core.RETRY_FOLLOWS),
    (Reject, _core.RETRIED, _core.RETRY_FOLLOWS, "requeue", True),
    (Reject, _core.FAILED, 0),
    (Ignore, _core.SUCCEEDED, 0),  # the function decided to end quietly
    (SoftTimeLimitExceeded, _core.TIMED_OUT, 0),
    # Whatever comes out of a body while a signal takes the process down, cleaning up can fail too: main knows why.
    (BaseException, _core.CANCELLED, _core.PROVISIONAL | _core.ASK_TERMINATING),
)


class CeleryHook(Hook):
    """One Celery app: in its workers, their pool children, and every process that publishes through it."""

    library = "celery"

    def __init__(self, app: Any, context: HookContext) -> None:
        self._app = app
        self._context = context
        self._recorder = context.recorder
        self._connection = context.connection or app.main or "celery"
        self._messages = Messages(app, context.recorder, self._connection)
        self._installed = False
        self._fallbacks: dict[type, tuple[Any, Any]] = {}
        self._requests = Replaced()
        self._depth: RedisDepth | None = None
        self._receivers: list[tuple[Any, Callable[..., None]]] = [
            (signal, guarded(self._recorder, receiver))
            for signal, receiver in (
                (signals.worker_init, self._on_worker_init),
                (signals.worker_process_init, self._on_child_init),
                (signals.worker_process_shutdown, self._on_child_shutdown),
                (signals.task_revoked, self._on_revoked),
                (signals.task_failure, self._on_failure),
                (signals.task_internal_error, self._on_internal_error),
                (signals.task_unknown, self._on_unknown),
                (signals.task_rejected, self._on_rejected),
            )
        ]

    @staticmethod
    def app_of_broker(url: str) -> Celery:
        """An app that knows its broker and the default queue only: enough to be asked for its depth."""
        return Celery(broker=url, set_as_current=False)

    def install(self) -> None:
        if self._installed:
            return
        self._installed = True
        for signal, receiver in self._receivers:
            signal.connect(receiver, weak=False)
        self._wrap_publishing()
        celery_trace.attach(self._app, self._treat)
        for name, task in list(self._app._tasks.items()):
            tracer = getattr(task, "__trace__", None)
            if tracer is not None and not self._treat(task, tracer):
                task.__trace__ = celery_trace.current_builder()(name, task, self._app.loader, app=self._app)

    def uninstall(self) -> None:
        if not self._installed:
            return
        self._installed = False
        for signal, receiver in self._receivers:
            signal.disconnect(receiver)
        amqp = self._app.amqp
        vars(amqp).pop("_create_task_sender", None)
        sender = vars(amqp).get("send_task_message")
        if sender is not None and hasattr(sender, "queue_metrics_inner"):
            amqp.send_task_message = sender.queue_metrics_inner
        self._requests.take_away()
        celery_trace.detach(self._app)
        for task in list(self._app._tasks.values()):
            cell = celery_trace.function_cell(getattr(task, "__trace__", None))
            if cell is not None and isinstance(cell.cell_contents, _core.Tracked):
                cell.cell_contents = cell.cell_contents.inner
        for kind, (ours, own) in self._fallbacks.items():
            if vars(kind).get("__call__") is not ours:
                continue  # somebody wrapped ours
            if own is None:
                del kind.__call__
            else:
                kind.__call__ = own  # type: ignore[method-assign]
        self._fallbacks.clear()

    def probes(self) -> Sequence[DepthProbe]:
        if self._depth is None and isinstance(redis_parameters(self._app), dict):
            self._depth = RedisDepth(self._app, self._connection, self._messages.queues)
        return () if self._depth is None else (self._depth,)

    def findings(self) -> Sequence[str]:
        findings = []
        if self._fallbacks:
            names = ", ".join(sorted(f"{kind.__module__}.{kind.__qualname__}" for kind in self._fallbacks))
            findings.append(f"celery: this version's tracer is not known; wrapped through __call__ instead: {names}")
        elif self._installed:
            findings.append("celery: executions are recorded inside the tracer")
        if self._messages.clock == _core.CLOCK_NONE:
            findings.append("celery: greenlets share a thread; CPU time of a task cannot be told here")
        if self._app.conf.task_always_eager:
            findings.append("celery: task_always_eager is on; eager tasks run in the caller and are not recorded")
        parameters = redis_parameters(self._app)
        if isinstance(parameters, str):
            findings.append(f"celery: depth of queues is not asked: {parameters}")
        return findings

    # Executions

    def _treat(self, task: Any, tracer: Any) -> bool:
        try:
            cell = celery_trace.function_cell(tracer)
            if cell is None:
                return self._fall_back(task)
            if not isinstance(cell.cell_contents, _core.Tracked):
                cell.cell_contents = self._tracked(cell.cell_contents, self._probe_of(task))
        except Exception:
            self._recorder.hook_error()
        return True

    def _fall_back(self, task: Any) -> bool:
        """Wrap `__call__` of the class; the recorder sees that a recursive call is nested. The worker honours it in a new tracer only."""
        kind = type(task)
        if kind in self._fallbacks:
            return True
        own = vars(kind).get("__call__")
        probes: dict[str, Callable[[], _Probed | None]] = {}

        def probe(called: Any, *_: Any, **__: Any) -> _Probed | None:
            if not self._installed:  # somebody wrapped what was to be taken away
                return None
            return (probes.get(called.name) or probes.setdefault(called.name, self._probe_of(called)))()

        ours = kind.__call__ = _core.method(self._tracked(kind.__call__, probe, pass_self=True))
        self._fallbacks[kind] = ours, own
        return False

    def _tracked(self, inner: Callable[..., Any], probe: Callable[..., _Probed | None], *, pass_self: bool = False) -> _core.Tracked:
        return _core.Tracked(self._recorder, inner, probe, RULES, terminating=_terminating, pass_self=pass_self)

    def _probe_of(self, task: Any) -> Callable[[], _Probed | None]:
        name, messages = task.name, self._messages
        stack = task.request_stack
        stacks, thread = _stacks_of(stack)
        handles: dict[object, int] = {}

        def probe() -> _Probed | None:
            try:
                request = stacks[thread()]["stack"][-1]
            except (LookupError, TypeError):
                request = stack.top
                if request is None:
                    return None
            job_id = request.id
            if job_id is None or request.is_eager or request.called_directly:
                return None
            delivery = request.delivery_info or {}
            route = (delivery.get("exchange"), delivery.get("routing_key"))
            try:
                handle = handles[route]
            except KeyError:
                handle = handles[route] = messages.handle(name, messages.queue_of(delivery))
            stamp = request.__dict__.get(HEADER)
            if stamp is None:  # protocol 1 hands the message's headers on in one piece
                stamp = (request.headers or {}).get(HEADER)
            ready_at = stamp if request.eta is None and is_moment(stamp) else messages.ready_at(stamp, request.eta)
            return handle, job_id, request.retries or 0, ready_at, False

        return probe

    # Publishing

    def _wrap_publishing(self) -> None:
        """
        Stamp and count what this app sends.

        The function inside `app.amqp` that sends a message is wrapped, not `before_task_publish` received: that signal does not
        say which app sends nor whether sending worked, and costs more.
        """
        amqp = self._app.amqp
        create = amqp._create_task_sender
        amqp._create_task_sender = lambda: self._sender(create())
        if "send_task_message" in vars(amqp):
            amqp.send_task_message = self._sender(amqp.send_task_message)

    def _sender(self, send: Callable[..., Any]) -> Callable[..., Any]:
        def send_task_message(producer: Any, name: str, message: Any, *args: Any, **options: Any) -> Any:
            if not self._installed:
                return send(producer, name, message, *args, **options)
            now = time.time_ns() // 1000
            try:
                if options.get("headers"):  # of a retry: these win over the message's own, an old stamp of ours included
                    options["headers"] = {**options["headers"], HEADER: now}
                else:
                    message.headers[HEADER] = now
            except Exception:
                self._recorder.hook_error()
            sent = send(producer, name, message, *args, **options)
            try:
                self._arrived(name, message, now, options)
            except Exception:
                self._recorder.hook_error()
            return sent

        send_task_message.queue_metrics_inner = send  # type: ignore[attr-defined]
        return send_task_message

    def _arrived(self, name: str, message: Any, now: int, options: dict[str, Any]) -> None:
        if self._context.known_pid != os.getpid():
            self._context.known_pid = os.getpid()
            self._recorder.describe(_core.PRODUCER, self.library, self._connection, "")
            self._context.on_producer()
        fields = message.headers if "id" in message.headers else message.body
        handle = self._messages.handle(name, self._messages.queue_sent_to(options))
        self._recorder.arrived(handle, fields["id"], fields.get("retries") or 0, self._messages.ready_at(now, fields.get("eta")))

    # Processes

    def _on_worker_init(self, sender: Any, **_: Any) -> None:
        if sender.app is not self._app:
            return
        pool = sender.pool_cls if isinstance(sender.pool_cls, str) else getattr(sender.pool_cls, "__module__", "")
        if "thread" in pool:
            self._messages.clock = _core.CLOCK_THREAD
        elif "gevent" in pool or "eventlet" in pool:
            self._messages.clock = _core.CLOCK_NONE
        limit = getattr(sender, "max_memory_per_child", None)
        job_events.limit_memory(self._connection, limit if "prefork" in pool else None)  # no other pool heeds it
        if limit:
            self._recorder.refuse_exact_peak("max_memory_per_child reads the mark that it resets")
        self._context.known_pid = os.getpid()
        self._recorder.describe(_core.MAIN, self.library, self._connection, ",".join(sorted(self._app.amqp.queues.consume_from)))
        self._context.on_main()
        from queue_metrics.hooks import celery_requests  # it loads Celery's worker, which a producer does without

        self._requests.take_away()
        celery_requests.attach(self._requests, self._hint(_core.TIMED_OUT, TimeLimitExceeded.__name__), self._hint(_core.CANCELLED, None))

    def _on_child_init(self, **_: Any) -> None:
        """Sent in every new pool child, and in the main process of a solo pool."""
        if self._context.known_pid != os.getpid() and current_app._get_current_object() is self._app:
            self._context.known_pid = os.getpid()
            self._context.on_child()

    def _on_child_shutdown(self, **_: Any) -> None:
        if self._context.known_pid == os.getpid():
            self._recorder.stopped()

    # What no function sees

    def _hint(self, outcome: int, exception: str | None) -> Callable[[Any], None]:
        """What leaves a hint for a request of this app. The signal for the same end, if it comes, leaves it again: hints are idempotent."""

        def heard(request: Any) -> None:
            if self._installed and request.task.app is self._app:
                self._recorder.hinted(request.id, outcome, exception)

        return guarded(self._recorder, heard)

    def _on_revoked(self, sender: Any, request: Any, terminated: bool, expired: bool, **_: Any) -> None:
        if sender.app is not self._app:
            return
        if terminated:
            self._recorder.hinted(request.id, _core.CANCELLED, None)
        else:
            self._discarded(sender.name, request.delivery_info, request.id, _core.EXPIRED if expired else _core.REVOKED)

    def _on_failure(self, sender: Any, task_id: object, exception: BaseException, **_: Any) -> None:
        if sender.app is not self._app:
            return
        if isinstance(exception, WorkerLostError):
            self._recorder.hinted(task_id, _core.LOST, type(exception).__name__)
        elif isinstance(exception, TimeLimitExceeded):
            self._recorder.hinted(task_id, _core.TIMED_OUT, type(exception).__name__)
        elif celery_trace.body_succeeded() and sender.request.id == task_id and not sender.request.is_eager:
            # Else its request is gone: this is what follows an internal error, which has been counted.
            self._discarded(sender.name, sender.request.delivery_info, task_id, _core.RESULT_ERROR)

    def _on_internal_error(self, sender: Any, task_id: object, request: Any, **_: Any) -> None:
        if sender.app is self._app and celery_trace.outcome_was_lost() and not (request or {}).get("is_eager"):
            self._discarded(sender.name, (request or {}).get("delivery_info"), task_id, _core.RESULT_ERROR)

    def _on_unknown(self, sender: Any, message: Any, name: str, id: object, **_: Any) -> None:
        if sender.app is self._app:
            self._discarded(name, message.delivery_info, id, _core.UNKNOWN_TASK)

    def _on_rejected(self, sender: Any, message: Any, **_: Any) -> None:
        headers = message.headers or {}
        if sender.app is self._app and "id" in headers and "task" in headers:
            self._discarded(headers["task"], message.delivery_info, headers["id"], _core.REJECTED)

    def _discarded(self, task: str, delivery: dict[str, Any] | None, job_id: object, reason: int) -> None:
        self._recorder.discarded(self._messages.handle(task, self._messages.queue_of(delivery or {})), job_id, reason)


def _stacks_of(stack: Any) -> tuple[dict[Any, Any], Callable[[], Any]]:
    """
    Where a task's stack of requests keeps its lists by thread, and what tells the thread; nothing for a stack that is built otherwise.

    `stack.top` means the same but raises and catches an AttributeError on its way: 6,800 instructions instead of 900.
    """
    local = getattr(stack, "_local", None)
    stacks, thread = getattr(local, "__storage__", None), getattr(local, "__ident_func__", None)
    return (stacks, thread) if isinstance(stacks, dict) and callable(thread) else ({}, get_ident)
