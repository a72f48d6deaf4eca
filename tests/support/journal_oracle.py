"""An independent reader and writer of the journal format, from docs/journal-format.md alone; shares no code with the package."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.xxh3 import xxh3_64

HEADER = 4096
RECORD = 64
SEALED = 1 << 63
NO_TIME = -(2**63)
NO_U64 = 2**64 - 1

_FIELDS: dict[int, tuple[str, str, tuple[str, ...]]] = {
    1: ("DEF", "<QI44s", ("id", "length", "part")),
    2: ("WORKER", "<qQIIQQQQ", ("at", "worker", "pid", "parent", "start_ticks", "pid_namespace", "boot", "identity")),
    3: ("STOP", "<qQ40x", ("at", "worker")),
    4: ("ARRIVE", "<qQQq24x", ("at", "task", "job", "ready_at")),
    5: ("START", "<qQQQqQ8x", ("at", "key", "task", "job", "ready_at", "worker")),
    6: ("END", "<qQQQIiQQ", ("at", "key", "runtime", "cpu", "rss_peak", "rss_change", "exception", "worker")),
    7: ("DISCARD", "<qQQ32x", ("at", "task", "job")),
    8: ("HINT", "<qQQQ24x", ("at", "job", "worker", "exception")),
    9: ("GAUGE", "<qQQQQQQ", ("at", "queue", "ready", "reserved", "scheduled", "running", "age")),
    10: ("PAD", "<56x", ()),
}
_HEARTBEAT = struct.Struct("<HBBIIIQQQqqqqQQQQQQQQqQQ")
_HEARTBEAT_FIELDS = (
    *("version", "state", "role", "pid", "parent", "running", "worker", "start_ticks", "pid_namespace"),
    *("process_started", "written", "job_started", "state_changed", "busy", "idle", "finished", "failed"),
    *("rss", "rss_peak", "cpu", "boot", "seen", "cpu_spent", "cpu_over"),
)
_TEXTS = ("host", "library", "connection", "queue", "task", "job_id")

KINDS = {name: kind for kind, (name, _, _) in _FIELDS.items()}
OUTCOMES = {1: "succeeded", 2: "failed", 3: "retried", 4: "timed_out", 5: "cancelled", 6: "lost"}


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), reflected, initial and final value all ones."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def label_list(kind: int, *labels: str) -> bytes:
    """The canonical bytes of a kind and its labels."""
    parts = [bytes((kind, len(labels)))]
    for label in labels:
        text = label.encode()
        parts.append(struct.pack("<I", len(text)) + text)
    return b"".join(parts)


def hash64(data: bytes) -> int:
    """BLAKE2b with eight bytes of digest, little-endian."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def job_hash(job_id: str) -> int:
    """The hash of the text of a job id."""
    return xxh3_64(job_id.encode()) or 1


@dataclass(frozen=True)
class Record:
    """One record: its slot, kind name, flags, small and the fields of its kind."""

    slot: int
    kind: str
    flags: int
    small: int
    fields: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(name) from None


def encode(segment_id: bytes, kind: str, *, flags: int = 0, small: int = 0, **fields: Any) -> bytes:
    """One record of 64 bytes."""
    number = KINDS[kind]
    _, layout, names = _FIELDS[number]
    body = struct.pack("<BBH", number, flags, small) + struct.pack(layout, *(fields[name] for name in names))
    body = body.ljust(RECORD - 4, b"\0")
    return struct.pack("<I", crc32c(segment_id + body)) + body


