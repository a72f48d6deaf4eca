"""A server, which is a machine or a container: what was sampled of it, how healthy that is, and what its workers do together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from queue_metrics.model.health import Reason
from queue_metrics.model.measures import Share, Window
from queue_metrics.model.workers import WorkerSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A sample, or a part of one. What is None is unknown."""

    unread: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Why, by name of the field; under the empty name why everything else is that is."""


@dataclass(frozen=True, slots=True)
class CpuUse(Sampled):
    """Shares of the CPU between two samples, 0-1 of all cores of the machine; None in the first sample."""

    usage_ratio: float | None = None
    """All but idle and waiting for disks."""
    user_ratio: float | None = None
    system_ratio: float | None = None
    idle_ratio: float | None = None
    iowait_ratio: float | None = None
    steal_ratio: float | None = None
    cores: float | None = None
    """What may be used: the quota of a container, which may be a part of a core, else the cores online."""
    host_cores: int | None = None
    """Cores online in the machine."""


@dataclass(frozen=True, slots=True)
class Load(Sampled):
    """Tasks of the machine that run, could, or wait for a disk: the kernel's averages over 1, 5 and 15 minutes."""

    over_1_minute: float | None = None
    over_5_minutes: float | None = None
    over_15_minutes: float | None = None


@dataclass(frozen=True, slots=True)
class MemoryUse(Sampled):
    """Memory of the machine, bytes."""

    total_bytes: int | None = None
    available_bytes: int | None = None
    """What can be taken without swapping."""
    used_bytes: int | None = None
    """All but what is available."""
    usage_ratio: float | None = None
    cached_bytes: int | None = None
    buffers_bytes: int | None = None
    swap_total_bytes: int | None = None
    swap_used_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class DiskUse(Sampled):
    """A file system."""

    mountpoint: str
    filesystem: str
    total_bytes: int | None = None
    used_bytes: int | None = None
    available_bytes: int | None = None
    """What a user may still write, which is less than what is free where some is kept for root."""
    usage_ratio: float | None = None
    """used / (used + available), as df says it."""


@dataclass(frozen=True, slots=True)
class Interface(Sampled):
    """A network interface: counters since it came up, and their rates between two samples; None in the first."""

    name: str
    bytes_sent: int | None = None
    bytes_received: int | None = None
    packets_sent: int | None = None
    packets_received: int | None = None
    errors_in: int | None = None
    errors_out: int | None = None
    drops_in: int | None = None
    drops_out: int | None = None
    bytes_sent_per_second: float | None = None
    bytes_received_per_second: float | None = None
    packets_sent_per_second: float | None = None
    packets_received_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Pressure(Sampled):
    """Share of the last 10, 60 and 300 seconds in which some, or all, tasks waited for a resource: the kernel's pressure stalls, 0-1."""

    some_10_ratio: float | None = None
    some_60_ratio: float | None = None
    some_300_ratio: float | None = None
    full_10_ratio: float | None = None
    full_60_ratio: float | None = None
    full_300_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Room(Sampled):
    """Four numbers of one resource, of CPU in cores and of memory in bytes, none computed from another."""

    source: str | None = None
    """Whose usage it is: host, cgroup_v1 or cgroup_v2."""
    demand: float | None = None
    """What would be used if nothing held it back; at least this much."""
    limit: float | None = None
    usage: float | None = None
    headroom: float | None = None
    """What could be used beyond that, as the tightest limit leaves it."""


