"""
A server's sample as it is stored: the heartbeat of each host, and its minutes.

The heartbeat travels with those of workers, under `server:<hostname>`: it expires like them, and no driver needs to know of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeVar

from queue_metrics.config import TimeToLive
from queue_metrics.model.servers import PARTS, DiskUse, Interface, Sampled, ServerSample
from queue_metrics.storage.base import Beat
from queue_metrics.storage.general import Call, GeneralOperations

SERVER_PREFIX = "server:"
BEAT_BYTES = 8192
"""No heartbeat of a server is longer."""
_WEEK = TimeToLive().servers
_VERSION = 1
_OPENING = b"{"
# Disks, interfaces, and reasons of each part that are told; the first that keep within BEAT_BYTES, the last always do.
_CAPS = ((16, 12, 16), (8, 6, 4), (4, 3, 2), (1, 1, 1), (0, 0, 0))
_LONGEST_TEXT = 120
_Part = TypeVar("_Part", bound=Sampled)


@dataclass(frozen=True, slots=True)
class ServerReport:
    """The last sample of a server, and its age."""

    hostname: str
    age: float
    """Seconds since it was told, by the store's clock."""
    sample: ServerSample


def is_server(worker_id: str, payload: bytes) -> bool:
    """Whether a heartbeat is that of a server; a worker of a host that is called `server` has another payload."""
    return worker_id.startswith(SERVER_PREFIX) and payload.startswith(_OPENING)


def server_beat(hostname: str, sample: ServerSample) -> tuple[str, bytes]:
    """What to hand to `heartbeat_many` for a server; where there is too much, the emptier disks and quieter interfaces are left out."""
    packed = b""
    for disks, interfaces, reasons in _CAPS:
        packed = _packed(_cut(sample, disks, interfaces, reasons))
        if len(packed) <= BEAT_BYTES:
            break
    return SERVER_PREFIX + hostname, packed


def server_reports(beats: Iterable[Beat]) -> list[ServerReport]:
    """The samples among heartbeats; those of newer versions and damaged ones are left out."""
    reports = []
    for beat in beats:
        if is_server(beat.worker_id, beat.payload):
            sample = _decoded(beat.payload)
            if sample is not None:
                reports.append(ServerReport(beat.worker_id.removeprefix(SERVER_PREFIX), beat.age, sample))
    return reports


def _cut(sample: ServerSample, disks: int, interfaces: int, reasons: int) -> ServerSample:
    fullest = sorted(sample.disks or (), key=lambda disk: -(disk.usage_ratio or 0.0))
    busiest = sorted(sample.interfaces or (), key=lambda interface: -((interface.bytes_sent or 0) + (interface.bytes_received or 0)))

    def told(part: _Part) -> _Part:
        if len(part.unread) <= reasons:
            return part
        # What stands under the empty name is not true of a field whose own reason is left out.
        named = [(name, reason) for name, reason in part.unread.items() if name]
        return replace(part, unread=dict(named[:reasons]))

    parts: dict[str, Any] = {name: told(getattr(sample, name)) for name in PARTS}
    return replace(
        told(sample),
        **parts,
        disks=None if sample.disks is None else tuple(map(told, fullest[:disks])),
        disks_left_out=sample.disks_left_out + len(fullest[disks:]),
        interfaces=None if sample.interfaces is None else tuple(map(told, busiest[:interfaces])),
        interfaces_left_out=sample.interfaces_left_out + len(busiest[interfaces:]),
    )


def _packed(sample: ServerSample) -> bytes:
    return json.dumps(_short({"v": _VERSION, **asdict(sample)}), separators=(",", ":")).encode()


def _short(value: Any) -> Any:
    """Without what is unknown or empty, with texts cut: a path may be 4 KiB long."""
    if isinstance(value, dict):
        return {_short(name): _short(each) for name, each in value.items() if each is not None and each != {}}
    if isinstance(value, (list, tuple)):
        return [_short(each) for each in value]
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return value[: _LONGEST_TEXT - 1] + "…"
    return round(value, 6) if isinstance(value, float) else value


