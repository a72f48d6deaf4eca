"""
The sample of this host that its drainer sends with the heartbeats, in the units of everything new. Knows no store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from queue_metrics import _core
from queue_metrics.model.servers import CpuUse, DiskUse, Interface, Load, MemoryUse, Pressure, Room, ServerSample
from queue_metrics.recording.unread import explained, nothing

if TYPE_CHECKING:
    from queue_metrics._core_host import _CpuCapacity, _Disk, _HostSample, _Interface, _MemoryCapacity, _Waiting


class ServerSampler:
    """
    Samples by who asks and in its thread: a drainer has a period already, and needs no second thread beside it.

    About 1 ms of CPU a sample. Makes nothing before the first one; a forked child begins anew.
    """

    def __init__(self, source: str = "auto", root: str = "/") -> None:
        """
        Args:
            source: `auto`, `proc` or `sysinfo`.
            root: where `proc` and `sys` are looked for.
        """
        self._source = source
        self._root = root
        self._sampler: _core.HostSampler | None = None

    def sample(self) -> ServerSample:
        """The server now; where nothing can be sampled, the reason and nothing else."""
        try:
            if self._sampler is None:
                self._sampler = _core.HostSampler(self._source, self._root)
            return server_sample(self._sampler.sample())
        except Exception as error:  # whatever a host does to its sampler, the heartbeats of its workers must go on
            return nothing(f"{type(error).__name__}: {error}")


def server_sample(sample: _HostSample) -> ServerSample:
    """A host's sample with ratios from 0 to 1 in place of percent."""
    load, host, capacity, pressure = sample["load_average"], sample["host"], sample["capacity"], sample["pressure"]
    disks, interfaces = sample["disks"], sample["network"]
    found = ServerSample(
        taken_at_seconds=sample["taken_at_seconds"],
        interval_seconds=sample["interval_seconds"],
        cpu=_cpu(sample),
        load=Load(load["1min"], load["5min"], load["15min"]),
        memory=_memory(sample),
        disks=None if disks is None else tuple(_disk(disk) for disk in disks),
        interfaces=None if interfaces is None else tuple(_interface(interface) for interface in interfaces),
        cpu_pressure=_pressure(pressure["cpu"]),
        memory_pressure=_pressure(pressure["memory"]),
        io_pressure=_pressure(pressure["io"]),
        cpu_room=_cores(capacity["cpu"]),
        memory_room=_bytes(capacity["memory"]),
        uptime_seconds=host["uptime_seconds"],
        kernel=host["kernel"],
        boot_id=host["boot_id"],
    )
    return explained(found, sample["unread"])


def _cpu(sample: _HostSample) -> CpuUse:
    cpu, limit = sample["cpu"], sample["capacity"]["cpu"]["limit_cores"]
    return CpuUse(
        usage_ratio=_ratio(cpu["usage_percent"]),
        user_ratio=_ratio(cpu["user_percent"]),
        system_ratio=_ratio(cpu["system_percent"]),
        idle_ratio=_ratio(cpu["idle_percent"]),
        iowait_ratio=_ratio(cpu["iowait_percent"]),
        steal_ratio=_ratio(cpu["steal_percent"]),
        cores=cpu["count"] if limit is None else limit,
        host_cores=cpu["count"],
    )


def _memory(sample: _HostSample) -> MemoryUse:
    memory, swap = sample["memory"], sample["swap"]
    return MemoryUse(
        total_bytes=memory["total_bytes"],
        available_bytes=memory["available_bytes"],
        used_bytes=memory["used_bytes"],
        usage_ratio=_ratio(memory["usage_percent"]),
        cached_bytes=memory["cached_bytes"],
        buffers_bytes=memory["buffers_bytes"],
        swap_total_bytes=swap["total_bytes"],
        swap_used_bytes=swap["used_bytes"],
    )


def _disk(disk: _Disk) -> DiskUse:
    return DiskUse(
        mountpoint=disk["mountpoint"],
        filesystem=disk["filesystem"],
        total_bytes=disk["total_bytes"],
        used_bytes=disk["used_bytes"],
        available_bytes=disk["available_bytes"],
        usage_ratio=_ratio(disk["usage_percent"]),
    )


def _interface(interface: _Interface) -> Interface:
    return Interface(
        name=interface["name"],
        bytes_sent=interface["bytes_sent"],
        bytes_received=interface["bytes_received"],
        packets_sent=interface["packets_sent"],
        packets_received=interface["packets_received"],
        errors_in=interface["errors_in"],
        errors_out=interface["errors_out"],
        drops_in=interface["drops_in"],
        drops_out=interface["drops_out"],
        bytes_sent_per_second=interface["bytes_sent_per_second"],
        bytes_received_per_second=interface["bytes_received_per_second"],
        packets_sent_per_second=interface["packets_sent_per_second"],
        packets_received_per_second=interface["packets_received_per_second"],
    )


def _pressure(waiting: _Waiting) -> Pressure:
    some, full = waiting["some"], waiting["full"]
    return Pressure(
        some_10_ratio=some["average_10_ratio"],
        some_60_ratio=some["average_60_ratio"],
        some_300_ratio=some["average_300_ratio"],
        full_10_ratio=full["average_10_ratio"],
        full_60_ratio=full["average_60_ratio"],
        full_300_ratio=full["average_300_ratio"],
    )


def _cores(room: _CpuCapacity) -> Room:
    return Room(room["source"], room["demand_cores"], room["limit_cores"], room["usage_cores"], room["headroom_cores"])


def _bytes(room: _MemoryCapacity) -> Room:
    return Room(room["source"], room["demand_bytes"], room["limit_bytes"], room["usage_bytes"], room["headroom_bytes"])


def _ratio(percent: float | None) -> float | None:
    return None if percent is None else percent / 100
