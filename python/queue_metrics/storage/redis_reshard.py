"""
One shard becomes many, for a store that moves into a cluster: exact wherever it is stopped, since it is then simply run again.

1. The record of the schema in shard 0 says that it is being split. From here on nobody else reads or writes; drainers wait.
2. Each series is copied to its shard, each mark to all shards. What is in shard 0 stays as it is.
3. The records of the other shards say how many there are, then, in one step, that of shard 0: the store has many shards.
4. What was copied is removed from shard 0, where nobody looks for it any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from queue_metrics.errors import StoreRefused
from queue_metrics.storage import urls
from queue_metrics.storage.base import shard_of
from queue_metrics.storage.redis_connection import Command
from queue_metrics.storage.redis_keys import BLOCKS, Keys, is_splitting, schema_record, shards_in, splitting_record
from queue_metrics.storage.redis_store import RedisStore

MOST_SHARDS = 100
"""Two digits in the tag."""
_BITE = 50  # keys in one request
_GONE = -2  # what PTTL answers of a key that is not there
_LETTERS = "t" + "".join(letter for letter, _ in BLOCKS.values())

_BEGIN = """
local found = redis.call('GET', KEYS[1])
if found == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2])
  return ARGV[2]
end
return found
"""


class Reshard:
    """
    Splits the one shard of a store.

    Args:
        url: of Redis, a cluster or not.
        prefix: of the store.
        shards: how many it is to have.

    Raises:
        ConfigurationError: the URL is malformed, or the prefix none.
        StoreRefused: a number of shards that is not between 2 and 100.
    """

    def __init__(self, url: str, prefix: str, shards: int) -> None:
        urls.check_redis(url)
        if not 2 <= shards <= MOST_SHARDS:
            raise StoreRefused(f"a store is split into 2 to {MOST_SHARDS} shards, not {shards}")
        self._shards = shards
        self._store = RedisStore(url, prefix, shards)
        self._keys: Keys = self._store.keys

    def run(self) -> int:
        """
        Split; what an earlier run left undone is done.

        Returns:
            The number of series that were moved out of shard 0 by this call.

        Raises:
            StoreRefused: there is no store, or it has another number of shards already.
            StoreUnavailable: stopped half way; call it again.
        """
        try:
            found = self._begin()
            labels = self._labels()
            if found == splitting_record(self._shards):
                for names in self._bites():
                    self._copy(names)
                self._copy_hash("labels", labels)
                self._copy_marks()
                self._finish()
            for names in self._bites():
                self._ask(0, [("DEL", *(self._keys.of(0, name) for name, _ in names))])
            if labels:
                self._ask(0, [("HDEL", self._keys.of(0, "labels"), *labels)])
            return len(labels)
        finally:
            self._store.connections.close()

    def _begin(self) -> str:
        """Claim the store; the record that it has then."""
        splitting = splitting_record(self._shards)
        (answer,) = self._ask(0, [("EVAL", _BEGIN, 1, self._keys.of(0, "schema"), schema_record(1), splitting)])
        found = "" if answer is None else answer.decode(errors="replace")
        if found in (splitting, schema_record(self._shards)):
            return found
        if answer is None:
            raise StoreRefused(f"{self._store.url}: there is no store with the prefix {self._keys.prefix!r}; nothing is to be split")
        if is_splitting(found):
            raise StoreRefused(f"{self._store.url}: the store is being split into {found.partition('>')[2]} shards; run that again first")
        if (shards := shards_in(found)) is not None:
            raise StoreRefused(f"{self._store.url}: the store has {shards} shards; only a store of one can be split")
        raise StoreRefused(
            f"{self._store.url}: the store has schema version {found!r}, which this package does not know; nothing is changed"
        )

    def _labels(self) -> dict[bytes, tuple[int, bytes]]:
        """Of each series that belongs elsewhere: its shard and its labels."""
        (words,) = self._ask(0, [("HGETALL", self._keys.of(0, "labels"))])
        shards = {series: shard_of(int(series, 16), self._shards) for series in words[::2]}
        return {series: (shards[series], labels) for series, labels in zip(words[::2], words[1::2], strict=True) if shards[series]}

    def _bites(self) -> Iterator[list[tuple[str, int]]]:
        """The names in shard 0, a few at a time, that belong elsewhere, each with its shard."""
        tag, found = self._keys.of(0, ""), []
        ((pool, _),) = self._store.connections.by_node([tag])
        for key in list(self._store.all_keys(pool, f"{tag}[{_LETTERS}]:*")):
            name = key.decode().removeprefix(tag)
            shard = shard_of(int(name.split(":")[1], 16), self._shards)
            if shard != 0:
                found.append((name, shard))
            if len(found) == _BITE:
                yield found
                found = []
        if found:
            yield found

    def _copy(self, names: list[tuple[str, int]]) -> None:
        reading: list[Command] = []
        for name, _ in names:
            reading += [("DUMP", self._keys.of(0, name)), ("PTTL", self._keys.of(0, name))]
        answers = self._ask(0, reading)
        for (name, shard), dump, left in zip(names, answers[::2], answers[1::2], strict=True):
            if dump is not None and left != _GONE:
                self._ask(shard, [("RESTORE", self._keys.of(shard, name), max(left, 0), dump, "REPLACE")])

    def _copy_hash(self, name: str, entries: dict[bytes, tuple[int, bytes]]) -> None:
        for field, (shard, value) in entries.items():
            self._ask(shard, [("HSET", self._keys.of(shard, name), field, value)])

    def _copy_marks(self) -> None:
        (words,) = self._ask(0, [("HGETALL", self._keys.of(0, "marks"))])
        for shard in range(1, self._shards):
            key = self._keys.of(shard, "marks")
            self._ask(shard, [("DEL", key), *([("HSET", key, *words)] if words else [])])

    def _finish(self) -> None:
        record = schema_record(self._shards)
        for shard in (*range(1, self._shards), 0):
            self._ask(shard, [("SET", self._keys.of(shard, "schema"), record)])

    def _ask(self, shard: int, commands: list[Command]) -> list[Any]:
        return self._store.ask(self._keys.of(shard), commands, raising=True)