def encode_definition(segment_id: bytes, labels: bytes) -> list[bytes]:
    """The DEF records of a label list."""
    return [
        encode(segment_id, "DEF", small=part, id=hash64(labels), length=len(labels), part=labels[44 * part : 44 * part + 44])
        for part in range((len(labels) + 43) // 44)
    ]


def encode_header(
    segment_id: bytes,
    *,
    boot_id: bytes = bytes(16),
    created: int = 0,
    pid: int = 0,
    start_ticks: int = 0,
    way: int = 0,
    capacity: int = 1023,
    version: int = 1,
    pid_namespace: int = 0,
    created_monotonic: int = 0,
) -> bytes:
    """A header page."""
    head = struct.pack(
        "<8sII16s16sqQQIIIIQQ",
        b"QMSEGMNT",
        version,
        0x0A0B0C0D,
        segment_id,
        boot_id,
        created,
        created_monotonic,
        start_ticks,
        pid,
        RECORD,
        HEADER,
        way,
        capacity,
        pid_namespace,
    ).ljust(124, b"\0")
    return (head + struct.pack("<I", crc32c(head))).ljust(HEADER, b"\0")


def decode(segment_id: bytes, slot: int, data: bytes) -> Record | None:
    """The record in these 64 bytes, or None when it is empty, a tombstone, damaged or of an unknown kind."""
    checksum, kind, flags, small = struct.unpack_from("<IBBH", data)
    if kind not in _FIELDS or checksum != crc32c(segment_id + data[4:RECORD]):
        return None
    name, layout, names = _FIELDS[kind]
    return Record(slot, name, flags, small, dict(zip(names, struct.unpack_from(layout, data, 8), strict=True)))


def read_segment(path: Path) -> Iterator[Record]:
    """All readable records of a segment file up to its end (write) or tail (map), in order of their slots."""
    data = path.read_bytes()
    if data[:8] != b"QMSEGMNT" or struct.unpack_from("<I", data, 124)[0] != crc32c(data[:124]):
        return
    segment_id = data[16:32]
    for slot in range(_extent(data)):
        record = decode(segment_id, slot, data[HEADER + RECORD * slot : HEADER + RECORD * (slot + 1)])
        if record is not None:
            yield record


def reserved(path: Path) -> int:
    """Slots of a segment file that hold something, or may soon: all (write), or those below the tail (map)."""
    return _extent(path.read_bytes())


def _extent(data: bytes) -> int:
    slots = (len(data) - HEADER) // RECORD
    way, capacity = struct.unpack_from("<IQ", data, 84)
    tail = struct.unpack_from("<Q", data, 128)[0] & ~SEALED
    return min(slots, capacity, tail) if way == 1 else slots


def labels_of(parts: list[Record]) -> tuple[int, list[str]]:
    """Kind of series and labels of a definition, from its DEF records in any order."""
    length = parts[0].length
    pieces = {part.small: part.part for part in parts}
    whole = b"".join(pieces[number] for number in range((length + 43) // 44))[:length]
    assert hash64(whole) == parts[0].id, "the parts are not those of their id"
    return whole[0], labels(whole)


def labels(data: bytes) -> list[str]:
    """The labels of a label list."""
    found, at = [], 2
    for _ in range(data[1]):
        (size,) = struct.unpack_from("<I", data, at)
        found.append(data[at + 4 : at + 4 + size].decode())
        at += 4 + size
    assert at == len(data)
    return found


def read_page(page: bytes) -> tuple[dict[str, Any], tuple[int, ...]]:
    """The heartbeat and the counters of a worker page that nobody is writing."""
    magic, version, length, sequence = struct.unpack_from("<8sIIQ", page)
    assert (magic, version, sequence % 2, len(page)) == (b"QMWORKER", 1, 0, 4096)
    heartbeat: dict[str, Any] = dict(zip(_HEARTBEAT_FIELDS, _HEARTBEAT.unpack_from(page, 64), strict=True))
    at = 64 + _HEARTBEAT.size
    for name in _TEXTS:
        (size,) = struct.unpack_from("<H", page, at)
        heartbeat[name] = page[at + 2 : at + 2 + size].decode()
        at += 2 + size
    assert at == 64 + length
    return heartbeat, struct.unpack_from("<16Q", page, 3584)


def read_spool(spool: Path) -> list[Record]:
    """The records of every segment of a spool."""
    return [record for path in sorted(spool.glob("*.seg")) for record in read_segment(path)]
