"""The general operations on dictionaries: what each of them means, in the plainest code; the memory driver is made of it."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from queue_metrics.errors import StoreRefused
from queue_metrics.storage.general import HASH, KEY, LARGEST, SET, SORTED_SET, TYPES, Call, pattern_of

_NUMBER = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)


def number(key: str, field: str, text: str) -> int:
    """The number in a field of a hash, as every driver writes it. Raises StoreRefused when it is none of 64 bits."""
    if _NUMBER.fullmatch(text) and -LARGEST - 1 <= (found := int(text)) <= LARGEST:
        return found
    raise no_number(key, field)


def no_number(key: str, field: str) -> StoreRefused:
    """What is to be incremented is no number."""
    return StoreRefused(f"field {field!r} of hash {key!r} holds no whole number of 64 bits; nothing is changed")


def overflowing(key: str, field: str) -> StoreRefused:
    """A sum that would leave its range."""
    return StoreRefused(f"{field!r} in {key!r} would leave the range of its number; nothing is changed")


@dataclass
class _Entry:
    """What is stored under a name in one type."""

    value: Any
    expires_at: float = math.inf


class Keyspace:
    """
    Names and what is stored under them. Knows no threads: whoever holds it lets one in at a time.

    Args:
        now: the clock that expiry goes by, seconds.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._versions: dict[str, int] = {}  # name -> number of its changes

    def execute(self, calls: Iterable[Call]) -> list[Any]:
        """The answers to calls, in order; stops at the first that is refused."""
        return [getattr(self, f"_{call.name}")(*call.arguments) for call in calls]

    def versions(self, names: Iterable[str]) -> list[tuple[int, bool]]:
        """Something that is another after a name changed or expired, for each name."""
        return [(self._versions.get(name, 0), self._exists(name)) for name in names]

    def rehearse(self, calls: Sequence[Call]) -> None:
        """Raise what `execute` would raise, and change nothing."""
        entries, versions = self._entries, self._versions
        self._entries, self._versions = {place: _copy(entry) for place, entry in entries.items()}, dict(versions)
        try:
            self.execute(calls)
        finally:
            self._entries, self._versions = entries, versions

    def sweep(self, limit: int) -> int:
        """Remove at most so many expired entries; returns how many."""
        now = self._now()
        expired = [place for place, entry in self._entries.items() if entry.expires_at <= now][:limit]
        for place in expired:
            del self._entries[place]
        return len(expired)

    def size(self) -> int:
        """Bytes of names and what is stored under them, as UTF-8, eight for a score."""
        return sum(len(name.encode()) + _size(entry.value) for (_, name), entry in self._entries.items())

    # Entries

    def _find(self, letter: str, key: str) -> Any:
        """What is stored, or None."""
        entry = self._entries.get((letter, key))
        if entry is None or entry.expires_at <= self._now():
            return None
        return entry.value

    def _find_or_make(self, letter: str, key: str, empty: Callable[[], Any]) -> Any:
        found = self._find(letter, key)
        if found is None:
            found = empty()
            self._entries[letter, key] = _Entry(found)
        return found

    def _changed(self, letter: str, key: str, ttl: float | None = None) -> None:
        """An entry was written: it expires anew if that is asked for, and is gone when nothing is left in it."""
        self._versions[key] = self._versions.get(key, 0) + 1
        entry = self._entries[letter, key]
        if ttl is not None:
            entry.expires_at = self._now() + ttl
        if letter != KEY and not entry.value:
            del self._entries[letter, key]

    def _living(self, key: str) -> list[str]:
        return [letter for letter in TYPES if self._find(letter, key) is not None]

    # Everything under a name

    def _delete(self, keys: tuple[str, ...]) -> int:
        removed = 0
        for key in keys:
            letters = self._living(key)
            removed += bool(letters)
            for letter in letters:
                del self._entries[letter, key]
                self._versions[key] = self._versions.get(key, 0) + 1
        return removed

    def _exists(self, key: str) -> bool:
        return bool(self._living(key))

    def _expire(self, key: str, seconds: float) -> bool:
        letters = self._living(key)
        for letter in letters:
            self._changed(letter, key, seconds)
        return bool(letters)

    def _ttl(self, key: str) -> float | None:
        now = self._now()
        return max((self._entries[letter, key].expires_at - now for letter in self._living(key)), default=None)

    def _scan_keys(self, pattern: str) -> list[str]:
        fits, now = pattern_of(pattern).fullmatch, self._now()
        return sorted({name for (_, name), entry in self._entries.items() if entry.expires_at > now and fits(name)})

    # Keys

    def _set_key(self, key: str, value: str, ttl: float | None) -> None:
        self._entries[KEY, key] = _Entry(value)
        self._changed(KEY, key, ttl)

    def _get_key(self, key: str) -> str | None:
        found: str | None = self._find(KEY, key)
        return found

    # Hashes

    def _set_hash(self, key: str, fields: dict[str, str], ttl: float | None) -> int:
        found = self._find_or_make(HASH, key, dict)
        new = len(fields.keys() - found.keys())
        found.update(fields)
        self._changed(HASH, key, ttl)
        return new

    def _get_hash(self, key: str) -> dict[str, str]:
        return dict(self._find(HASH, key) or {})

    def _get_hash_field(self, key: str, field: str) -> str | None:
        return self._get_hash(key).get(field)

    def _increment_hash_field(self, key: str, field: str, by: int) -> int:
        total = number(key, field, self._get_hash(key).get(field, "0")) + by
        if not -LARGEST - 1 <= total <= LARGEST:
            raise overflowing(key, field)
        self._set_hash(key, {field: str(total)}, None)
        return total

    def _delete_hash_field(self, key: str, fields: tuple[str, ...]) -> int:
        return self._remove(HASH, key, fields)

    # Sorted sets

    def _add_to_sorted_set(self, key: str, scores: dict[str, float], ttl: float | None) -> int:
        found = self._find_or_make(SORTED_SET, key, dict)
        new = len(scores.keys() - found.keys())
        found.update(scores)
        self._changed(SORTED_SET, key, ttl)
        return new

    def _ordered(self, key: str, low: float = -math.inf, high: float = math.inf, *, descending: bool = False) -> list[tuple[str, float]]:
        found = self._find(SORTED_SET, key) or {}
        members = [(member, score) for member, score in found.items() if low <= score <= high]
        return sorted(members, key=lambda one: (one[1], one[0]), reverse=descending)

    def _get_sorted_set_by_rank(self, key: str, start: int, stop: int, descending: bool) -> list[tuple[str, float]]:
        return _ranks(self._ordered(key, descending=descending), start, stop)

    def _get_sorted_set_by_score(
        self, key: str, low: float, high: float, descending: bool, offset: int, limit: int | None
    ) -> list[tuple[str, float]]:
        return self._ordered(key, low, high, descending=descending)[offset:][:limit]

    def _count_sorted_set(self, key: str) -> int:
        return len(self._ordered(key))

    def _count_sorted_set_by_score(self, key: str, low: float, high: float) -> int:
        return len(self._ordered(key, low, high))

    def _increment_sorted_set(self, key: str, member: str, by: float) -> float:
        total = (self._find(SORTED_SET, key) or {}).get(member, 0.0) + by
        if math.isinf(total):
            raise overflowing(key, member)
        self._add_to_sorted_set(key, {member: total + 0.0}, None)
        return float(total + 0.0)

    def _remove_from_sorted_set(self, key: str, members: tuple[str, ...]) -> int:
        return self._remove(SORTED_SET, key, members)

    def _trim_sorted_set_by_rank(self, key: str, start: int, stop: int) -> int:
        return self._remove(SORTED_SET, key, [member for member, _ in _ranks(self._ordered(key), start, stop)])

    def _trim_sorted_set_by_score(self, key: str, low: float, high: float) -> int:
        return self._remove(SORTED_SET, key, [member for member, _ in self._ordered(key, low, high)])

    # Sets: dictionaries of members to None

    def _add_to_set(self, key: str, members: tuple[str, ...]) -> int:
        found = self._find_or_make(SET, key, dict)
        before = len(found)
        found.update(dict.fromkeys(members))
        self._changed(SET, key)
        return len(found) - before

    def _get_set_members(self, key: str) -> set[str]:
        return set(self._find(SET, key) or ())

    def _is_set_member(self, key: str, member: str) -> bool:
        return member in (self._find(SET, key) or ())

    def _remove_from_set(self, key: str, members: tuple[str, ...]) -> int:
        return self._remove(SET, key, members)

    def _count_set(self, key: str) -> int:
        return len(self._find(SET, key) or ())

    def _remove(self, letter: str, key: str, members: Iterable[str]) -> int:
        found = self._find(letter, key) or {}
        gone = [member for member in members if member in found]
        for member in gone:
            del found[member]
        if gone:
            self._changed(letter, key)
        return len(gone)


def _ranks(ordered: list[tuple[str, float]], start: int, stop: int) -> list[tuple[str, float]]:
    """From one rank to another, both included, negative ones from the end."""
    count = len(ordered)
    first = max(0, start + count) if start < 0 else start
    last = stop + count if stop < 0 else stop
    return ordered[first : max(0, last + 1)]


def _copy(entry: _Entry) -> _Entry:
    return _Entry(dict(entry.value) if isinstance(entry.value, dict) else entry.value, entry.expires_at)


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    return sum(len(member.encode()) + (8 if isinstance(score, float) else len((score or "").encode())) for member, score in value.items())