@dataclass(frozen=True, slots=True)
class ServerSample(Sampled):
    """A server at one moment."""

    taken_at_seconds: float | None = None
    """Seconds since 1970, by the clock of the server."""
    interval_seconds: float | None = None
    """Time since the sample before, over which shares and rates are; None in the first."""
    cpu: CpuUse = CpuUse()
    load: Load = Load()
    memory: MemoryUse = MemoryUse()
    disks: tuple[DiskUse, ...] | None = None
    """Fullest first."""
    disks_left_out: int = 0
    interfaces: tuple[Interface, ...] | None = None
    """Most bytes first."""
    interfaces_left_out: int = 0
    """How many disks and interfaces found no room in the heartbeat: those that are less full, or carry less."""
    cpu_pressure: Pressure = Pressure()
    memory_pressure: Pressure = Pressure()
    io_pressure: Pressure = Pressure()
    cpu_room: Room = Room()
    memory_room: Room = Room()
    uptime_seconds: float | None = None
    kernel: str | None = None
    boot_id: str | None = None

    @property
    def cpu_ratio(self) -> float | None:
        """CPU in use, 0-1: of the container's limit where that is less than the machine, else of the machine."""
        return _of_limit(self.cpu_room, self.cpu.host_cores, self.cpu.usage_ratio)

    @property
    def memory_ratio(self) -> float | None:
        """Memory in use, 0-1: of the container's limit where that is less than the machine's, else of the machine."""
        return _of_limit(self.memory_room, self.memory.total_bytes, self.memory.usage_ratio)

    @property
    def memory_bytes(self) -> tuple[float | None, float | None]:
        """Memory in use and the most that can be, bytes, of which `memory_ratio` is made: of the container where it has the limit."""
        room = self.memory_room
        of_container = limited(room, self.memory.total_bytes)
        return (room.usage, room.limit) if of_container else (self.memory.used_bytes, self.memory.total_bytes)

    @property
    def load_per_core(self) -> float | None:
        """Load over one minute by cores online. Both are the machine's: in a container, too, the load is that of all its tasks."""
        load, cores = self.load.over_1_minute, self.cpu.host_cores
        return None if load is None or not cores else load / cores


PARTS: Mapping[str, type[Sampled]] = MappingProxyType(
    {
        "cpu": CpuUse,
        "load": Load,
        "memory": MemoryUse,
        "cpu_pressure": Pressure,
        "memory_pressure": Pressure,
        "io_pressure": Pressure,
        "cpu_room": Room,
        "memory_room": Room,
    }
)
"""What each sample has one of, by its field."""


def limited(room: Room, whole: float | None) -> bool:
    """Whether a container may use less of something than the machine has."""
    return room.source not in (None, "host") and room.limit is not None and (whole is None or room.limit < whole)


def _of_limit(room: Room, whole: float | None, ratio: float | None) -> float | None:
    if not limited(room, whole):
        return ratio
    return room.usage / room.limit if room.usage is not None and room.limit else None


class ServerStatus(StrEnum):
    """What the score of a server comes to."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ServerHealth:
    """How a server is, by the original's score."""

    status: ServerStatus
    score: int
    """100 less the points of the issues, at least 0; 0 when the status is unknown, as in the original."""
    issues: tuple[Reason, ...]
    """Most points first; each text is a line for people."""


@dataclass(frozen=True, slots=True)
class ServerJobs:
    """Executions on a server: ever, and in the window."""

    processed: int
    """Ever ended, with any outcome."""
    failure: Share
    """Failures among those that were decided, ever."""
    window_processed: int
    per_second: float | None
    """Executions ended per second of observed window."""
    runtime_mean_seconds: float | None
    """Mean runtime in the window; None: nothing was measured."""


@dataclass(frozen=True, slots=True)
class ServerProcesses:
    """Memory and CPU of the live workers of a server, as far as they could be read."""

    read: int
    """Workers whose memory is known: of these are the sum and the mean."""
    rss_mean_bytes: float | None
    rss_total_bytes: int | None
    """Resident memory; pages that workers share count for each."""
    rss_peak_bytes: int | None
    """The highest that one of them ever had."""
    cpu_read: int
    """Workers whose share of CPU is known, which takes two readings."""
    cpu_mean_ratio: float | None
    """The mean of these; 1 is one core."""


class Advice(StrEnum):
    """What the busy share of the workers advises."""

    ADD = "add"
    KEEP = "keep"
    REDUCE = "reduce"


@dataclass(frozen=True, slots=True)
class Capacity:
    """Whether a server has the right number of workers."""

    advice: Advice
    text: str
    """One sentence for people."""
    busy_ratio: float
    """What it rests on, 0-1: the busy share in the window where that is known, else now."""


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """A server: its last sample, its health, and its workers rolled up."""

    hostname: str
    window: Window
    sample: ServerSample | None
    """None: nobody there reports one, and only its workers are known."""
    age_seconds: float | None
    """How long ago the sample arrived in the store, by the store's clock."""
    health: ServerHealth
    workers: WorkerSummary
    jobs: ServerJobs | None
    """None: nothing was counted for this server, as by older versions of this package."""
    processes: ServerProcesses
    capacity: Capacity | None
    """None: no worker is live here."""
