"""
The general operations that write. Whoever writes under a name holds its header locked, so they take turns name by name; all headers of a
request are locked at its beginning, in the order of their ids, so nobody waits in a circle. Knows no database.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from queue_metrics.errors import StoreRefused
from queue_metrics.storage.general import HASH, KEY, LARGEST, SET, SORTED_SET, TYPES, Call
from queue_metrics.storage.keyspace import number, overflowing
from queue_metrics.storage.sql.dialect import OnceMoreError, Session
from queue_metrics.storage.sql.names import digest, header_id, text
from queue_metrics.storage.sql.reading import bounds, read

T = TypeVar("T")

NEVER_WAS = (0, False)
"""The state of a name that nothing was ever written under: version 0, not living."""

DEAD = 0.0
"""When a header expires that is to be swept: long ago."""

CHUNK = 1000
"""Ids in one statement; SQLite takes 32,766 parameters."""

# Which header each operation needs to be there, or only locks when it is.
_MAKES = MappingProxyType(
    {
        "set_key": KEY,
        "set_hash": HASH,
        "increment_hash_field": HASH,
        "add_to_set": SET,
        "add_to_sorted_set": SORTED_SET,
        "increment_sorted_set": SORTED_SET,
    }
)
_TOUCHES = MappingProxyType(
    {
        "delete_hash_field": HASH,
        "remove_from_set": SET,
        "remove_from_sorted_set": SORTED_SET,
        "trim_sorted_set_by_rank": SORTED_SET,
        "trim_sorted_set_by_score": SORTED_SET,
    }
)
_CLEARS = MappingProxyType({HASH: "clear_hash", SET: "clear_set", SORTED_SET: "clear_sorted_set"})
_REMOVES = MappingProxyType({HASH: "remove_fields", SET: "remove_members", SORTED_SET: "remove_scores"})
_ANY = MappingProxyType({HASH: "any_field", SET: "any_member", SORTED_SET: "any_score"})


@dataclass
class _Header:
    """The header of a name in one type; without a row it is dead, like one that has expired."""

    id: bytes
    letter: str
    name: str
    version: int = 0
    expires_at: float | None = DEAD
    value: bytes | None = None

    def living(self, now: float) -> bool:
        return self.expires_at is None or self.expires_at > now


class Watched:
    """Names whose changes somebody must notice."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple((letter, name) for name in names for letter in TYPES)

    def nothing(self) -> dict[bytes, tuple[int, bool]]:
        """Their state where nothing was ever written."""
        return {header_id(letter, name): NEVER_WAS for letter, name in self.names}

    def state(self, session: Session) -> dict[bytes, tuple[int, bool]]:
        """Something that is another after one of them changed or expired."""
        found = self.nothing()
        for ids in _chunks(sorted(found)):
            for id_, version, expiry, _, now in session.ask(("get_headers", {"ids": ids}))[0]:
                found[bytes(id_)] = (version, expiry is None or expiry > float(now))
        return found


