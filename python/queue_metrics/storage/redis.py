"""Numbers in Redis, Valkey or what speaks like them: each batch one script, `redis.lua`, each reading one pipeline a node."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterable, Sequence
from typing import Any

from queue_metrics import _core
from queue_metrics.errors import MissingDependency, StoreRefused, StoreUnavailable
from queue_metrics.storage import redis_reading as asking
from queue_metrics.storage import urls
from queue_metrics.storage.base import (
    Applied,
    Beat,
    Commit,
    Mark,
    Series,
    StorageDriver,
    collision,
    known_series,
    shard_of,
    unmergeable,
)
from queue_metrics.storage.forks import guard
from queue_metrics.storage.general import Call
from queue_metrics.storage.redis_batch import BatchWords
from queue_metrics.storage.redis_general import RedisGeneral
from queue_metrics.storage.redis_keys import hex_of
from queue_metrics.storage.redis_reading import Asked
from queue_metrics.storage.redis_store import OtherShards, RedisStore
from queue_metrics.storage.view import Points, Range, Totals, View, check_calls, kinds_of, with_total

CLUSTER_SHARDS = 64
"""With 64, no node of twelve has a third more than its share; with 16 one has twice as much."""


class RedisStorageDriver(StorageDriver):
    """
    Nothing is sent twice by itself: an unknown result is an error here, and the mark tells the drainer what became of it. The first
    request raises MissingDependency when redis-py lacks something that it needs.

    Args:
        url: as in `urls.FORMS`.
        prefix: first part of every key: 1 to 32 of a-z, 0-9 and "_".
        shards: number of hash tags that the series of a new store are spread over, 64 in a cluster, else 1. An old store has its own.

    Raises:
        ConfigurationError: the URL is malformed, or the prefix none.
        MissingDependency: redis-py is not installed.
    """

    def __init__(self, url: str, prefix: str = "queue_metrics", *, shards: int | None = None) -> None:
        parts = urls.redis_parts(url)
        if importlib.util.find_spec("redis") is None:  # the import itself costs 0.3 s and waits for the first use
            raise MissingDependency('a store in Redis needs redis-py: pip install "job-queue-metrics[redis]"')
        self._store = RedisStore(url, prefix, shards or (CLUSTER_SHARDS if parts.kind == "cluster" else 1))
        self._keys = self._store.keys
        self._general = RedisGeneral(self._store)
        self._kinds: dict[int, int] = {}  # series -> kind, which never changes
        guard(self)

    def __repr__(self) -> str:
        return f"RedisStorageDriver({self._store.url!r}, prefix={self._keys.prefix!r})"

    @property
    def url(self) -> str:
        return self._store.url

    @property
    def shards(self) -> int:
        return self._store.shards

    @property
    def requests(self) -> int:  # type: ignore[override]  # others count in an attribute; here it is the store's
        return self._store.requests

    # The general operations

    def execute(self, calls: Sequence[Call]) -> list[Any]:
        return self._general.execute(calls)

    def watching(self, names: Sequence[str]) -> contextlib.AbstractContextManager[Commit]:
        return self._general.watching(names)

    # Writing

    def apply_batch(self, shard: int, batch: _core.Batch) -> Applied:
        try:
            return self._apply(shard, batch)
        except OtherShards:
            raise StoreUnavailable(
                f"{self._store.url}: the store has {self._store.shards} shards now; what waits is sent to them"
            ) from None

    def _apply(self, shard: int, batch: _core.Batch) -> Applied:
        self._store.agree(writing=True)
        if not 0 <= shard < self._store.shards:
            raise StoreRefused(f"there is no shard {shard} in a store of {self._store.shards}")
        keys, words = BatchWords(self._keys, shard, self._store.shards, self.retention).of(batch)
        what, *details = self._store.script(shard, "apply", keys, words)
        if what == b"applied" or what == b"kept":
            return Applied(what == b"applied", Mark(int(details[0]), details[1]))
        if what == b"mark":
            raise StoreRefused(f"{self._store.url}: the mark of spool {batch.spool_id!r} cannot be read; nothing is changed")
        if what == b"labels":
            raise collision(int(details[0], 16))
        raise unmergeable(int(details[0], 16), details[1].decode(errors="replace"))

    def heartbeat_many(self, beats: Iterable[tuple[str, bytes]], ttl: float) -> None:
        words: list[str | bytes] = [_milliseconds(ttl)]
        for worker, payload in beats:
            words += [worker, payload]
        if len(words) > 1:
            self._store.agree(writing=True)
            self._store.script_again("beat", [self._keys.of(0, "schema"), self._keys.of(0, "workers"), self._keys.of(0, "beats")], words)

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        self._store.agree(writing=True)
        key = self._keys.of(0, "lease", hex_of(_core.hash64(name.encode())))
        answer = self._store.script_again("lease", [self._keys.of(0, "schema"), key], [owner, _milliseconds(seconds)])
        return bool(answer[0] == b"done")

    def sweep(self, limit: int = 1000) -> int:
        """Redis forgets by itself, and each heartbeat clears away the workers that are gone."""
        return 0

    # Reading

    def read_mark(self, spool_id: str, shard: int) -> Mark:
        (raw,) = self._store.read(lambda: [(shard, ("HGET", self._keys.of(shard, "marks"), spool_id))])
        return _mark(raw)

    def read_marks(self, spool_id: str) -> list[Mark]:
        return [
            _mark(raw)
            for raw in self._store.read(
                lambda: [(shard, ("HGET", self._keys.of(shard, "marks"), spool_id)) for shard in range(self._store.shards)]
            )
        ]

    def known_series(self) -> list[Series]:
        return self._learned(asking.series(self._store.read(lambda: asking.labels(self._keys, self._store.shards))))

    def read_series(self, series: Sequence[int], step: int, start: int, end: int) -> Points:
        asked = asking.stretch(series, step, start, end)
        if not asked.series:
            return {one: [] for one in series}
        if asked.endless:
            asked = asked.cut(asking.seconds(self._store.read(lambda: [(0, ("TIME",))])[0]), self.retention)
        unknown = [one for one in asked.series if one not in self._kinds]

        def commands() -> Asked:
            shards = self._store.shards
            found: Asked = [(shard_of(asked.series[0], shards), ("TIME",))]
            for one in unknown:
                shard = shard_of(one, shards)
                found.append((shard, ("HGET", self._keys.of(shard, "labels"), hex_of(one))))
            return found + asking.points(self._keys, shards, asked)

        answers = iter(self._store.read(commands))
        now = asking.seconds(next(answers))
        self._learned([known_series(one, labels) for one in unknown if (labels := next(answers)) is not None])
        return asking.found_points(asked, answers, self._kinds, now, self.retention)

    def read_totals(self, series: Sequence[int]) -> dict[int, bytes]:
        wanted = list(dict.fromkeys(series))
        return asking.found_totals(wanted, self._store.read(lambda: asking.totals(self._keys, self._store.shards, wanted)))

    def read_heartbeats(self) -> list[Beat]:
        clock, expiries, payloads = self._store.read(lambda: [(0, ("TIME",)), *asking.beats(self._keys)])
        return asking.found_beats(expiries, payloads, asking.seconds(clock))

    def read_view(self, ranges: Sequence[Range] = (), *, totals: Totals = (), heartbeats: bool = True, calls: Sequence[Call] = ()) -> View:
        """Names, heartbeats and general calls are one request, points and totals a second one, which needs the names."""
        check_calls(calls)
        kinds = kinds_of(ranges, totals)

        def first() -> Asked:
            found: Asked = [(0, ("TIME",)), *self._general.commands(calls)]
            found += [(0, asking.UPTIME), *asking.beats(self._keys)] if heartbeats else []
            return found + (asking.labels(self._keys, self._store.shards) if kinds else [])

        clock, *rest = self._store.read(first)
        now, answers = asking.seconds(clock), iter(rest)
        answered = self._general.meanings(calls, answers)
        uptime = asking.found_uptime(next(answers)) if heartbeats else None
        beats = asking.found_beats(next(answers), next(answers), now) if heartbeats else []
        known = [one for one in self._learned(asking.series(answers)) if one.kind in kinds]

        wanted = [one.wanted(known) for one in ranges]
        stretches = [
            asking.stretch(ids, one.step, one.start, one.end).cut(now, self.retention) for ids, one in zip(wanted, ranges, strict=True)
        ]
        summed = with_total(known, totals)

        def second() -> Asked:
            shards = self._store.shards
            found = [command for one in stretches for command in asking.points(self._keys, shards, one)]
            return found + asking.totals(self._keys, shards, summed)

        found = iter(self._store.read(second))
        points: tuple[Points, ...] = tuple(
            {one: [] for one in ids} if not asked.series else asking.found_points(asked, found, self._kinds, now, self.retention)
            for ids, asked in zip(wanted, stretches, strict=True)
        )
        return View(known, points, asking.found_totals(summed, found), beats, answered, uptime)

    def _learned(self, known: list[Series]) -> list[Series]:
        self._kinds.update((one.id, one.kind) for one in known)
        return known

    def capabilities(self) -> dict[str, object]:
        with self._store.translated():
            pools = self._store.connections.pools()
            nodes = [_info(self._store.asked(pool, [("INFO",)])[0]) for pool in pools]
            durable = all(node.get("aof_enabled") == "1" or self._snapshots(pool) for pool, node in zip(pools, nodes, strict=True))
        evicting = [node["maxmemory_policy"] for node in nodes if node.get("maxmemory", "0") != "0" and _evicts(node)]
        info = nodes[0]
        answer: dict[str, object] = {
            "name": info.get("server_name", "redis"),
            "version": info.get("valkey_version", info.get("redis_version", "unknown")),
            "durable": durable,
            "expires_itself": True,
            "exact": not evicting,
        }
        if evicting:
            answer["reason"] = f"maxmemory-policy is {evicting[0]}: Redis may throw numbers away when memory is short; set it to noeviction"
        return answer

    def _snapshots(self, pool: Any) -> bool:
        """Whether the server saves snapshots by itself; not when it does not tell us."""
        (answer,) = self._store.asked(pool, [("CONFIG", "GET", "save")], raising=False)
        return isinstance(answer, list) and bool(answer[1:] and answer[1])

    def size(self) -> int:
        total = 0
        with self._store.translated():
            for pool in self._store.connections.pools():
                keys = list(dict.fromkeys(self._store.all_keys(pool, f"{self._keys.prefix}:{{q*")))
                for begin in range(0, len(keys), 500):
                    sizes = self._store.asked(pool, [("MEMORY", "USAGE", key, "SAMPLES", 0) for key in keys[begin : begin + 500]])
                    total += sum(size for size in sizes if size is not None)
        return total

    def close(self) -> None:
        self._store.connections.close()

    def after_fork_child(self) -> None:
        self._store.connections.after_fork_child()


def _info(text: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in lines if colon}


def _evicts(info: dict[str, str]) -> bool:
    return info.get("maxmemory_policy", "noeviction") != "noeviction"


def _mark(raw: bytes | None) -> Mark:
    sequence, _, positions = (raw or b"0:").partition(b":")
    return Mark(asking.number(sequence), positions)


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
