"""The general operations as commands of Redis, and what the answers mean. Sends nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from queue_metrics.storage.forks import loading
from queue_metrics.storage.general import HASH, KEY, SET, SORTED_SET, TYPES, Call, literal_start, pattern_of

Word = str | bytes | int
Command = tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent for an operation, and what its answers mean."""

    commands: list[Command]
    read: Callable[[list[Any]], Any]

    @property
    def refusable(self) -> bool:
        """Whether one of the commands can be refused for what is stored: then those before it may have to be undone."""
        return any(command[0] in ("HINCRBY", "ZINCRBY") for command in self.commands)


class Planner:
    """
    Plans operations; a method for each, with the name and the arguments of the operation.

    Args:
        place: the key of a name in a type.
    """

    def __init__(self, place: Callable[[str, str], str]) -> None:
        self._place = place

    def plan(self, call: Call) -> Plan:
        plan: Plan = getattr(self, f"_{call.name}")(*call.arguments)
        return plan

    def all_of(self, name: str) -> list[str]:
        """The keys that a name can have."""
        return [self._place(letter, name) for letter in TYPES]

    # Everything under a name

    def _delete(self, keys: tuple[str, ...]) -> Plan:
        return Plan([("DEL", *self.all_of(key)) for key in keys], lambda answers: sum(map(bool, answers)))

    def _exists(self, key: str) -> Plan:
        return Plan([("EXISTS", *self.all_of(key))], _whether)

    def _expire(self, key: str, seconds: float) -> Plan:
        return Plan([("PEXPIRE", place, _milliseconds(seconds)) for place in self.all_of(key)], lambda answers: any(map(int, answers)))

    def _ttl(self, key: str) -> Plan:
        def read(answers: list[Any]) -> float | None:
            living = [math.inf if left == -1 else left / 1000 for left in answers if left != -2]
            return max(living, default=None)

        return Plan([("PTTL", place) for place in self.all_of(key)], read)

    # Keys

    def _set_key(self, key: str, value: str, ttl: float | None) -> Plan:
        expiry = () if ttl is None else ("PX", _milliseconds(ttl))
        return Plan([("SET", self._place(KEY, key), value, *expiry)], lambda answers: None)

    def _get_key(self, key: str) -> Plan:
        return Plan([("GET", self._place(KEY, key))], lambda answers: _text_or_none(answers[0]))

    # Hashes

    def _set_hash(self, key: str, fields: dict[str, str], ttl: float | None) -> Plan:
        place = self._place(HASH, key)
        return Plan([("HSET", place, *_flat(fields)), *_expiry(place, ttl)], _count)

    def _get_hash(self, key: str) -> Plan:
        def read(answers: list[Any]) -> dict[str, str]:
            words = [word.decode() for word in answers[0]]
            return dict(zip(words[::2], words[1::2], strict=True))

        return Plan([("HGETALL", self._place(HASH, key))], read)

    def _get_hash_field(self, key: str, field: str) -> Plan:
        return Plan([("HGET", self._place(HASH, key), field)], lambda answers: _text_or_none(answers[0]))

    def _increment_hash_field(self, key: str, field: str, by: int) -> Plan:
        return Plan([("HINCRBY", self._place(HASH, key), field, by)], _count)

    def _delete_hash_field(self, key: str, fields: tuple[str, ...]) -> Plan:
        return Plan([("HDEL", self._place(HASH, key), *fields)], _count)

    # Sorted sets: Redis orders ties by bytes, which in UTF-8 is the order of code points

    def _add_to_sorted_set(self, key: str, scores: dict[str, float], ttl: float | None) -> Plan:
        place = self._place(SORTED_SET, key)
        words = [word for member, score in scores.items() for word in (_bound(score), member)]
        return Plan([("ZADD", place, *words), *_expiry(place, ttl)], _count)

    def _get_sorted_set_by_rank(self, key: str, start: int, stop: int, descending: bool) -> Plan:
        command = "ZREVRANGE" if descending else "ZRANGE"
        return Plan([(command, self._place(SORTED_SET, key), start, stop, "WITHSCORES")], _members)

    def _get_sorted_set_by_score(self, key: str, low: float, high: float, descending: bool, offset: int, limit: int | None) -> Plan:
        command, bounds = ("ZREVRANGEBYSCORE", (high, low)) if descending else ("ZRANGEBYSCORE", (low, high))
        window = ("LIMIT", offset, -1 if limit is None else limit)
        return Plan([(command, self._place(SORTED_SET, key), *map(_bound, bounds), "WITHSCORES", *window)], _members)

    def _count_sorted_set(self, key: str) -> Plan:
        return Plan([("ZCARD", self._place(SORTED_SET, key))], _count)

    def _count_sorted_set_by_score(self, key: str, low: float, high: float) -> Plan:
        return Plan([("ZCOUNT", self._place(SORTED_SET, key), _bound(low), _bound(high))], _count)

    def _increment_sorted_set(self, key: str, member: str, by: float) -> Plan:
        return Plan([("ZINCRBY", self._place(SORTED_SET, key), _bound(by), member)], lambda answers: float(answers[0]) + 0.0)

    def _remove_from_sorted_set(self, key: str, members: tuple[str, ...]) -> Plan:
        return Plan([("ZREM", self._place(SORTED_SET, key), *members)], _count)

    def _trim_sorted_set_by_rank(self, key: str, start: int, stop: int) -> Plan:
        return Plan([("ZREMRANGEBYRANK", self._place(SORTED_SET, key), start, stop)], _count)

    def _trim_sorted_set_by_score(self, key: str, low: float, high: float) -> Plan:
        return Plan([("ZREMRANGEBYSCORE", self._place(SORTED_SET, key), _bound(low), _bound(high))], _count)

    # Sets

    def _add_to_set(self, key: str, members: tuple[str, ...]) -> Plan:
        return Plan([("SADD", self._place(SET, key), *members)], _count)

    def _get_set_members(self, key: str) -> Plan:
        return Plan([("SMEMBERS", self._place(SET, key))], lambda answers: {member.decode() for member in answers[0]})

    def _is_set_member(self, key: str, member: str) -> Plan:
        return Plan([("SISMEMBER", self._place(SET, key), member)], _whether)

    def _remove_from_set(self, key: str, members: tuple[str, ...]) -> Plan:
        return Plan([("SREM", self._place(SET, key), *members)], _count)

    def _count_set(self, key: str) -> Plan:
        return Plan([("SCARD", self._place(SET, key))], _count)

    # What is no fixed list of commands

    def scan_pattern(self, pattern: str) -> str:
        """What SCAN is to look for: what all names begin with that fit, in any type; `names` decides."""
        return _escaped(self._place("?", literal_start(pattern))).replace(_escaped("g?"), "g?", 1) + "*"

    def names(self, pattern: str, keys: Iterable[bytes]) -> list[str]:
        """The names among keys that fit a pattern, each once and in order."""
        fits = pattern_of(pattern).fullmatch
        starts = tuple(self._place(letter, "") for letter in TYPES)
        texts = (key.decode(errors="replace") for key in keys)
        return sorted(filter(fits, {text[len(starts[0]) :] for text in texts if text.startswith(starts)}))


