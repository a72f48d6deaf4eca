"""
The part of `queue_metrics._core` that samples the host; types only, a file of its own for its length.

At run time there is no such module. A field that is None is unknown, and `unread` has the reason under its path (`swap.usage_percent`) or
that of a group it is in (`disks[/srv]`). Where `interval_seconds` is None there are no rates and no shares of the CPU. docs/measured.md
says where each field comes from.
"""

from typing import Literal, TypeAlias, TypedDict, final

from queue_metrics._core_sampling import _CgroupSample

class _About(TypedDict):
    name: str | None
    os: str | None
    kernel: str | None
    architecture: str | None
    virtualization: str | None  # kvm, vmware, ...; virtual: a machine that says no more; none
    boot_id: str | None
    booted_at_seconds: int | None
    uptime_seconds: float | None

class _Shares(TypedDict):
    usage_percent: float | None  # all but idle and iowait
    user_percent: float | None
    nice_percent: float | None
    system_percent: float | None
    idle_percent: float | None
    iowait_percent: float | None
    irq_percent: float | None
    softirq_percent: float | None
    steal_percent: float | None

class _Core(_Shares):
    core: int

class _Cpu(_Shares):
    count: int | None  # online
    busiest_core: int | None
    busiest_core_usage_percent: float | None
    context_switches_per_second: float | None
    cores: list[_Core]

_LoadAverage = TypedDict("_LoadAverage", {"1min": float | None, "5min": float | None, "15min": float | None})

class _Processes(TypedDict):
    total: int | None
    threads: int | None
    running: int | None  # threads
    blocked: int | None
    started_per_second: float | None

class _Memory(TypedDict):
    total_bytes: int | None
    available_bytes: int | None
    used_bytes: int | None  # total - available
    free_bytes: int | None
    usage_percent: float | None
    cached_bytes: int | None
    buffers_bytes: int | None
    reclaimable_bytes: int | None
    shared_bytes: int | None
    active_bytes: int | None
    inactive_bytes: int | None
    slab_bytes: int | None
    dirty_bytes: int | None
    committed_bytes: int | None
    oom_kills: int | None

class _Swap(TypedDict):
    total_bytes: int | None
    used_bytes: int | None
    free_bytes: int | None
    usage_percent: float | None
    in_bytes_per_second: float | None
    out_bytes_per_second: float | None

class _Disk(TypedDict):
    mountpoint: str
    filesystem: str
    device: str
    read_only: bool
    total_bytes: int | None
    used_bytes: int | None
    free_bytes: int | None
    available_bytes: int | None
    usage_percent: float | None  # used / (used + available)
    inodes_total: int | None
    inodes_free: int | None
    inodes_usage_percent: float | None

class _DiskRates(TypedDict):
    reads_per_second: float | None
    writes_per_second: float | None
    read_bytes_per_second: float | None
    written_bytes_per_second: float | None

class _DiskDevice(_DiskRates):
    name: str
    kind: Literal["disk", "layered", "memory"]  # layered: on other disks, which count the same requests
    reads: int
    writes: int
    read_bytes: int
    written_bytes: int
    read_seconds: float
    write_seconds: float
    busy_seconds: float
    in_flight: int
    busy_ratio: float | None
    queue_length: float | None

class _DiskIo(TypedDict):
    devices: list[_DiskDevice] | None  # whole disks
    total: _DiskRates  # of the kind "disk"

class _Interface(TypedDict):
    name: str
    loopback: bool | None
    state: str | None
    bytes_sent: int
    bytes_received: int
    packets_sent: int
    packets_received: int
    errors_in: int
    errors_out: int
    drops_in: int | None
    drops_out: int | None
    bytes_sent_per_second: float | None
    bytes_received_per_second: float | None
    packets_sent_per_second: float | None
    packets_received_per_second: float | None
    errors_in_per_second: float | None
    errors_out_per_second: float | None
    drops_in_per_second: float | None
    drops_out_per_second: float | None

class _Waited(TypedDict):
    average_10_ratio: float | None
    average_60_ratio: float | None
    average_300_ratio: float | None
    total_seconds: float | None

class _Waiting(TypedDict):
    some: _Waited
    full: _Waited

class _Pressures(TypedDict):
    cpu: _Waiting
    memory: _Waiting
    io: _Waiting

class _CpuCapacity(TypedDict):
    source: Literal["host", "cgroup_v1", "cgroup_v2"]
    demand_cores: float | None
    limit_cores: float | None
    usage_cores: float | None
    headroom_cores: float | None
    utilization_percent: float | None  # of the limit, what is not left: 100 (1 - headroom / limit)
    can_scale: bool | None  # utilization below 80 %