class Headers:
    """
    The headers that one request works with, and the operations on them.

    Args:
        session: a transaction that writes.
        calls: what is going to be done.
        watched: what is to be locked besides.
    """

    def __init__(self, session: Session, calls: Sequence[Call] = (), watched: Watched | None = None) -> None:
        self._session = session
        self._calls = calls
        self._now = 0.0  # by the database's clock, as soon as a header is locked
        self._headers: dict[tuple[str, str], _Header] = {}
        made = {(_MAKES[call.name], call.arguments[0]) for call in calls if call.name in _MAKES}
        made.update(watched.names if watched else ())
        touched = {(_TOUCHES[call.name], call.arguments[0]) for call in calls if call.name in _TOUCHES}
        for call in calls:
            if call.name in ("delete", "expire"):
                names = call.arguments[0] if call.name == "delete" else call.arguments[:1]
                touched.update((letter, name) for name in names for letter in TYPES)
        self._lock(made, touched)

    def execute(self, calls: Sequence[Call]) -> tuple[list[Any], StoreRefused | None]:
        """The answers to calls up to the first that is refused, and its refusal."""
        answers: list[Any] = []
        for call in calls:
            try:
                answers.append(self._do(call))
            except StoreRefused as refusal:
                return answers, refusal
        return answers, None

    def commit(self, calls: Sequence[Call], before: Mapping[bytes, tuple[int, bool]]) -> list[Any] | None:
        """The answers to calls, all of which are done; None, and nothing done, when what was watched is not as before."""
        headers = {header.id: header for header in self._headers.values()}
        if any((headers[id_].version, headers[id_].living(self._now)) != state for id_, state in before.items()):
            return None
        return [self._do(call) for call in calls]

    def take(self, letter: str, name: str, owner: str, seconds: float) -> bool:
        """Write an owner under a name unless it has a living other one."""
        self._lock({(letter, name)}, set())
        header = self._headers[letter, name]
        if header.living(self._now) and header.value != owner.encode():
            return False
        header.value = owner.encode()
        self._changed(header, seconds)
        return True

    # Headers

    def _lock(self, made: set[tuple[str, str]], touched: set[tuple[str, str]]) -> None:
        """Lock headers in the order of their ids; `made` ones are there afterwards, dead if they were not there."""
        wanted = {header_id(*place): _Header(header_id(*place), *place) for place in made | touched}
        found = self._locked(wanted, sorted(wanted))
        missing = sorted({header_id(*place) for place in made} - found)
        if missing:
            rows = [{"id": id_, "type": wanted[id_].letter, "name": wanted[id_].name} for id_ in missing]
            self._session.many("make_headers", rows)
            if self._locked(wanted, missing) != set(missing):
                raise OnceMoreError
        self._headers.update({(header.letter, header.name): header for header in wanted.values()})

    def _locked(self, wanted: dict[bytes, _Header], ids: list[bytes]) -> set[bytes]:
        found = set()
        for some in _chunks(ids):
            for id_, version, expiry, value, now in self._session.ask(("lock_headers", {"ids": some}))[0]:
                header = wanted[bytes(id_)]
                header.version, header.expires_at, header.value = version, expiry, None if value is None else bytes(value)
                self._now = max(self._now, float(now))
                found.add(header.id)
        return found

    def _changed(self, header: _Header, ttl: float | None = None) -> None:
        """Its name was written to: it expires anew if that is asked for."""
        if ttl is not None:
            header.expires_at = self._now + ttl
        header.version = int.from_bytes(os.urandom(8), "big") >> 2 | 1  # at random: a name that was swept away begins anew
        row = {"id": header.id, "value": header.value, "expires_at": header.expires_at, "version": header.version}
        self._session.tell("put_header", row)

    def _revived(self, letter: str, key: str) -> _Header:
        """The header of a collection that is about to be written to; of a dead one nothing is left."""
        header = self._headers[letter, key]
        if not header.living(self._now):
            if header.version:
                self._session.tell(_CLEARS[letter], {"id": header.id})
            header.expires_at = None
        return header

    def _living(self, letter: str, key: str) -> _Header | None:
        header = self._headers[letter, key]
        return header if header.living(self._now) else None

    def _die(self, header: _Header) -> None:
        """What it held is gone; the row stays for those who watch it, until it is swept."""
        header.value, header.expires_at = None, DEAD
        self._changed(header)

    # Operations

    def _do(self, call: Call) -> Any:
        if call.reads:
            return read(self._session, [call])[0]
        return getattr(self, f"_{call.name}")(*call.arguments)

    def _delete(self, keys: tuple[str, ...]) -> int:
        removed = 0
        for key in keys:
            headers = [header for letter in TYPES if (header := self._living(letter, key)) is not None]
            removed += bool(headers)
            for header in headers:
                if header.letter != KEY:
                    self._session.tell(_CLEARS[header.letter], {"id": header.id})
                self._die(header)
        return removed

    def _expire(self, key: str, seconds: float) -> bool:
        headers = [header for letter in TYPES if (header := self._living(letter, key)) is not None]
        for header in headers:
            self._changed(header, seconds)
        return bool(headers)

    def _set_key(self, key: str, value: str, ttl: float | None) -> None:
        header = self._headers[KEY, key]
        header.value, header.expires_at = value.encode(), None
        self._changed(header, ttl)

    def _set_hash(self, key: str, fields: dict[str, str], ttl: float | None) -> int:
        return self._put(HASH, key, fields, ttl)

    def _increment_hash_field(self, key: str, field: str, by: int) -> int:
        before = "0"
        if (header := self._living(HASH, key)) is not None:
            (rows,) = self._session.ask(("get_field", {"id": header.id, "field_id": digest(field)}))
            before = text(rows[0][0]) if rows else "0"
        total = number(key, field, before) + by
        if not -LARGEST - 1 <= total <= LARGEST:
            raise overflowing(key, field)
        self._put(HASH, key, {field: str(total)}, None)
        return total

    def _delete_hash_field(self, key: str, fields: tuple[str, ...]) -> int:
        return self._remove(HASH, key, fields)

    def _add_to_set(self, key: str, members: tuple[str, ...]) -> int:
        return self._put(SET, key, dict.fromkeys(members), None)

    def _remove_from_set(self, key: str, members: tuple[str, ...]) -> int:
        return self._remove(SET, key, members)

    def _add_to_sorted_set(self, key: str, scores: dict[str, float], ttl: float | None) -> int:
        return self._put(SORTED_SET, key, scores, ttl)

    def _increment_sorted_set(self, key: str, member: str, by: float) -> float:
        before = 0.0
        if (header := self._living(SORTED_SET, key)) is not None:
            (rows,) = self._session.ask(("known_scores", {"id": header.id, "members": [digest(member)]}))
            before = float(rows[0][1]) if rows else 0.0
        total = before + by + 0.0
        if math.isinf(total):
            raise overflowing(key, member)
        self._put(SORTED_SET, key, {member: total}, None)
        return total

    def _remove_from_sorted_set(self, key: str, members: tuple[str, ...]) -> int:
        return self._remove(SORTED_SET, key, members)

    def _trim_sorted_set_by_rank(self, key: str, start: int, stop: int) -> int:
        if (header := self._living(SORTED_SET, key)) is None:
            return 0
        (rows,) = self._session.ask(("get_ranked", {"id": header.id, "start": start, "stop": stop}))
        return self._remove_ids(header, [bytes(member_id) for _, _, member_id in rows])

    def _trim_sorted_set_by_score(self, key: str, low: float, high: float) -> int:
        between = bounds(low, high)
        if between is None or (header := self._living(SORTED_SET, key)) is None:
            return 0
        gone = self._session.count("remove_scored", {"id": header.id, "low": between[0], "high": between[1]})
        return self._removed(header, gone)

    # Members of collections: fields with values, members of sets, members with scores

    def _put(self, letter: str, key: str, members: Mapping[str, Any], ttl: float | None) -> int:
        """Write members; how many are new."""
        statement, known, column = {
            HASH: ("put_fields", "known_fields", "value"),
            SET: ("put_members", "known_members", ""),
            SORTED_SET: ("put_scores", "known_scores", "score"),
        }[letter]
        new = len(members)
        ids = {digest(member): member for member in members}
        header = self._headers[letter, key]
        if header.living(self._now):
            for some in _chunks(sorted(ids)):
                new -= len(self._session.ask((known, {"id": header.id, "members": some}))[0])
        header = self._revived(letter, key)
        rows = [{"id": header.id, "member_id": id_, "member": member} for id_, member in sorted(ids.items())]
        if column:
            rows = [{**row, column: members[row["member"]]} for row in rows]  # type: ignore[index]
        self._session.many(statement, rows)
        self._changed(header, ttl)
        return new

    def _remove(self, letter: str, key: str, members: tuple[str, ...]) -> int:
        header = self._living(letter, key)
        return 0 if header is None else self._remove_ids(header, sorted(map(digest, members)))

    def _remove_ids(self, header: _Header, ids: list[bytes]) -> int:
        statement = _REMOVES[header.letter]
        return self._removed(header, sum(self._session.count(statement, {"id": header.id, "members": some}) for some in _chunks(ids)))

    def _removed(self, header: _Header, gone: int) -> int:
        """Note that members are gone, and with the last one the collection."""
        if gone:
            (rows,) = self._session.ask((_ANY[header.letter], {"id": header.id}))
            if rows:
                self._changed(header)
            else:
                self._die(header)
        return gone


def _chunks(ids: list[T]) -> Iterator[list[T]]:
    return (ids[first : first + CHUNK] for first in range(0, len(ids), CHUNK))
