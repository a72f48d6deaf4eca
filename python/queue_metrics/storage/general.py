"""
The general operations over keys, hashes, sets and sorted sets: what they mean on every database, and what may be given to them.

They are for what is asked seldom; what carries the load has operations of its own in `base.py`. Knows no database: a driver is given
checked `Call`s and answers them.
"""

from __future__ import annotations

import abc
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

LARGEST = 2**63 - 1
"""The largest number in a hash; the smallest is its negative less one."""

KEY, HASH, SET, SORTED_SET = "k", "h", "s", "z"
TYPES = (KEY, HASH, SET, SORTED_SET)
"""The letter that stands in each physical key: a name may be used in all types at once, and none of them is ever the wrong one."""


class Call(NamedTuple):
    """One operation: the name of its method, and its arguments in the order of the method, checked and with their defaults."""

    name: str
    arguments: tuple[Any, ...]

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.name.startswith(("get_", "count_", "is_", "scan_", "exists", "ttl"))


class GeneralOperations(abc.ABC):
    """
    Text in, text out; what is not there or has expired is None, 0 or empty.

    Args of all operations: a key, field, member or value is a `str` without NUL and lone surrogates; a number in a hash lies between
    -2^63 and 2^63 - 1; a score is a finite double; `ttl` and `seconds` are more than 0 and kept to the millisecond.

    A collection is there while it has members. What is written into it leaves its expiry as it is, unless a `ttl` is given.

    Raises:
        ValueError: an argument that is none of the above; nothing is changed.
        StoreRefused: the sum would leave its range, or what is stored is no number; nothing is changed.
    """

    @abc.abstractmethod
    def _ask(self, call: Call) -> Any:
        """The answer to a checked call, or None where answers come later."""

    # Everything under a name

    def delete(self, *keys: str) -> int:
        """Remove these names in all types; returns how many there were."""
        return self._count("delete", _texts(keys)) if keys else 0

    def exists(self, key: str) -> bool:
        """Whether anything has this name."""
        return self._whether("exists", _text(key))

    def expire(self, key: str, seconds: float) -> bool:
        """Let everything under this name be forgotten in so many seconds; False if there is nothing."""
        return self._whether("expire", _text(key), _ttl(seconds))

    def ttl(self, key: str) -> float | None:
        """Seconds until the last that has this name is forgotten; infinite when it stays, None when there is nothing."""
        answer: float | None = self._ask(Call("ttl", (_text(key),)))
        return answer

    def scan_keys(self, pattern: str = "*") -> list[str]:
        """Each name that fits, once, in order; `*` stands for any characters, `?` for one, a backslash before either for itself."""
        names: list[str] = self._ask(Call("scan_keys", (_text(pattern),)))
        return names

    # Keys

    def set_key(self, key: str, value: str, ttl: float | None = None) -> None:
        """Store a value in place of any before it, to stay or to be forgotten after `ttl` seconds."""
        self._ask(Call("set_key", (_text(key), _text(value), _ttl(ttl))))

    def get_key(self, key: str) -> str | None:
        """The value."""
        answer: str | None = self._ask(Call("get_key", (_text(key),)))
        return answer

    # Hashes

    def set_hash(self, key: str, fields: Mapping[str, str], ttl: float | None = None) -> int:
        """Set fields and leave the others; returns how many are new."""
        checked = {_text(field): _text(value) for field, value in fields.items()}
        return self._count("set_hash", _text(key), checked, _ttl(ttl)) if checked else 0

    def get_hash(self, key: str) -> dict[str, str]:
        """All fields."""
        fields: dict[str, str] = self._ask(Call("get_hash", (_text(key),)))
        return fields

    def get_hash_field(self, key: str, field: str) -> str | None:
        """One field."""
        answer: str | None = self._ask(Call("get_hash_field", (_text(key), _text(field))))
        return answer

    def increment_hash_field(self, key: str, field: str, by: int = 1) -> int:
        """Add to the number in a field, which begins at 0; returns the sum."""
        if isinstance(by, bool) or not isinstance(by, int) or not -LARGEST - 1 <= by <= LARGEST:
            raise ValueError(f"a hash is incremented by a whole number of 64 bits, not {by!r}")
        return self._count("increment_hash_field", _text(key), _text(field), int(by))

    def delete_hash_field(self, key: str, *fields: str) -> int:
        """Remove fields; returns how many there were."""
        return self._count("delete_hash_field", _text(key), _texts(fields)) if fields else 0

    # Sorted sets: by score, then by member in the order of code points

    def add_to_sorted_set(self, key: str, scores: Mapping[str, float], ttl: float | None = None) -> int:
        """Set the scores of members; returns how many members are new."""
        checked = {_text(member): _score(score) for member, score in scores.items()}
        return self._count("add_to_sorted_set", _text(key), checked, _ttl(ttl)) if checked else 0

    def get_sorted_set_by_rank(self, key: str, start: int = 0, stop: int = -1, *, descending: bool = False) -> list[tuple[str, float]]:
        """Members from one rank to another, both included; a negative rank counts from the end, -1 is the last."""
        return self._members("get_sorted_set_by_rank", _text(key), _rank(start), _rank(stop), bool(descending))

    def get_sorted_set_by_score(
        self, key: str, low: float, high: float, *, descending: bool = False, offset: int = 0, limit: int | None = None
    ) -> list[tuple[str, float]]:
        """Members with low <= score <= high; the bounds may be infinite. Leaves `offset` of them out and answers at most `limit`."""
        if offset < 0 or (limit is not None and limit < 0):
            raise ValueError(f"offset and limit are 0 or more, not {offset!r} and {limit!r}")
        checked = (_text(key), _bound(low), _bound(high), bool(descending), _rank(offset), None if limit is None else _rank(limit))
        return self._members("get_sorted_set_by_score", *checked)

    def count_sorted_set(self, key: str) -> int:
        """Number of members."""
        return self._count("count_sorted_set", _text(key))

    def count_sorted_set_by_score(self, key: str, low: float, high: float) -> int:
        """Number of members with low <= score <= high."""
        return self._count("count_sorted_set_by_score", _text(key), _bound(low), _bound(high))

    def increment_sorted_set(self, key: str, member: str, by: float) -> float:
        """Add to the score of a member, which begins at 0; returns the sum."""
        answer: float = self._ask(Call("increment_sorted_set", (_text(key), _text(member), _score(by))))
        return answer

    def remove_from_sorted_set(self, key: str, *members: str) -> int:
        """Remove members; returns how many there were."""
        return self._count("remove_from_sorted_set", _text(key), _texts(members)) if members else 0

    def trim_sorted_set_by_rank(self, key: str, start: int, stop: int) -> int:
        """Remove the members from one rank to another, both included; returns how many."""
        return self._count("trim_sorted_set_by_rank", _text(key), _rank(start), _rank(stop))

    def trim_sorted_set_by_score(self, key: str, low: float, high: float) -> int:
        """Remove the members with low <= score <= high; returns how many."""
        return self._count("trim_sorted_set_by_score", _text(key), _bound(low), _bound(high))

    # Sets

    def add_to_set(self, key: str, *members: str) -> int:
        """Add members; returns how many are new."""
        return self._count("add_to_set", _text(key), _texts(members)) if members else 0

    def get_set_members(self, key: str) -> set[str]:
        """All members."""
        members: set[str] = self._ask(Call("get_set_members", (_text(key),)))
        return members

    def is_set_member(self, key: str, member: str) -> bool:
        """Whether it is one."""
        return self._whether("is_set_member", _text(key), _text(member))

    def remove_from_set(self, key: str, *members: str) -> int:
        """Remove members; returns how many there were."""
        return self._count("remove_from_set", _text(key), _texts(members)) if members else 0

    def count_set(self, key: str) -> int:
        """Number of members."""
        return self._count("count_set", _text(key))

    # Answers by their type

    def _count(self, name: str, *arguments: Any) -> int:
        answer: int = self._ask(Call(name, arguments))
        return answer

    def _whether(self, name: str, *arguments: Any) -> bool:
        answer: bool = self._ask(Call(name, arguments))
        return answer

    def _members(self, name: str, *arguments: Any) -> list[tuple[str, float]]:
        answer: list[tuple[str, float]] = self._ask(Call(name, arguments))
        return answer