class _MemoryCapacity(TypedDict):
    source: Literal["host", "cgroup_v1", "cgroup_v2"]
    demand_bytes: int | None
    limit_bytes: int | None
    usage_bytes: int | None
    headroom_bytes: int | None
    utilization_percent: float | None  # of the limit, what is not left: 100 (1 - headroom / limit)
    can_scale: bool | None  # utilization below 80 %

class _Capacity(TypedDict):
    cpu: _CpuCapacity
    memory: _MemoryCapacity

class _HostSample(TypedDict):
    source: Literal["proc", "sysinfo"]
    taken_at_seconds: float  # since 1970
    interval_seconds: float | None  # since the sample before; None in the first one
    host: _About
    cpu: _Cpu
    load_average: _LoadAverage
    load_average_per_core: _LoadAverage
    processes: _Processes
    memory: _Memory
    swap: _Swap
    disks: list[_Disk] | None
    disk_io: _DiskIo
    network: list[_Interface] | None
    pressure: _Pressures
    capacity: _Capacity
    cgroup: _CgroupSample | None  # with an `unread` of its own; None by sysinfo
    unread: dict[str, str]

class _ProcessFacts(TypedDict):
    pid: int
    parent_pid: int | None
    started_us: int | None
    name: str | None
    state: str | None
    cpu_ns: int | None
    cpu_user_ns: int | None
    cpu_system_ns: int | None
    rss_bytes: int | None
    peak_rss_bytes: int | None
    virtual_bytes: int | None
    threads: int | None
    open_descriptors: int | None
    unread: dict[str, str]

# Seconds since boot: user, nice, system, idle, iowait, irq, softirq, steal.
_Times: TypeAlias = tuple[float, float, float, float, float, float, float, float]
_Bytes: TypeAlias = int | None

# The monotonic clock in ns, then seven tables; a table is None when it could not be read.
_Tables: TypeAlias = tuple[
    int,
    _Times | None,  # all cores
    list[tuple[int, _Times]] | None,  # each core that is online, by its number
    # Memory: total, available, used, free, cached, buffers, reclaimable, shared, active, inactive.
    tuple[_Bytes, _Bytes, _Bytes, _Bytes, _Bytes, _Bytes, _Bytes, _Bytes, _Bytes, _Bytes] | None,
    tuple[_Bytes, _Bytes, _Bytes] | None,  # swap: total, used, free
    tuple[float, float, float] | None,  # load over 1, 5 and 15 minutes
    # Whole disks: name, reads, writes, bytes read, bytes written, ms reading, ms writing, ms busy.
    list[tuple[str, int, int, int, int, int, int, int]] | None,
    # Interfaces: name, bytes sent and received, packets sent and received, errors in and out, drops in and out.
    list[tuple[str, int, int, int, int, int, int, int | None, int | None]] | None,
    tuple[int, int | None, int | None, int] | None,  # room on /: total, used, free, available
]

@final
class HostSampler:
    """Samples of the host, each with what happened since the one before. A forked child begins anew."""

    def __new__(cls, source: str = "auto", root: str = ...) -> HostSampler:
        """
        Args:
            source: "proc"; "sysinfo", for systems without `/proc`; "auto": `/proc` where it can be read.
            root: where `proc` and `sys` are looked for; "/" unless given.

        Raises:
            ValueError: no such source, or sysinfo with another root.
        """

    @property
    def source_name(self) -> Literal["proc", "sysinfo"]:
        """The source that was chosen."""

    def sample(self) -> _HostSample:
        """
        Everything. The first sample has no rates; samples closer than 0.1 s (sysinfo: 0.2 s) share their interval.

        About 1 ms of CPU; up to 0.2 s longer when a file system hangs, whose room is then None. The GIL is released. Never raises.
        """

    def hot(self) -> _Tables:
        """
        The tables that change all the time, since boot, without differences: what psutil tells in ten calls. `/proc` only.

        60,800 instructions and six system calls. Any thread. A helper thread asks for the first room on `/`, and for each where a server
        or FUSE is behind it; when that hangs, a sample takes 0.2 s. A disk of this machine that hangs is waited for. The GIL is released.
        Never raises; all None by sysinfo.
        """

    def process(self, pid: int | None = None) -> _ProcessFacts | None:
        """
        A process by the same source, this one by default; None when there is none. `process_sample` tells more, by `/proc` only.

        Raises:
            OSError: the source does not say; also when it knows not even this process.
            OverflowError: a pid below 0, or above 2^32 - 1.
        """
