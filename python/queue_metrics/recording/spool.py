"""
A look at a spool from outside: what waits, what is reported. Takes no lock and changes nothing but its own report files.

Only what docs/journal-format.md and docs/stored-values.md promise is read here: sizes of segments, kinds of records, counters of worker
pages, and the positions of a mark.
"""

from __future__ import annotations

import json
import os
import stat
import struct
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

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
    with suppress(OSError):
        for entry in os.scandir(spool):
            if entry.name.endswith(".seg") and len(entry.name) == 36:
                with suppress(OSError, ValueError):
                    segments[bytes.fromhex(entry.name[:32])] = _records(entry.path)
    return segments


def _open(path: str | Path) -> BinaryIO:
    """A file of a spool; OSError where a link, a FIFO or a file of another user than the spool's was put in its place."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.stat(os.path.dirname(path)).st_uid:
        os.close(descriptor)
        raise PermissionError(f"{path} is no file of the spool's user")
    return open(descriptor, "rb")


def _records(path: str) -> int:
    with _open(path) as file:
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
    for path in _sorted_glob(spool, "*.wrk"):
        with suppress(OSError, struct.error):
            with _open(path) as file:
                page = file.read(_COUNTERS_AT + _COUNTERS.size)
            if _PAGE_BEGIN.unpack_from(page) == (b"QMWORKER", 1):
                sums = [one + other for one, other in zip(sums, _COUNTERS.unpack_from(page, _COUNTERS_AT), strict=True)]
    return Pages(+Counter(dict(zip(_DROP_REASONS, sums, strict=False))), sums[_HOOK_ERRORS])


def _boot_id() -> bytes:
    """The boot id of the kernel; zeros when it is not told."""
    try:
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def way(spool: Path) -> str | None:
    """How the newest segment is appended to, `write` or `map`; None when there is none."""
    newest: tuple[float, str] | None = None
    with suppress(OSError):
        for entry in os.scandir(spool):
            if entry.name.endswith(".seg"):
                newest = max(newest or (0.0, ""), (entry.stat(follow_symlinks=False).st_mtime, entry.path))
    if newest is None:
        return None
    try:
        with _open(newest[1]) as file:
            header = file.read(88)
            return {0: "write", 1: "map"}.get(int.from_bytes(header[84:], "little"), "unknown") if header[:8] == _MAGIC else None
    except OSError:
        return None


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
        with _open(spool / "spool.id") as file:
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
    path = spool / f"report-{name}.json"
    partial = spool / f".report-{name}.{os.getpid()}.tmp"
    with suppress(OSError, ValueError):
        partial.unlink(missing_ok=True)  # of a process that had this pid before, or when the disk was full
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(report, file)
        os.replace(partial, path)


def read_reports(spool: Path) -> dict[str, dict[str, Any]]:
    """The reports of processes by name; unreadable ones left out."""
    reports = {}
    for path in _sorted_glob(spool, "report-*.json"):
        with suppress(OSError, ValueError):
            with _open(path) as file:
                report = json.loads(file.read().decode("utf-8"))
            if isinstance(report, dict):
                reports[path.stem.removeprefix("report-")] = report
    return reports


def _sorted_glob(directory: Path, pattern: str) -> Iterable[Path]:
    try:
        return sorted(directory.glob(pattern))
    except OSError:
        return ()
