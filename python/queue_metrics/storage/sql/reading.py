"""The general operations that read: each is one statement, and its rows are its answer. Knows no database."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from queue_metrics.storage.general import HASH, KEY, SET, SORTED_SET, TYPES, Call, pattern_of
from queue_metrics.storage.sql.dialect import Question, Session
from queue_metrics.storage.sql.names import FINITE, digest, header_id, text

Rows = list[tuple[Any, ...]]


def read(session: Session, calls: Sequence[Call]) -> list[Any]:
    """The answers to calls that only read, in as few round trips as the database allows."""
    questions = [_question(call) for call in calls]
    found = iter(session.ask(*(one for one in questions if one is not None)))
    return [answer(call, next(found) if one is not None else []) for call, one in zip(calls, questions, strict=True)]


def bounds(low: float, high: float) -> tuple[float, float] | None:
    """Scores are finite: bounds that are as well and mean the same, or None when nothing can lie between them."""
    if low > high or low == math.inf or high == -math.inf:
        return None
    return max(low, -FINITE), min(high, FINITE)


def _question(call: Call) -> Question | None:
    """What to ask; None when the answer is nothing whatever is stored."""
    key, *others = call.arguments
    match call.name:
        case "exists" | "ttl":
            return "living", {"ids": [header_id(letter, key) for letter in TYPES]}
        case "scan_keys":
            return "scan", {}
        case "get_key":
            return "get_key", {"id": header_id(KEY, key)}
        case "get_hash":
            return "get_fields", {"id": header_id(HASH, key)}
        case "get_hash_field":
            return "get_field", {"id": header_id(HASH, key), "field_id": digest(others[0])}
        case "get_set_members":
            return "get_members", {"id": header_id(SET, key)}
        case "is_set_member":
            return "has_member", {"id": header_id(SET, key), "member_id": digest(others[0])}
        case "count_set":
            return "count_members", {"id": header_id(SET, key)}
        case "get_sorted_set_by_rank":
            start, stop, descending = others
            return "get_ranked" + "_descending" * descending, {"id": header_id(SORTED_SET, key), "start": start, "stop": stop}
        case "get_sorted_set_by_score":
            low, high, descending, offset, limit = others
            between = bounds(low, high)
            if between is None or limit == 0:
                return None
            parameters = {"id": header_id(SORTED_SET, key), "low": between[0], "high": between[1]}
            parameters |= {"offset": offset, "limit": 2**63 - 1 if limit is None else limit}
            return "get_scored" + "_descending" * descending, parameters
        case _:  # count_sorted_set, count_sorted_set_by_score
            between = bounds(*others) if others else (-FINITE, FINITE)
            if between is None:
                return None
            return "count_scored", {"id": header_id(SORTED_SET, key), "low": between[0], "high": between[1]}


def answer(call: Call, rows: Rows) -> Any:
    """What rows mean; no rows where there is no store."""
    match call.name:
        case "exists" | "is_set_member":
            return bool(rows)
        case "ttl":
            return max((math.inf if expiry is None else float(expiry) - float(now) for _, expiry, now in rows), default=None)
        case "scan_keys":
            fits = pattern_of(call.arguments[0]).fullmatch
            return sorted({name for name in (text(row[0]) for row in rows) if fits(name)})
        case "get_key" | "get_hash_field":
            return text(rows[0][0]) if rows else None
        case "get_hash":
            return {text(field): text(value) for field, value in rows}
        case "get_set_members":
            return {text(member) for (member,) in rows}
        case "get_sorted_set_by_rank" | "get_sorted_set_by_score":
            return [(text(row[0]), float(row[1])) for row in rows]
        case _:  # those that count
            return int(rows[0][0]) if rows else 0
