"""Numbers in Redis, Valkey or what speaks like them; the only file that knows redis-py. The writing half is in `redis.lua`."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

from queue_metrics import _core
from queue_metrics.errors import MissingDependency, StoreRefused
from queue_metrics.storage import redis_errors, urls
from queue_metrics.storage.base import (
    DAY,
    HOUR,
    MINUTE,
    RETENTION,
    SCHEMA_VERSION,
    TOTAL,
    Applied,
    Beat,
    Mark,
    Series,
    StorageDriver,
    collision,
    expires_at,
    known_series,
    shard_of,
    unmergeable,
    wrong_schema,
)
from queue_metrics.storage.forks import guard, loading

CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 5.0

BLOCKS = {MINUTE: ("m", HOUR), HOUR: ("h", DAY), DAY: ("d", 100 * DAY)}
"""Points of a step share a hash: its letter in keys and the seconds that one hash covers (docs/stored-values.md, section 5)."""

_LONGEST = {step: max(kept for (_, of), kept in RETENTION.items() if of == step) for step in BLOCKS}
_MOST_BLOCKS = 1000  # of one series in one reading; a longer range is first cut to what the store can still have
_VERSION = str(SCHEMA_VERSION)

# Handles of a parent, kept from the garbage collector in its child: closing them is the parent's business.
_inherited: list[object] = []


class RedisStorageDriver(StorageDriver):
    """
    Each batch is one script, each reading one pipeline. Nothing is sent twice by itself: an unknown result is an error here, and the
    mark tells the drainer what became of it. The first request raises MissingDependency when redis-py lacks something that it needs.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        prefix: first part of every key.
        shards: number of hash tags the series are spread over; the same for all who use the store.

    Raises:
        ConfigurationError: the URL is malformed.
        MissingDependency: redis-py is not installed.
    """

    def __init__(self, url: str, prefix: str = "queue_metrics", *, shards: int = 1) -> None:
        urls.check_redis(url)
        if importlib.util.find_spec("redis") is None:  # the import itself costs 0.3 s and waits for the first use
            raise MissingDependency('a store in Redis needs redis-py: pip install "job-queue-metrics[redis]"')
        self._given = url
        self._url = urls.masked(url)
        self._prefix = prefix
        self._shards = shards
        self._kinds: dict[int, int] = {}  # series -> kind, which never changes
        self._client: Any = None  # of redis-py, whose types differ between its versions
        self._begin()
        guard(self)

    def __repr__(self) -> str:
        return f"RedisStorageDriver({self._url!r}, prefix={self._prefix!r})"

    @property
    def url(self) -> str:
        return self._url

    # Writing

    def apply_batch(self, shard: int, batch: _core.Batch) -> Applied:
        if not 0 <= shard < self._shards:
            raise StoreRefused(f"there is no shard {shard} in a store of {self._shards}")
        labels, points, totals = self._rows(shard, batch)
        keys = [self._key(shard, "schema"), self._key(shard, "labels"), self._key(shard, "marks")]
        expected: list[str | bytes] = [str(batch.sequence - 1), batch.base]
        words = [batch.spool_id, *expected, str(batch.sequence), batch.positions, str(len(labels))]
        for series, label_list in labels.items():
            words += [_hex(series), label_list]
        for (series, step, bucket), (kind, value) in points.items():
            letter, span = BLOCKS[step]
            block = bucket - bucket % span
            keys.append(self._key(shard, letter, _hex(series), str(block)))
            words += [_hex(series), "p", str(bucket), str(expires_at(kind, step, block + span - step)), value]
        for series, fields in totals.items():
            keys.append(self._key(shard, "t", _hex(series)))
            words += [_hex(series), "t", str(len(fields))]
            for name, increment in fields.items():
                words += [name, str(increment)]
        what, *details = self._script("apply", keys, words)
        if what == b"applied" or what == b"kept":
            return Applied(what == b"applied", Mark(int(details[0]), details[1]))
        if what == b"mark":
            raise StoreRefused(f"{self._url}: the mark of spool {batch.spool_id!r} cannot be read; nothing is changed")
        if what == b"labels":
            raise collision(int(details[0], 16))
        raise unmergeable(int(details[0], 16), details[1].decode(errors="replace"))

    def heartbeat_many(self, beats: Iterable[tuple[str, bytes]], ttl: float) -> None:
        words: list[str | bytes] = [_milliseconds(ttl)]
        for worker, payload in beats:
            words += [worker, payload]
        if len(words) > 1:
            self._script("beat", [self._key(0, "schema"), self._key(0, "workers"), self._key(0, "beats")], words)

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        key = self._key(0, "lease", _hex(_core.hash64(name.encode())))
        return bool(self._script("lease", [self._key(0, "schema"), key], [owner, _milliseconds(seconds)])[0] == b"done")

    def sweep(self, limit: int = 1000) -> int:
        """Redis forgets by itself, and each heartbeat clears away the workers that are gone."""
        return 0

    # Reading

    def read_mark(self, spool_id: str, shard: int) -> Mark:
        (raw,) = self._read([shard], [("HGET", self._key(shard, "marks"), spool_id)])
        if raw is None:
            return Mark(0, b"")
        sequence, _, positions = raw.partition(b":")
        return Mark(_number(sequence), positions)

    def known_series(self) -> list[Series]:
        shards = range(self._shards)
        found = []
        for hashed in self._read(shards, [("HGETALL", self._key(shard, "labels")) for shard in shards]):
            found += [known_series(int(series, 16), labels) for series, labels in hashed.items()]
        self._kinds.update((one.id, one.kind) for one in found)
        return found

    def read_series(self, series: Sequence[int], step: int, start: int, end: int) -> dict[int, list[tuple[int, bytes]]]:
        points: dict[int, list[tuple[int, bytes]]] = {one: [] for one in series}
        if not points or step not in BLOCKS or start >= end:
            return points
        letter, span = BLOCKS[step]
        if (end - start) // span > _MOST_BLOCKS:
            now = _seconds(self._read([], [("TIME",)])[0])
            start = max(start, int(now) - _LONGEST[step] - span)
            end = min(end, int(now) + _LONGEST[step])
        blocks = range(start - start % span, end, span)
        unknown = [one for one in points if one not in self._kinds]
        commands: list[tuple[str | bytes, ...]] = [("TIME",)]
        commands += [("HGET", self._key(shard_of(one, self._shards), "labels"), _hex(one)) for one in unknown]
        for one in points:
            key = self._key(shard_of(one, self._shards), letter, _hex(one), "")
            commands += [_fields(f"{key}{block}", step, max(block, start), min(block + span, end), span) for block in blocks]
        answers = iter(self._read({shard_of(one, self._shards) for one in points}, commands))
        now = _seconds(next(answers))
        for one in unknown:
            if (labels := next(answers)) is not None:
                self._kinds[one] = known_series(one, labels).kind
        for one, found in points.items():
            kept = RETENTION.get((self._kinds.get(one, 0), step))
            oldest = end if kept is None else now - step - kept  # without labels or of another kind: no points
            for block in blocks:
                answer = next(answers)
                if isinstance(answer, list):  # of HMGET, in the order asked for
                    first = _first_bucket(max(block, start), step)
                    pairs = [(first + step * i, value) for i, value in enumerate(answer) if value is not None]
                else:
                    pairs = sorted((_number(bucket), value) for bucket, value in answer.items())
                found += [pair for pair in pairs if start <= pair[0] < end and pair[0] > oldest]
        return points

    def read_totals(self, series: Sequence[int]) -> dict[int, bytes]:
        wanted = list(dict.fromkeys(series))
        commands = [("HGETALL", self._key(shard_of(one, self._shards), "t", _hex(one))) for one in wanted]
        answers = self._read({shard_of(one, self._shards) for one in wanted}, commands)
        return {
            one: _core.Value.from_fields({name.decode(errors="replace"): _number(text) for name, text in fields.items()}).encode()
            for one, fields in zip(wanted, answers, strict=True)
            if fields
        }

    def read_heartbeats(self) -> list[Beat]:
        commands = [("TIME",), ("ZRANGE", self._key(0, "workers"), "0", "-1", "WITHSCORES"), ("HGETALL", self._key(0, "beats"))]
        clock, expiries, payloads = self._read([0], commands)
        now, beats = _seconds(clock), []
        for worker, expiry in zip(expiries[::2], expiries[1::2], strict=True):
            seen, _, payload = payloads.get(worker, b"").partition(b":")
            if seen and float(expiry) > now * 1000:
                beats.append(Beat(worker.decode(), payload, max(0.0, now - _number(seen) / 1000)))
        return sorted(beats, key=lambda beat: beat.worker_id)

    def capabilities(self) -> dict[str, object]:
        (info,) = self._read([], [("INFO",)])
        policy = info.get("maxmemory_policy", "noeviction")
        persistent = bool(info.get("aof_enabled")) or self._snapshots()
        exact = not info.get("maxmemory") or policy == "noeviction"
        answer: dict[str, object] = {
            "name": str(info.get("server_name", "redis")),
            "version": str(info.get("valkey_version", info.get("redis_version", "unknown"))),
            "durable": persistent,
            "expires_itself": True,
            "exact": exact,
        }
        if not exact:
            answer["reason"] = f"maxmemory-policy is {policy}: Redis may throw numbers away when memory is short; set it to noeviction"
        return answer

    def _snapshots(self) -> bool | None:
        """Whether the server saves snapshots by itself; None when it does not tell us."""
        try:
            ((_, rules),) = self._read([], [("CONFIG", "GET", "save")])
        except (StoreRefused, ValueError):
            return None
        return bool(rules)

    def size(self) -> int:
        total, cursor = 0, 0
        while True:
            ((position, keys),) = self._read([], [("SCAN", str(cursor), "MATCH", f"{self._prefix}:{{q*", "COUNT", "500")])
            sizes: list[int | None] = self._read([], [("MEMORY", "USAGE", key, "SAMPLES", "0") for key in keys])
            total += sum(size for size in sizes if size is not None)
            cursor = int(position)
            if cursor == 0:
                return total

    # Connections

    def close(self) -> None:
        if self._pid != os.getpid():
            self.after_fork_child()
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def after_fork_child(self) -> None:
        _inherited.append(self._client)
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._client = None

    def _connection(self) -> Any:
        """The client of this process; its pool makes connections as threads need them."""
        if self._pid != os.getpid():  # forked by C code, past Python's own hooks
            self.after_fork_child()
        with self._lock:
            if self._client is None:
                try:
                    with loading:
                        self._client = self._make_client()
                except ImportError as error:
                    raise MissingDependency(
                        f"redis-py is installed, but cannot be loaded ({error}); what it needs comes with: "
                        'pip install "job-queue-metrics[redis]"'
                    ) from error
            return self._client

    def _make_client(self) -> Any:
        """A client that is not connected yet, and everything it will ever import."""
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        _source()
        scheme = self._given.partition(":")[0].lower()
        options: dict[str, Any] = {} if scheme == "unix" else {"socket_keepalive": True}
        if scheme == "rediss":
            options["ssl_check_hostname"] = True  # older versions of redis-py leave it off
        from_url: Any = redis.Redis.from_url
        client = from_url(
            self._given,
            decode_responses=False,
            protocol=2,
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),  # a command sent twice is counted twice
            **options,
        )
        "host".encode("idna")  # an import, made by the first look-up of a name
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)  # imports more, connects to nothing
        return client

    # Requests

    def _key(self, shard: int, *parts: str) -> str:
        """All keys of a shard carry its tag, so that one script can name them in a cluster."""
        return ":".join((self._prefix, f"{{q{shard:02d}}}", *parts))

    def _rows(
        self, shard: int, batch: _core.Batch
    ) -> tuple[dict[int, bytes], dict[tuple[int, int, int], tuple[int, bytes]], dict[int, dict[str, int]]]:
        """The batch with one entry for each hash field it touches: label lists, points with their kind, increments of totals."""
        labels: dict[int, bytes] = {}
        points: dict[tuple[int, int, int], tuple[int, bytes]] = {}
        totals: dict[int, dict[str, int]] = {}
        for row in batch.rows:
            if shard_of(row.series, self._shards) != shard:
                raise StoreRefused(f"series {row.series:016x} does not belong into shard {shard} of {self._shards}")
            if labels.setdefault(row.series, row.labels) != row.labels:
                raise collision(row.series)
            try:
                if row.step == TOTAL:
                    fields = totals.setdefault(row.series, {})
                    for name, increment in _core.Value.decode(row.value).fields().items():
                        fields[name] = fields.get(name, 0) + increment
                else:
                    key = (row.series, row.step, row.bucket)
                    expires_at(row.kind, row.step, row.bucket)  # refuses a step that the kind does not have
                    _core.Value.decode(row.value)  # damaged bytes and odd numbers are refused here, as on every other database
                    value = _core.merge_values(points[key][1], row.value) if key in points else row.value
                    points[key] = (row.kind, value)
            except (ValueError, OverflowError) as error:
                raise unmergeable(row.series, error) from error
        return labels, points, totals

    def _script(self, verb: str, keys: list[str], words: list[str | bytes]) -> list[Any]:
        client = self._connection()
        arguments = [len(keys), *keys, verb, _VERSION, *words]
        with redis_errors.translated(self._url):
            self.requests += 1
            try:
                answer = client.execute_command("EVALSHA", _digest(), *arguments)
            except redis_errors.no_script():
                self.requests += 1
                answer = client.execute_command("EVAL", _source(), *arguments)  # keeps it for the next time
        if answer[0] == b"schema":
            raise wrong_schema(self._url, answer[1].decode(errors="replace"))
        if answer[0] == b"type":
            key, why = (part.decode(errors="replace") for part in answer[1:3])
            raise StoreRefused(f"{self._url}: the key {key!r} is not ours: {why}; nothing is changed")
        return list(answer)

    def _read(self, shards: Iterable[int], commands: Sequence[tuple[str | bytes, ...]]) -> list[Any]:
        """The answers to commands, in one request that also checks the schema of the shards."""
        schemas = [("GET", self._key(shard, "schema")) for shard in shards]
        if not schemas and not commands:
            return []
        with redis_errors.translated(self._url):
            pipeline = self._connection().pipeline(transaction=False)
            for command in (*schemas, *commands):
                pipeline.execute_command(*command)
            self.requests += 1
            answers: list[Any] = pipeline.execute()
        for found in answers[: len(schemas)]:
            if found is not None and found != _VERSION.encode():
                raise wrong_schema(self._url, found.decode(errors="replace"))
        return answers[len(schemas) :]


_loaded: list[tuple[str, str]] = []


def _source() -> str:
    if not _loaded:
        text = files(__package__).joinpath("redis.lua").read_text(encoding="utf-8")
        _loaded.append((text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()))
    return _loaded[0][0]


def _digest() -> str:
    _source()
    return _loaded[0][1]


def _hex(series: int) -> str:
    return f"{series:016x}"


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))


def _seconds(clock: Sequence[int | bytes]) -> float:
    return int(clock[0]) + int(clock[1]) / 1e6


def _number(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise StoreRefused(f"a number is stored as {text[:40]!r}") from None


def _first_bucket(start: int, step: int) -> int:
    return -(-start // step) * step


def _fields(key: str, step: int, start: int, end: int, span: int) -> tuple[str, ...]:
    """The command that reads one hash: a few fields by name, or all of it when more than a quarter is wanted."""
    buckets = range(_first_bucket(start, step), end, step)
    if 0 < len(buckets) * 4 <= span // step:
        return ("HMGET", key, *map(str, buckets))
    return ("HGETALL", key)
