"""Why fields of a server's sample are unknown: what the sampler says of its own fields, told of those that are sent. Knows no host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from queue_metrics.model.servers import PARTS, Interface, Room, Sampled, ServerSample

_INTERVAL = "interval_seconds"
"""Where the reason stands for shares and rates, which a first sample lacks."""
_Part = TypeVar("_Part", bound=Sampled)
_Paths = Mapping[str, tuple[str, ...]]
"""By field where the sampler may say why it is None, the first that says anything holds; behind the place of its part."""


def _alike(names: str, path: str = "{}") -> _Paths:
    return MappingProxyType({name: (path.format(name),) for name in names.split()})


_CPU: _Paths = MappingProxyType(
    {
        **{f"{name}_ratio": (f"cpu.{name}_percent",) for name in ("usage", "user", "system", "idle", "iowait", "steal")},
        **dict.fromkeys(("cores", "host_cores"), ("cpu.count",)),
    }
)
_LOAD: _Paths = MappingProxyType(
    {
        "over_1_minute": ("load_average.1min",),
        "over_5_minutes": ("load_average.5min",),
        "over_15_minutes": ("load_average.15min",),
    }
)
_MEMORY: _Paths = MappingProxyType(
    {
        **_alike("total_bytes available_bytes used_bytes cached_bytes buffers_bytes", "memory.{}"),
        "usage_ratio": ("memory.usage_percent",),
        "swap_total_bytes": ("swap.total_bytes",),
        "swap_used_bytes": ("swap.used_bytes",),
    }
)
_DISK: _Paths = MappingProxyType({**_alike("total_bytes used_bytes available_bytes"), "usage_ratio": ("usage_percent",)})
_INTERFACE = _alike(" ".join(name for name in Interface.__dataclass_fields__ if name not in ("name", "unread")))
_PRESSURE: _Paths = MappingProxyType(
    {f"{who}_{seconds}_ratio": (f"{who}.average_{seconds}_ratio",) for who in ("some", "full") for seconds in (10, 60, 300)}
)
_FOUR = ("demand", "limit", "usage", "headroom")
# The machine's own room is made of its CPU and memory: they say more of it than it says itself.
_CPU_ROOM: _Paths = MappingProxyType(
    {name: ("cpu.count" if name == "limit" else "cpu.usage_percent", f"capacity.cpu.{name}_cores") for name in _FOUR}
)
_MEMORY_ROOM: _Paths = MappingProxyType(
    {name: ("memory.total_bytes" if name == "limit" else "memory.used_bytes", f"capacity.memory.{name}_bytes") for name in _FOUR}
)
_SAMPLE: _Paths = MappingProxyType(
    {
        **_alike("interval_seconds disks"),
        **_alike("uptime_seconds kernel boot_id", "host.{}"),
        "interfaces": ("network",),
    }
)


def explained(sample: ServerSample, said: Mapping[str, str]) -> ServerSample:
    """
    A sample whose parts say why something of them is None.

    Args:
        sample: without reasons.
        said: `unread` of the sampler: by path, of a field or of a group that it is in.
    """

    def of(part: _Part, paths: _Paths, place: str = "") -> _Part:
        return replace(part, unread=_reasons(part, paths, place, said))

    def room(part: Room, paths: _Paths) -> Room:
        return of(part, paths if part.source == "host" else {name: places[-1:] for name, places in paths.items()})

    disks, interfaces = sample.disks, sample.interfaces
    return replace(
        sample,
        cpu=of(sample.cpu, _CPU),
        load=of(sample.load, _LOAD),
        memory=of(sample.memory, _MEMORY),
        disks=None if disks is None else tuple(of(disk, _DISK, f"disks[{disk.mountpoint}].") for disk in disks),
        interfaces=None if interfaces is None else tuple(of(each, _INTERFACE, f"network[{each.name}].") for each in interfaces),
        cpu_pressure=of(sample.cpu_pressure, _PRESSURE, "pressure.cpu."),
        memory_pressure=of(sample.memory_pressure, _PRESSURE, "pressure.memory."),
        io_pressure=of(sample.io_pressure, _PRESSURE, "pressure.io."),
        cpu_room=room(sample.cpu_room, _CPU_ROOM),
        memory_room=room(sample.memory_room, _MEMORY_ROOM),
        unread=_reasons(sample, _SAMPLE, "", said),
    )


def nothing(reason: str) -> ServerSample:
    """A sample of which all is unknown, for one reason."""
    why = {"": reason}
    parts: dict[str, Any] = {name: kind(unread=why) for name, kind in PARTS.items()}
    return ServerSample(unread=why, **parts)


def _reasons(part: Sampled, paths: _Paths, place: str, said: Mapping[str, str]) -> dict[str, str]:
    """What is said of the fields that are None: most of them have one reason, which stands once, under the empty name."""
    found = {}
    for field, places in paths.items():
        if getattr(part, field) is None:
            reason = _reason((place + each for each in places), said)
            if reason is not None:
                found[field] = reason
    if not found:
        return {}
    ((most, _),) = Counter(found.values()).most_common(1)
    return {"": most, **{field: reason for field, reason in found.items() if reason != most}}


def _reason(paths: Iterable[str], said: Mapping[str, str]) -> str | None:
    return next((said[each] for path in paths for each in _upwards(path) if each in said), said.get(_INTERVAL))


def _upwards(path: str) -> Iterator[str]:
    """A path, and the groups that it is in, the nearest first; since a name may have dots and brackets of its own, some are none."""
    yield path
    yield from (path[:at] for at in range(len(path) - 1, 0, -1) if path[at] in ".[")