def whole(commands: Sequence[Command]) -> Command:
    """The call of the script that does commands as a whole, or none of them."""
    keys = dict.fromkeys(key for command in commands for key in (command[1:] if command[0] == "DEL" else command[1:2]))
    words = [word for command in commands for word in (len(command), *command)]
    return ("EVAL", source(), len(keys), *keys, *words)


_loaded: list[str] = []


def load() -> str:
    """Read the script, once. The first time imports: to be called where `loading` is held."""
    if not _loaded:
        _loaded.append(files(__package__).joinpath("redis_commands.lua").read_text(encoding="utf-8"))
    return _loaded[0]


def source() -> str:
    """The script, sent whole: in a pipeline nobody can send it again when the server does not know its digest."""
    if _loaded:
        return _loaded[0]
    with loading:
        return load()


def _expiry(place: str, ttl: float | None) -> list[Command]:
    return [] if ttl is None else [("PEXPIRE", place, _milliseconds(ttl))]


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _bound(score: float) -> str:
    """A score as Redis reads it, to the last bit; infinite ones are `inf` and `-inf`."""
    return repr(score)


def _flat(fields: dict[str, str]) -> list[str]:
    return [word for pair in fields.items() for word in pair]


def _escaped(text: str) -> str:
    return "".join("\\" + character if character in "*?[]^-\\" else character for character in text)


def _count(answers: list[Any]) -> int:
    return int(answers[0])


def _whether(answers: list[Any]) -> bool:
    return bool(answers[0])


def _text_or_none(answer: bytes | None) -> str | None:
    return None if answer is None else answer.decode()


def _members(answers: list[Any]) -> list[tuple[str, float]]:
    words = answers[0]
    return [(member.decode(), float(score) + 0.0) for member, score in zip(words[::2], words[1::2], strict=True)]