def _decoded(payload: bytes) -> ServerSample | None:
    try:
        told = json.loads(payload)
        if told["v"] != _VERSION:
            return None
        parts: dict[str, Any] = {name: _part(kind, told.get(name, {})) for name, kind in PARTS.items()}
        for name, kind in (("disks", DiskUse), ("interfaces", Interface)):
            parts[name] = None if told.get(name) is None else tuple(_part(kind, each) for each in told[name])
        return _part(ServerSample, {**told, **parts})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _part(kind: type[_Part], told: Mapping[str, Any]) -> _Part:
    unread = {str(name): str(reason) for name, reason in told.get("unread", {}).items()}
    return kind(**{**{name: told[name] for name in _names(kind) if name in told}, "unread": unread})


def _names(kind: type) -> list[str]:
    return [each.name for each in fields(kind)]


@dataclass(frozen=True, slots=True)
class ServerMinute:
    """What is kept of a server each minute; ratios 0-1, None where it was unknown."""

    minute: int
    """Its start, seconds since 1970."""
    cpu_ratio: float | None
    memory_ratio: float | None
    """Of the limit where there is one, as health takes them."""
    disk_ratio: float | None
    """Of the fullest disk."""
    load: float | None
    """Over one minute."""
    cores: int | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None


_HOSTS_KEY = "servers_with_minutes"


def minutes_key(hostname: str) -> str:
    """The sorted set of a server's minutes."""
    return f"server_minutes:{hostname}"


def server_minute(minute: int, sample: ServerSample) -> ServerMinute:
    """What is kept of a sample."""
    return ServerMinute(
        minute=minute,
        cpu_ratio=sample.cpu_ratio,
        memory_ratio=sample.memory_ratio,
        disk_ratio=max((disk.usage_ratio for disk in sample.disks or () if disk.usage_ratio is not None), default=None),
        load=sample.load.over_1_minute,
        cores=sample.cpu.host_cores,
        memory_used_bytes=sample.memory.used_bytes,
        memory_total_bytes=sample.memory.total_bytes,
    )


def add_server_minute(store: GeneralOperations, hostname: str, row: ServerMinute, kept: int = _WEEK) -> None:
    """Put a minute in place of the same one, and let go of what is older than `kept` seconds; five operations, best in a pipeline."""
    key = minutes_key(hostname)
    store.trim_sorted_set_by_score(key, row.minute, row.minute)
    store.add_to_sorted_set(key, {json.dumps(_short(asdict(row)), separators=(",", ":")): row.minute}, ttl=kept)
    store.add_to_sorted_set(_HOSTS_KEY, {hostname: row.minute}, ttl=kept)
    for each in (key, _HOSTS_KEY):
        store.trim_sorted_set_by_score(each, 0, row.minute - kept)


def reading_minutes(hostname: str, start: float, end: float) -> Call:
    """The call whose answer, for `server_minutes`, holds the minutes of a server that begin from `start` on and before `end`."""
    return Call("get_sorted_set_by_score", (minutes_key(hostname), float(start), float(end - 1), False, 0, None))


def counting_minutes(hostname: str) -> Call:
    """The call whose answer is how many minutes of a server are kept."""
    return Call("count_sorted_set", (minutes_key(hostname),))


READ_HOSTS = Call("get_sorted_set_by_rank", (_HOSTS_KEY, 0, -1, False))
"""The call whose answer are the names of the servers of which minutes are kept, each with the last of them."""


def server_minutes(members: Iterable[tuple[str, float]]) -> list[ServerMinute]:
    """Minutes out of the answer of `get_sorted_set_by_score`, in its order; damaged ones are left out."""
    rows = []
    for member, _ in members:
        try:
            told = json.loads(member)
            rows.append(ServerMinute(**{name: told[name] if name == "minute" else told.get(name) for name in _names(ServerMinute)}))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return rows
