"""What a message of Celery tells: the queue of its job, its series, the moment from which it could run. Knows no signal and no tracer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeGuard

from queue_metrics import _core

HEADER = "queue_metrics"
"""Message header: when the job was published, µs since 1970."""


def is_moment(stamp: object) -> TypeGuard[int]:
    """Whether a header can be µs since 1970; anybody may send anything."""
    return type(stamp) is int and 0 <= stamp < 2**62


class Messages:
    """Of one app, as its configuration routes them."""

    def __init__(self, app: Any, recorder: _core.Recorder, connection: str) -> None:
        self._app = app
        self._recorder = recorder
        self._connection = connection
        self._clock = _core.CLOCK_PROCESS
        self._handles: dict[tuple[str, str], int] = {}
        self._queue_names: dict[tuple[str, str], str] = {}

    @property
    def clock(self) -> int:
        """Whose CPU time a series has; a new one forgets the handles that were made with another in mind."""
        return self._clock

    @clock.setter
    def clock(self, clock: int) -> None:
        self._clock = clock
        self._handles.clear()

    def queues(self) -> list[str]:
        """Queues of the configuration and those seen by publishing or executing in this process."""
        return sorted({*self._app.amqp.queues, *(queue for _, queue in list(self._handles))})

    def handle(self, task: str, queue: str) -> int:
        """The recorder's number of a task on a queue."""
        handle = self._handles.get((task, queue))
        if handle is None:
            handle = self._recorder.series(self._connection, queue, task, self._clock)
            self._handles[task, queue] = handle
        return handle

    def queue_of(self, delivery: Mapping[str, Any]) -> str:
        """The queue of a delivery: with the default exchange its routing key, else looked up in the configuration."""
        exchange, key = delivery.get("exchange") or "", delivery.get("routing_key") or ""
        if not exchange and key:
            return str(key)
        name = self._queue_names.get((exchange, key))
        if name is None:
            bound = (queue.name for queue in self._app.amqp.queues.values() if queue.exchange.name == exchange and queue.routing_key == key)
            name = next(bound, str(key) or self._app.conf.task_default_queue)
            self._queue_names[exchange, key] = name
        return name

    def queue_sent_to(self, options: Mapping[str, Any]) -> str:
        """The queue of a message that is sent with these options."""
        queue, exchange = options.get("queue"), options.get("exchange")
        if queue is not None:
            return queue if isinstance(queue, str) else str(queue.name)
        if exchange is None:
            return str(self._app.amqp.default_queue.name)
        return self.queue_of({"exchange": getattr(exchange, "name", exchange), "routing_key": options.get("routing_key")})

    def ready_at(self, stamp: object, eta: object) -> int:
        """The moment, µs, from which a job could run: published and due; NO_TIME when neither is known."""
        moments = [stamp] if is_moment(stamp) else []
        due = self._eta_us(eta)
        if due is not None:
            moments.append(due)
        return max(moments, default=_core.NO_TIME)

    def _eta_us(self, eta: object) -> int | None:
        try:
            due = eta if isinstance(eta, datetime) else datetime.fromisoformat(eta) if isinstance(eta, str) else None
            if due is None:
                return None
            if due.tzinfo is None:
                due = due.replace(tzinfo=self._app.timezone)
            return round(due.timestamp() * 1_000_000)
        except (ValueError, OverflowError):
            return None
