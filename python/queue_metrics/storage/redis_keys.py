"""Where things lie in Redis: the names of keys, and the record that says which schema and how many shards a store has."""

from __future__ import annotations

import re

from queue_metrics.storage.base import DAY, HOUR, MINUTE

SCHEMA = "1"
"""Version of the layout in docs/stored-values.md, section 5."""

BLOCKS = {MINUTE: ("m", HOUR), HOUR: ("h", DAY), DAY: ("d", 100 * DAY)}
"""Points of a step share a hash: its letter in keys and the seconds that one hash covers."""


class Keys:
    """
    The keys of a store.

    Args:
        prefix: first part of every key.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def of(self, shard: int, *parts: str) -> str:
        """All keys of a shard carry its tag, so that one script can name them in a cluster."""
        return ":".join((self.prefix, f"{{q{shard:02d}}}", *parts))

    def general(self, letter: str, name: str) -> str:
        """What a name of the general operations is called in one of its types. They share shard 0, so a transaction has one slot."""
        return self.of(0, f"g{letter}", name)


def schema_record(shards: int) -> str:
    """
    What stands in the key `schema` of each shard; every script and reading compares it.

    With the number of shards in it nobody can read or write a store by another number: one that differs is refused like another schema.
    """
    return SCHEMA if shards == 1 else f"{SCHEMA}/{shards}"


def splitting_record(shards: int) -> str:
    """What stands there while one shard is split into many: nobody else reads or writes."""
    return f"{SCHEMA}>{shards}"


def shards_in(record: str) -> int | None:
    """The number of shards in a record of this schema; None in any other."""
    if record == SCHEMA:
        return 1
    found = re.fullmatch(rf"{SCHEMA}/([1-9][0-9]{{0,3}})", record, re.ASCII)
    return int(found[1]) if found else None


def is_splitting(record: str) -> bool:
    """Whether one shard is being split."""
    return re.fullmatch(rf"{SCHEMA}>[1-9][0-9]{{0,3}}", record, re.ASCII) is not None


def hex_of(series: int) -> str:
    """A series in keys and fields."""
    return f"{series:016x}"
