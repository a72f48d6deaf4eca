"""A heartbeat as JSON of 20 fields, from its bytes, beside the encoders that are given the same fields as a dict."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from benches import callgrind
from benches.measure import Case, calls, times
from benches.rows import Row, at_most

TEXTS = (
    "worker-7.example.internal",
    "celery",
    "redis-main",
    "mail",
    "shop.orders.tasks.send_confirmation",
    "6f1a7c1e-0000-4000-8000-000000000000",
)


def heartbeat() -> bytes:
    """Of a worker of a day, in the middle of a job (docs/journal-format.md, 5.1)."""
    now, began = 1_767_323_045_678_901, 1_767_323_043_333_223
    numbers = struct.pack("<HBB3I3Q", 1, 3, 2, 29_082, 29_001, 1, 1, 412_628_117, 4_026_531_836)
    moments = struct.pack("<4q4Q", now - 86_400_000_000, began, began, began, 40_123_456_789, 46_276_543_211, 48_211, 17)
    usage = struct.pack("<4Qq2Q", 87_654_400, 92_274_688, 15_345_678_901, 1, now, 3_456_789, 5_000_123)
    texts = b"".join(struct.pack("<H", len(text)) + text.encode() for text in TEXTS)
    return numbers + moments + usage + texts


@contextmanager
def cases() -> Iterator[list[Case]]:
    """Every encoder is given what it needs beforehand."""
    import orjson

    from queue_metrics import _core

    beat = heartbeat()
    text = _core.heartbeat_json(beat)
    fields = json.loads(text)
    if len(fields) != 20 or None in fields.values() or orjson.loads(orjson.dumps(fields)) != fields:
        raise RuntimeError(f"not the 20 known fields that this bench is about: {fields}")
    yield [
        Case("ours", calls(_core.heartbeat_json, beat)),
        Case("orjson", calls(orjson.dumps, fields)),
        Case("json", calls(json.dumps, fields)),
        Case("decoded", calls(_core.decode_heartbeat, beat)),
        Case("copy", calls(bytes, memoryview(text))),
    ]


def rows() -> list[Row]:
    """CPU time a heartbeat."""
    found = times(cases)
    return [
        found.at_most("heartbeat of 20 fields as JSON / orjson on the same dict", "ours", "orjson", 0.5),
        found.beside("heartbeat of 20 fields as JSON / json on the same dict", "ours", "json"),
        found.beside("heartbeat of 20 fields as JSON / limit: copy of its bytes, from Python", "ours", "copy"),
    ]


def counts() -> list[Row]:
    """User instructions a heartbeat."""
    here, there = (callgrind.instructions(cases, name) for name in ("ours", "orjson"))
    decoded = callgrind.instructions(cases, "decoded")
    return [
        at_most("heartbeat of 20 fields as JSON, instructions / orjson", here, there, "instructions", 0.5, exact=True),
        Row("heartbeat decoded to a dict of all fields, instructions", decoded, None, "instructions"),
    ]