def pattern_of(glob: str) -> re.Pattern[str]:
    """What `scan_keys` means by its pattern; for drivers, whose databases each mean something else."""
    parts = re.findall(r"\\[*?\\]|\*+|.", glob, re.DOTALL)
    special = {"*": ".*", "?": "."}
    return re.compile("".join(special.get(part[:1]) or re.escape(part[-1]) for part in parts), re.DOTALL)


def literal_start(glob: str) -> str:
    """The characters that every name begins with that fits the pattern."""
    start = re.match(r"(?:\\[*?\\]|[^*?])*", glob, re.DOTALL)
    return re.sub(r"\\([*?\\])", r"\1", start.group() if start else "", flags=re.DOTALL)


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"text is expected, not {type(value).__name__}: {value!r}")
    if "\0" in value:
        raise ValueError(f"text without NUL is expected, not {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"text without lone surrogates is expected, not {value!r}") from None
    return str(value)


def watched_names(names: Iterable[str]) -> tuple[str, ...]:
    """
    What a transaction rests on, each name once.

    Raises:
        ValueError: a single `str`, of which each character would be watched; or a name that no operation takes.
    """
    if isinstance(names, (str, bytes)):
        raise ValueError(f"the names to watch are a list of names, not {names!r}; one name alone is watch=[{names!r}]")
    return _texts(names)


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    """Each text once, in its order."""
    return tuple(dict.fromkeys(map(_text, values)))


def _bound(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"a score is a number, not {value!r}")
    try:
        score = float(value)
    except OverflowError:
        raise ValueError("a score is a double; this number is larger") from None
    if math.isnan(score):
        raise ValueError("a score is a number, not nan")
    return score + 0.0  # no negative zero: not every database keeps its sign


def _score(value: float) -> float:
    score = _bound(value)
    if math.isinf(score):
        raise ValueError("a score is finite; only bounds may be infinite")
    return score


def _rank(value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -LARGEST <= value <= LARGEST:
        raise ValueError(f"a whole number of 64 bits is expected, not {value!r}")
    return int(value)


def _ttl(seconds: float | None) -> float | None:
    """Seconds, at least a millisecond."""
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < 1e10:
        raise ValueError(f"a time to live is more than 0 seconds, or None, not {seconds!r}")
    return max(0.001, round(float(seconds), 3))
