"""
The part of `queue_metrics._core` that samples processes and control groups; types only, a file of its own for its length.

At run time there is no such module. Every class is frozen and may be used from any thread and after a fork.
"""

from typing import NotRequired, TypedDict, final

# Processes. CPU times in ns, memory in bytes; None: unknown, then `unread` says why. docs/measured.md says where each comes from.

class _Usage(TypedDict):
    cpu_user_ns: int
    cpu_system_ns: int
    peak_rss_bytes: int  # never below what the process had when it was executed; of children that of the largest
    voluntary_switches: int
    involuntary_switches: int

class _TreeSample(TypedDict):
    pids: list[int]  # of this process and its living descendants, parents first
    children: int  # direct ones
    cpu_user_ns: int
    cpu_system_ns: int
    reaped_cpu_user_ns: int  # of those that ended and were waited for
    reaped_cpu_system_ns: int
    rss_bytes: int | None  # shared pages count once for each process; None, as the next and `open_descriptors`, when a part is unread
    pss_bytes: int | None
    threads: int
    open_descriptors: int | None
    unread: dict[str, str]  # "<pid>.<field>", or the pid of a process that could not be read at all

class _ProcessSample(TypedDict):
    pid: int
    parent_pid: int  # 0: outside this pid namespace
    start_ticks: int  # since boot
    started_us: int
    name: str
    state: str  # R, S, D, Z, T, ...
    cpu_ns: int  # all threads, by the process's clock
    cpu_user_ns: int  # in µs of this process, in ticks of another
    cpu_system_ns: int
    children_cpu_user_ns: int  # of children that ended and were waited for, with theirs
    children_cpu_system_ns: int
    rss_bytes: int | None
    peak_rss_bytes: int | None
    pss_bytes: int | None  # None also unless asked for
    swap_bytes: int | None
    virtual_bytes: int
    threads: int
    open_descriptors: int | None
    voluntary_switches: int | None
    involuntary_switches: int | None
    unread: dict[str, str]
    tree: NotRequired[_TreeSample]

@final
class ProcessSampler:
    """Samples of this process that may be taken at any time; a forked child goes on with files of its own."""

    def __new__(cls) -> ProcessSampler: ...
    def hot(self) -> HotSample:
        """What this process uses now. 1,130 instructions and four system calls on Linux 6.2 or newer. Any thread. Never raises."""

@final
class HotSample:
    """What a process used when it was asked; None: could not be read."""

    @property
    def cpu_user_ns(self) -> int | None:
        """CPU time of all threads outside the kernel, in steps of 1,000."""
    @property
    def cpu_system_ns(self) -> int | None:
        """CPU time of all threads inside the kernel, in steps of 1,000."""
    @property
    def peak_rss_bytes(self) -> int | None:
        """Of resident memory since the start or the last reset."""
    @property
    def rss_bytes(self) -> int | None: ...
    @property
    def open_descriptors(self) -> int | None:
        """With the three that are kept for these samples."""
    @property
    def threads(self) -> int | None: ...

@final
class ProcessWatch:
    """Another process, sampled again and again through files that stay open; never another one that got its pid."""

    def __new__(cls, pid: int, start_ticks: int | None = None) -> ProcessWatch:
        """
        Args:
            start_ticks: the start time that it must have.

        Raises:
            ProcessLookupError: there is no such process.
            OSError: `/proc` does not say.
            OverflowError: a pid below 0, or above 2^32 - 1.
        """

    @property
    def pid(self) -> int: ...
    @property
    def start_ticks(self) -> int: ...
    def hot(self) -> tuple[int, int, int | None, int, str] | None:
        """
        (user CPU ns, system CPU ns, RSS bytes, threads, state); None when the process is gone. CPU in steps of a tick, 10 ms.

        Two system calls, some 5 µs. Any thread.

        Raises:
            OSError: `/proc` does not say; also when it knows not even this process.
        """

def process_sample(
    pid: int | None = None, *, start_ticks: int | None = None, pss: bool = False, tree: bool = False
) -> _ProcessSample | None:
    """
    Everything about a process, this one by default; None when there is none, or another one than that of `start_ticks`.

    About 50 µs; `pss` adds 0.3 ms of a small process and some of a large one; `tree`, the sums over it and all that came from it, 15 µs for
    each process of the machine where the kernel has no lists of children. The GIL is released.

    Raises:
        OSError: `/proc` does not say; also when it knows not even this process, so that a missing one means nothing.
        OverflowError: a pid below 0, or above 2^32 - 1.
    """

def usage_of(rusage: object) -> _Usage | None:
    """
    The third answer of `os.wait4`, or that of `resource.getrusage`, in our names and units; None if its times are none. Under 1 us.

    Raises:
        AttributeError: it has none of their fields.
    """

# The control group of this process. A limit or quota that is None and not under `unread` is none.

class _CpuLevel(TypedDict):
    directory: str
    quota_cores: float | None
    usage_ns: int | None

class _CgroupCpu(TypedDict):
    limit_cores: float | None  # the least of the next three
    quota_cores: float | None  # the least on the way up
    cpuset_cores: int | None
    affinity_cores: int | None
    usage_ns: int | None
    periods: int | None  # these three of the group with the least quota; None without one
    throttled_periods: int | None
    throttled_ns: int | None  # on several CPUs at once it counts for each
    levels: list[_CpuLevel]  # the group and those around it

class _MemoryLevel(TypedDict):
    directory: str
    limit_bytes: int | None
    working_set_bytes: int | None

class _CgroupMemory(TypedDict):
    limit_bytes: int | None  # the least on the way up
    high_bytes: int | None  # likewise
    usage_bytes: int | None  # with the cache of files
    working_set_bytes: int | None  # without the cache that can be dropped at once
    headroom_bytes: int | None  # until a limit on the way up is met; None without one
    swap_bytes: int | None
    swap_limit_bytes: int | None
    oom_kills: int | None
    levels: list[_MemoryLevel]

class _Stall(TypedDict):
    average_10_ratio: float
    average_60_ratio: float
    average_300_ratio: float
    total_us: int

class _Pressure(TypedDict):
    some: _Stall
    full: _Stall | None

class _CgroupRates(TypedDict):
    seconds: float
    usage_cores: float | None
    throttled_ratio: float | None  # of the periods; None, as the next two, when another group has the least quota now
    throttled_cores: float | None  # CPU that was wanted in the group with the least quota while it was stopped
    throttled_seconds_per_period: float | None
    waiting_cores: float | None  # CPU that at least one task waited for
    headroom_cores: float | None  # what the quotas on the way up leave
    oom_kills: int | None

class _CgroupSample(TypedDict):
    version: int | None  # 1 or 2
    path: str | None
    container: str | None  # the mark by which it was known
    cpu: _CgroupCpu
    memory: _CgroupMemory
    cpu_pressure: _Pressure | None
    memory_pressure: _Pressure | None
    io_pressure: _Pressure | None
    rates: _CgroupRates | None  # since the sample before
    unread: dict[str, str]

@final
class CgroupSampler:
    """The control group that this process is in, version 1 or 2, and what it used since the sample before."""

    def __new__(cls) -> CgroupSampler: ...
    def sample(self) -> _CgroupSample:
        """The group now; `rates` is None in the first sample of a process. About 0.3 ms, the GIL is released. Never raises."""
