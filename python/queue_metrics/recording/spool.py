"""
A look at a spool from outside: what waits, what is reported. Takes no lock and changes nothing but its own report files.

Only what docs/journal-format.md and docs/stored-values.md promise is read here: sizes of segments, kinds of records, counters of worker
pages, and the positions of a mark.
"""

from __future__ import annotations

import json
import os
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from queue_metrics.recording.directory import Directory

_MAGIC = b"QMSEGMNT"
_HEADER, _RECORD, _POSITION = 4096, 64, 24
_SEALED = 1 << 63
_CHUNK = 64 * 1024
_COUNTED = frozenset((4, 5, 6, 7, 9))  # ARRIVE, START, END, DISCARD, GAUGE
_DROP_REASONS = ("disk_full", "spool_full", "not_writable", "io_error", "overflow", "too_many_names")
_PAGE_BEGIN = struct.Struct("<8sI")  # magic, version
_COUNTERS, _COUNTERS_AT, _HOOK_ERRORS = struct.Struct("<16Q"), 3584, 15


def written(spool: Path) -> dict[bytes, int]:
    """
    Records in each segment up to the last that counts something, by the segment's id.

    What comes behind it, such as the STOP of a worker that left, moves no number and so no mark: it waits for nothing.
    """
    segments = {}
    with suppress(OSError), Directory(spool) as directory:
        for name in directory.names():
            if name.endswith(".seg") and len(name) == 36:
                with suppress(OSError, ValueError):
                    segments[bytes.fromhex(name[:32])] = _records(directory, name)
    return segments


def _records(directory: Directory, name: str) -> int:
    with directory.read(name) as file:
        header = file.read(136)
        if header[:8] != _MAGIC:
            return 0
        records = max(0, os.fstat(file.fileno()).st_size - _HEADER) // _RECORD
        mapped = int.from_bytes(header[84:88], "little") == 1  # the file is as large as it will ever be
        if mapped and header[32:48] == _boot_id():  # else the machine went down, and the tail may be older than the records
            records = min(records, int.from_bytes(header[128:136], "little") & ~_SEALED)
        while records:
            first = max(0, records - _CHUNK // _RECORD)
            file.seek(_HEADER + first * _RECORD)
            kinds = file.read((records - first) * _RECORD)[4::_RECORD]
            last = next((at for at in range(len(kinds) - 1, -1, -1) if kinds[at] in _COUNTED), None)
            if last is not None:
                return first + last + 1
            records = first
    return 0


@dataclass(frozen=True, slots=True)
class Pages:
    """What the worker pages in a spool count together."""

    drops: Counter[str]
    """Dropped records, by reason."""
    hook_errors: int


def pages(spool: Path) -> Pages:
    """
    The sums over all worker pages; those that cannot be read, or are of a newer version, are left out.

    They are in memory that lasts beyond the process, so they are right on a full disk too, to which no report file can be written.
    """
    sums = [0] * 16
    with suppress(OSError), Directory(spool) as directory:
        for name in directory.names():
            if name.endswith(".wrk"):
                with suppress(OSError, struct.error):
                    sums = [one + other for one, other in zip(sums, _counters(directory, name), strict=True)]
    return Pages(+Counter(dict(zip(_DROP_REASONS, sums, strict=False))), sums[_HOOK_ERRORS])


def _counters(directory: Directory, name: str) -> tuple[int, ...]:
    with directory.read(name) as file:
        page = file.read(_COUNTERS_AT + _COUNTERS.size)
    is_known = _PAGE_BEGIN.unpack_from(page) == (b"QMWORKER", 1)
    return _COUNTERS.unpack_from(page, _COUNTERS_AT) if is_known else (0,) * 16


def _boot_id() -> bytes:
    """The boot id of the kernel; zeros when it is not told."""
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def way(spool: Path) -> str | None:
    """How the newest segment is appended to, `write` or `map`; None when there is none."""
    try:
        with Directory(spool) as directory:
            newest = max((directory.stat(name).st_mtime, name) for name in directory.names() if name.endswith(".seg"))
            with directory.read(newest[1]) as file:
                header = file.read(88)
    except (OSError, ValueError):  # no spool, no segment in it, or one that went in between
        return None
    return {0: "write", 1: "map"}.get(int.from_bytes(header[84:], "little"), "unknown") if header[:8] == _MAGIC else None


def counted(positions: bytes) -> dict[bytes, int]:
    """Records that a mark has taken from each segment, by its id."""
    return {
        positions[at : at + 16]: int.from_bytes(positions[at + 16 : at + _POSITION], "little")
        for at in range(0, len(positions) - _POSITION + 1, _POSITION)
    }


def waiting(segments: dict[bytes, int], positions: bytes) -> int:
    """How many of the records in `segments` a mark has not taken."""
    done = counted(positions)
    return sum(max(0, records - done.get(segment, 0)) for segment, records in segments.items())


def spool_id(spool: Path) -> str | None:
    """The id of a spool in marks; None when there is no spool."""
    try:
        with Directory(spool) as directory, directory.read("spool.id") as file:
            return file.read(64).decode("ascii").strip() or None
    except (OSError, ValueError):
        return None


def spools(directory: Path, suffix: str = "") -> list[Path]:
    """The spools in a state directory whose names end with `suffix`, in order of names."""
    try:
        found = [Path(entry.path) for entry in os.scandir(directory) if entry.name.endswith(suffix) and entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return sorted(path for path in found if spool_id(path) is not None)


def free_bytes(spool: Path) -> int | None:
    """What this user may still write where the spool is, or will be; None when the system does not say."""
    for directory in (spool, *spool.parents):
        try:
            found = os.statvfs(directory)
        except OSError:
            continue
        return found.f_bavail * found.f_frsize
    return None


def write_report(spool: Path, name: str, report: dict[str, Any]) -> None:
    """Leave what a process knows of itself for `doctor`: one file a name, the newest wins. Never raises, never makes the spool."""
    partial = f".report-{name}.{os.getpid()}.tmp"
    with suppress(OSError, ValueError), Directory(spool) as directory:
        with suppress(FileNotFoundError):
            directory.unlink(partial)  # of a process that had this pid before, or when the disk was full
        with open(directory.create(partial, os.O_WRONLY | os.O_EXCL), "w", encoding="utf-8") as file:
            json.dump(report, file)
        directory.rename(partial, f"report-{name}.json")


def read_reports(spool: Path) -> dict[str, dict[str, Any]]:
    """The reports of processes by name; unreadable ones left out."""
    reports = {}
    with suppress(OSError), Directory(spool) as directory:
        for name in directory.names():
            if name.startswith("report-") and name.endswith(".json"):
                with suppress(OSError, ValueError):
                    with directory.read(name) as file:
                        report = json.loads(file.read().decode("utf-8"))
                    if isinstance(report, dict):
                        reports[name.removeprefix("report-").removesuffix(".json")] = report
    return reports
