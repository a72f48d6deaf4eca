"""Depth and age of Celery's queues on a Redis broker, asked over a connection of our own; never decodes the body of a message."""

from __future__ import annotations

import importlib.util
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from queue_metrics.hooks.base import DepthProbe, QueueDepth

_SEPARATOR = "\x06\x16"  # kombu's: between the name of a queue and the priority of one of its lists
_PRIORITY_STEPS = (0, 3, 6, 9)
_MAX_UNACKED = 1_000  # fetched messages that are looked at one by one; above that they are not attributed to queues
_TIMEOUT = 2.0  # seconds a mute broker may hold the drainer up

_abandoned: list[Any] = []


def redis_parameters(app: Any) -> dict[str, Any] | str:
    """Arguments for a Redis client of the broker this app reads from, or the reason why there are none."""
    with app.connection_for_read() as broker:
        transport = str(broker.transport_cls or broker.transport.driver_type)
        if transport not in ("redis", "rediss"):
            return f"the broker is {transport}, only redis is supported"
        if importlib.util.find_spec("redis") is None:
            return "redis-py, which the broker needs too, is not installed"
        host, ssl = broker.hostname or "localhost", broker.ssl
        parameters: dict[str, Any] = {"username": broker.userid or None, "password": broker.password or None, "protocol": 2}
        database: Any = broker.virtual_host
        if "://" in host:
            url = urlsplit(host)
            if url.scheme != "socket":
                return f"the broker is {url.scheme}, only redis is supported"
            database = parse_qs(url.query).get("virtual_host", [database])[0]
            parameters["unix_socket_path"] = url.path
        else:
            parameters |= {"host": host, "port": broker.port or 6379}
            if ssl or transport == "rediss":
                parameters["ssl"] = True
                parameters |= ssl if isinstance(ssl, dict) else {}
        try:
            parameters["db"] = int(str(database or "0").lstrip("/") or 0)
        except ValueError:
            return f"the broker's database is {database!r}, not a number"
        return parameters


class RedisDepth(DepthProbe):
    """
    Queues of one Celery app on Redis.

    ready: length of the queue's lists, one a priority. reserved: messages fetched by workers and not acknowledged, with late
    acknowledgement the running ones too. scheduled: fetched messages whose eta lies ahead. oldest_age: from the stamp of
    the next message of each list; unknown if that carries none, 0 when nothing is ready. due_in: by the nearest eta of the
    scheduled ones.
    """

    def __init__(self, app: Any, connection: str, queues: Callable[[], Iterable[str]]) -> None:
        """
        Args:
            queues: names the queues to ask for, each time.
        """
        # Imported here, before the pool forks: the lock of a module that the asking thread is importing stays locked in a child for ever.
        import redis

        self.connection = connection
        self._app = app
        self._queues = queues
        self._redis = redis
        self._client: Any = None

    def ask(self) -> Sequence[QueueDepth]:
        client = self._connect()
        with self._app.connection_for_read() as broker:
            options = broker.transport_options
        prefix = options.get("global_keyprefix", "")
        separator = options.get("sep", _SEPARATOR)
        steps = options.get("priority_steps", _PRIORITY_STEPS)
        unacked = prefix + options.get("unacked_key", "unacked")
        queues = sorted({*self._queues(), *self.known})
        lists = [[prefix + (f"{queue}{separator}{step}" if step else queue) for step in steps] for queue in queues]
        pipe = client.pipeline(transaction=False)
        for key in (key for keys in lists for key in keys):
            pipe.llen(key)
            pipe.lindex(key, -1)
        pipe.hlen(unacked)
        *answers, fetched = pipe.execute(raise_on_error=False)
        if isinstance(fetched, Exception):
            raise fetched
        reserved: Counter[str] | None = None
        scheduled: Counter[str] = Counter()
        first: dict[str, float] = {}
        now = time.time()
        if fetched <= _MAX_UNACKED:
            reserved = Counter()
            for entry in client.hvals(unacked) if fetched else ():
                message, _, key = json.loads(entry)
                due = _eta((message or {}).get("headers") or {})
                if due is not None and due > now:
                    scheduled[str(key)] += 1
                    first[str(key)] = min(due - now, first.get(str(key), due - now))
                else:
                    reserved[str(key)] += 1
        depths, failed = [], None
        for queue, keys in zip(queues, lists, strict=True):
            told = [answers.pop(0) for _ in range(2 * len(keys))]
            refused = next((each for each in told if isinstance(each, Exception)), None)
            if refused is not None:  # what has the name of a queue may be no list: that says nothing of the others
                failed = refused
                continue
            part = list(zip(told[::2], told[1::2], strict=True))
            depths.append(
                QueueDepth(
                    self.connection,
                    queue,
                    ready=sum(length for length, _ in part),
                    reserved=None if reserved is None else reserved[queue],
                    scheduled=None if reserved is None else scheduled[queue],
                    oldest_age=_oldest_age([head for length, head in part if length and head is not None], now),
                    due_in=first.get(queue),
                )
            )
        if failed is not None and not depths:
            raise failed
        return depths

    def tick(self) -> None:
        """Messages carry their time: there is nothing to follow."""

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def abandon(self) -> None:
        if self._client is not None:
            _abandoned.append(self._client)  # kept alive: its destructor would talk on the parent's socket
            self._client = None

    def _connect(self) -> Any:
        if self._client is None:
            parameters = redis_parameters(self._app)
            if isinstance(parameters, str):
                raise ValueError(parameters)
            again = self._redis.retry.Retry(self._redis.backoff.NoBackoff(), 0)  # the next question comes soon enough
            self._client = self._redis.Redis(socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT, retry=again, **parameters)
        return self._client


def _oldest_age(heads: Sequence[bytes], now: float) -> float | None:
    """
    Seconds the oldest of the next messages has been ready; 0 when there is none, None when one of them does not say.

    A message whose eta lies ahead is not ready, but nothing behind it can be seen: it counts as age 0.
    """
    oldest = 0.0
    for head in heads:
        headers = json.loads(head).get("headers") or {}
        stamp = headers.get("queue_metrics")
        if type(stamp) is not int:
            return None
        oldest = max(oldest, now - max(stamp / 1_000_000, _eta(headers) or 0.0))
    return oldest


def _eta(headers: dict[str, Any]) -> float | None:
    """When the message may run, seconds since 1970; None if at once or if it cannot be read."""
    try:
        due = datetime.fromisoformat(headers["eta"])
    except (KeyError, TypeError, ValueError):
        return None
    return (due if due.tzinfo else due.replace(tzinfo=UTC)).timestamp()
