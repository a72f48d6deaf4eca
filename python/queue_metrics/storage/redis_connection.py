"""
Ways to Redis, single, behind Sentinel or in a Cluster: who has which key, and one request on a connection. Knows no keys of ours.

redis-py connects, speaks and pools; its clients' pipelines, retries and conversions of answers are left alone. They differ between its
versions, send again what may have been done, and take a connection that broke in EXEC for a conflict.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from queue_metrics.errors import MissingDependency
from queue_metrics.storage import redis_errors, urls
from queue_metrics.storage.forks import loading
from queue_metrics.storage.redis_cluster import ClusterMap

CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 5.0

Command: TypeAlias = tuple[str | bytes | int, ...]

# Handles of a parent, kept from the garbage collector in its child: closing them is the parent's business.
_inherited: list[object] = []


class Connection:
    """One connection, for as long as somebody needs it for himself."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.in_step = True
        """Whether every question has its answer: else the next one would get that of another."""

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to commands sent at once; an answer that is an error is the exception. Raises when the connection fails."""
        self.in_step = False
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        answers = []
        for _ in commands:
            try:
                answers.append(self._connection.read_response())
            except Exception as error:
                if not redis_errors.is_answer(error):
                    raise
                answers.append(error)
        self.in_step = True
        return answers


class Connections:
    """
    All connections of one driver in this process; each thread takes one from the pool and gives it back.

    Args:
        url: a URL that `urls.check_redis` found well formed.
        on_load: called before the first connection, to import whatever may ever be imported.
    """

    def __init__(self, url: str, on_load: Callable[[], object]) -> None:
        self._url = url
        self._on_load = on_load
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._nodes: ClusterMap | _OneNode | None = None

    @contextlib.contextmanager
    def session(self, key: str | None) -> Iterator[Connection]:
        """
        A connection to the node that has a key, or to any; given back in the end, closed if it failed.

        What is raised inside goes on as it is.
        """
        with self.session_with(self._known().pool_of(key)) as session:
            yield session

    def pools(self) -> list[Any]:
        """The pools of all nodes that keys can lie on."""
        return self._known().pools()

    @contextlib.contextmanager
    def session_with(self, pool: Any) -> Iterator[Connection]:
        """A connection of one of the `pools`."""
        connection = pool.get_connection()
        session = Connection(connection)
        try:
            yield session
        finally:
            if not session.in_step:
                connection.disconnect()
            pool.release(connection)

    def by_node(self, keys: Sequence[str]) -> list[tuple[Any, list[int]]]:
        """For each node that has some of the keys: its pool, and which of the keys."""
        nodes = self._known()
        found: dict[int, tuple[Any, list[int]]] = {}
        for number, key in enumerate(keys):
            pool = nodes.pool_of(key)
            found.setdefault(id(pool), (pool, []))[1].append(number)
        return list(found.values())

    def changed(self) -> None:
        """A node failed or said that it has a key no more: who has what is to be asked again."""
        nodes = self._nodes
        if nodes is not None:
            nodes.forget()

    def close(self) -> None:
        """Close all; the next use opens again."""
        if self._pid != os.getpid():
            self.after_fork_child()
        with self._lock:
            nodes, self._nodes = self._nodes, None
        if nodes is not None:
            for pool in nodes.opened():
                pool.disconnect()

    def after_fork_child(self) -> None:
        """Leave the connections of the parent as they are."""
        _inherited.append(self._nodes)
        self._begin()

    def _known(self) -> ClusterMap | _OneNode:
        if self._pid != os.getpid():  # forked by C code, past Python's own hooks
            self.after_fork_child()
        with self._lock:
            if self._nodes is None:
                try:
                    with loading:
                        self._nodes = self._make()
                except ImportError as error:
                    raise MissingDependency(
                        f"redis-py is installed, but cannot be loaded ({error}); what it needs comes with: "
                        'pip install "job-queue-metrics[redis]"'
                    ) from error
            return self._nodes

    def _make(self) -> ClusterMap | _OneNode:
        """Pools that are not connected yet, and everything they will ever import."""
        import redis

        self._on_load()
        "host".encode("idna")  # an import, made by the first look-up of a name
        parts = urls.redis_parts(self._url)
        options = _options(parts)
        if parts.kind == "cluster":
            return ClusterMap(parts.hosts, lambda host, port: redis.ConnectionPool(**{**options, "host": host, "port": port}))
        if parts.kind == "sentinel":
            return _OneNode(_sentinel_pool(parts, options))
        pool = redis.ConnectionPool(**options)
        pool.connection_class(**pool.connection_kwargs)  # imports more, connects to nothing
        return _OneNode(pool)


class _OneNode:
    """A node that has all keys."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def pool_of(self, key: str | None) -> Any:
        return self._pool

    def pools(self) -> list[Any]:
        return [self._pool]

    opened = pools

    def forget(self) -> None:
        """It is always the one; Sentinel is asked with each new connection."""


def _options(parts: urls.RedisParts) -> dict[str, Any]:
    """What a pool of redis-py wants to know."""
    from redis import connection
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    parse_url: Any = connection.parse_url
    options: dict[str, Any] = {
        **parse_url(parts.node_url),
        "decode_responses": False,
        "protocol": 2,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": ANSWER_SECONDS,
        "retry": Retry(NoBackoff(), 0),  # a command sent twice is counted twice
    }
    if parts.kind != "unix":
        options["socket_keepalive"] = True
    if parts.tls:
        options.setdefault("ssl_check_hostname", True)  # older versions of redis-py leave it off
    return options


def _sentinel_pool(parts: urls.RedisParts, options: dict[str, Any]) -> Any:
    """A pool whose new connections ask the sentinels where the master is."""
    from redis import sentinel

    make: Any = sentinel.Sentinel
    options = {name: value for name, value in options.items() if name not in ("host", "port", "connection_class")}
    if parts.tls:
        options["ssl"] = True
    timing = ("socket_connect_timeout", "socket_timeout", "socket_keepalive", "retry", "protocol")
    asking = {name: value for name, value in options.items() if name in timing or name.startswith("ssl")}
    asking |= {name.removeprefix("sentinel_"): value for name, value in parts.sentinel_options.items()}
    sentinels = make(parts.hosts, sentinel_kwargs=asking, **options)
    discover, one_at_a_time = sentinels.discover_master, threading.Lock()

    def discover_alone(service: str) -> Any:
        with one_at_a_time:  # it reorders the list that another thread goes through, which then asks one of them twice and one never
            return discover(service)

    sentinels.discover_master = discover_alone
    return sentinels.master_for(parts.service).connection_pool
