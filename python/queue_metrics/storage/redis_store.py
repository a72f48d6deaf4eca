"""Requests to a store in Redis: one for each node, with its schema compared, its errors ours, and its number of shards agreed on."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from typing import Any

from queue_metrics.errors import StoreRefused, StoreUnavailable
from queue_metrics.storage import redis_commands, redis_errors, urls
from queue_metrics.storage.base import wrong_schema
from queue_metrics.storage.forks import loading
from queue_metrics.storage.prefixes import checked_prefix
from queue_metrics.storage.redis_connection import Command, Connection, Connections
from queue_metrics.storage.redis_keys import Keys, is_splitting, schema_record, shards_in
from queue_metrics.storage.redis_reading import UPTIME


class OtherShards(Exception):
    """The store has another number of shards than was believed; what was asked was not done."""


class RedisStore:
    """
    What a driver knows about its store.

    Args:
        url: a URL that `urls.check_redis` found well formed.
        prefix: first part of every key.
        shards: how many a store gets that does not exist yet.

    Attributes:
        shards: what is believed; each request compares it with what is stored.
        requests: how many were made.
    """

    def __init__(self, url: str, prefix: str, shards: int) -> None:
        self.url = urls.masked(url)
        self.keys = Keys(checked_prefix(prefix))
        self.shards = shards
        self.requests = 0
        self.connections = Connections(url, lambda: (load(), redis_commands.load()))
        self._known = False  # that what is stored is ours
        self._agreed = False  # on the number of shards; with one shard each request finds out by itself

    def agree(self, *, writing: bool = False) -> None:
        """Learn the number of shards of the store, or decide it when this is the first to write."""
        if self._agreed or self.shards == 1:
            return
        key = self.keys.of(0, "schema")
        commands: list[Command] = [("SET", key, schema_record(self.shards), "NX")] if writing else []
        found = self.ask(key, [*commands, ("GET", key)], raising=True)[-1]
        if found is not None:
            with contextlib.suppress(OtherShards):
                self.check(found)
            self._agreed = True

    def recognise(self) -> None:
        """
        Once: see that the store is of a version that this package may write to, before a request that does not look itself.

        Raises:
            SchemaMismatch: it is not; nothing was changed.
        """
        question = self.question()
        if question:
            self.recognised(*self.ask(self.keys.of(0), question, raising=True))

    def question(self) -> list[Command]:
        """What has to be asked before the store is known; nothing when it is."""
        return [] if self._known else [("GET", self.keys.of(0, "schema"))]

    def recognised(self, found: bytes | None) -> None:
        """What the answer means. Raises SchemaMismatch as `recognise`."""
        if found is not None:
            with contextlib.suppress(OtherShards):
                self.check(found)
        self._known = True

    def check(self, found: bytes) -> None:
        """
        Compare the record of a shard with what is believed.

        Raises:
            OtherShards: it has another number of shards, which is believed from now on.
            StoreUnavailable: it is being split.
            SchemaMismatch: of another version, or nothing of ours.
        """
        record = found.decode(errors="replace")
        shards = shards_in(record)
        if is_splitting(record):
            raise StoreUnavailable(
                f"{self.url}: the store is being split into shards; `queue-metrics reshard` ends it, if nobody does it now"
            )
        if shards is None:
            raise wrong_schema(self.url, record)
        if shards != self.shards:
            self.shards, self._agreed = shards, True
            raise OtherShards

    def script_again(self, verb: str, keys: list[str], words: list[str | bytes]) -> list[Any]:
        """A script for which the number of shards does not matter."""
        try:
            return self.script(0, verb, keys, words)
        except OtherShards:
            return self.script(0, verb, keys, words)

    def script(self, shard: int, verb: str, keys: list[str], words: list[str | bytes]) -> list[Any]:
        arguments = (len(keys), *keys, verb, schema_record(self.shards), *words)
        (answer,) = self.ask(keys[0], [("EVALSHA", _digest(), *arguments)])
        if redis_errors.is_no_script(answer):
            (answer,) = self.ask(keys[0], [("EVAL", source(), *arguments)])  # keeps it for the next time
        if isinstance(answer, Exception):
            raise redis_errors.store_error(answer, self.url) from answer
        if answer[0] == b"schema":
            self.check(answer[1])
        if answer[0] in (b"type", b"schema"):
            key, why = (part.decode(errors="replace") for part in (*answer[1:3], b"")[:2])
            raise StoreRefused(f"{self.url}: the key {key!r} is not ours: {why}; nothing is changed")
        return list(answer)

    def read(self, commands: Callable[[], Sequence[tuple[int, Command]]]) -> list[Any]:
        """The answers to commands, each with its shard, in one request a node; asked anew when the number of shards was another."""
        self.agree()
        for _ in range(2):
            with contextlib.suppress(OtherShards):
                return self._read_once(commands())
        raise StoreUnavailable(f"{self.url}: the number of shards changes")

    def _read_once(self, commands: Sequence[tuple[int, Command]]) -> list[Any]:
        shards = list(dict.fromkeys(shard for shard, _ in commands))
        schemas = [(shard, ("GET", self.keys.of(shard, "schema"))) for shard in shards]
        every = [*schemas, *commands]
        answers: list[Any] = [None] * len(every)
        with self.translated():
            nodes = self.connections.by_node([self.keys.of(shard) for shard, _ in every]) if every else []
            for pool, numbers in nodes:
                for number, answer in zip(numbers, self.asked(pool, [every[number][1] for number in numbers]), strict=True):
                    answers[number] = answer
        for found in answers[: len(schemas)]:
            if found is not None and found != schema_record(self.shards).encode():
                self.check(found)
        return answers[len(schemas) :]

    def ask(self, key: str, commands: Sequence[Command], *, raising: bool = False) -> list[Any]:
        """The answers of the node that has a key, in one request; errors among them are raised only if that is asked for."""
        with self.translated(), self.connections.session(key) as session:
            return self.sent(session, commands, raising=raising)

    def asked(self, pool: Any, commands: Sequence[Command], *, raising: bool = True) -> list[Any]:
        with self.connections.session_with(pool) as session:
            return self.sent(session, commands, raising=raising)

    def sent(self, session: Connection, commands: Sequence[Command], *, raising: bool = True) -> list[Any]:
        self.requests += 1
        answers: list[Any] = session.ask(commands)
        for command, answer in zip(commands, answers, strict=True):
            if isinstance(answer, Exception):
                if redis_errors.is_elsewhere(answer):
                    self.connections.changed()
                if raising and command != UPTIME:
                    raise answer
        return answers

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        try:
            with redis_errors.translated(self.url):
                yield
        except StoreUnavailable:
            self.connections.changed()
            raise

    def all_keys(self, pool: Any, pattern: str) -> Iterator[bytes]:
        cursor = b"0"
        while True:
            with self.translated():
                ((cursor, keys),) = self.asked(pool, [("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)])
            yield from keys
            if cursor == b"0":
                return


_loaded: list[tuple[str, str]] = []


def load() -> tuple[str, str]:
    """Read the script and make its digest, once. The first time imports: to be called where `loading` is held."""
    if not _loaded:
        text = "".join(files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("redis_values.lua", "redis.lua"))
        _loaded.append((text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()))
    return _loaded[0]


def source() -> str:
    """The script that writes."""
    return _script()[0]


def _digest() -> str:
    return _script()[1]


def _script() -> tuple[str, str]:
    if _loaded:
        return _loaded[0]
    with loading:
        return load()
