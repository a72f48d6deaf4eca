"""
The Rust core: what happens in the worker, and what the drainer makes of it.

Types only; the code is in `rust/`. All times are integers of microseconds since 1970 unless a name says otherwise, ids are unsigned 64-bit
integers. Every class is frozen and may be used from any thread and after a fork. Nothing here imports a Python module.
Costs are user instructions, the loop's own left out, as `make bench-gate` counts them (a processor of servers does some thousand in half a
microsecond), and system calls. Where nothing else is said the GIL is held: giving it away costs more than the call.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, final

from queue_metrics._core_drain import Batch as Batch
from queue_metrics._core_drain import Drainer as Drainer
from queue_metrics._core_drain import Row as Row
from queue_metrics._core_drain import Value as Value
from queue_metrics._core_drain import add_fields as add_fields
from queue_metrics._core_drain import admitted_names as admitted_names
from queue_metrics._core_drain import columns as columns
from queue_metrics._core_drain import decode_heartbeat as decode_heartbeat
from queue_metrics._core_drain import heartbeat_json as heartbeat_json
from queue_metrics._core_drain import merge_values as merge_values
from queue_metrics._core_drain import row_columns as row_columns
from queue_metrics._core_exposition import Exposition as Exposition
from queue_metrics._core_exposition import Totals as Totals
from queue_metrics._core_exposition import exposition_family as exposition_family
from queue_metrics._core_host import HostSampler as HostSampler
from queue_metrics._core_robust import Ewma as Ewma
from queue_metrics._core_robust import Flow as Flow
from queue_metrics._core_robust import Rate as Rate
from queue_metrics._core_robust import TheilSen as TheilSen
from queue_metrics._core_robust import autocorrelation as autocorrelation
from queue_metrics._core_robust import autocorrelations as autocorrelations
from queue_metrics._core_robust import balance as balance
from queue_metrics._core_robust import dispersion_index as dispersion_index
from queue_metrics._core_robust import effective_size as effective_size
from queue_metrics._core_robust import intervals as intervals
from queue_metrics._core_robust import median as median
from queue_metrics._core_robust import median_and_mad as median_and_mad
from queue_metrics._core_robust import spread as spread
from queue_metrics._core_robust import theil_sen as theil_sen
from queue_metrics._core_robust import variation as variation
from queue_metrics._core_robust import weighted_median as weighted_median
from queue_metrics._core_robust import wilson_interval as wilson_interval
from queue_metrics._core_sampling import CgroupSampler as CgroupSampler
from queue_metrics._core_sampling import HotSample as HotSample
from queue_metrics._core_sampling import ProcessSampler as ProcessSampler
from queue_metrics._core_sampling import ProcessWatch as ProcessWatch
from queue_metrics._core_sampling import process_sample as process_sample
from queue_metrics._core_sampling import usage_of as usage_of
from queue_metrics._core_stats import Fit as Fit
from queue_metrics._core_stats import Moments as Moments
from queue_metrics._core_stats import Series as Series
from queue_metrics._core_stats import Sketch as Sketch
from queue_metrics._core_stats import SlidingFit as SlidingFit
from queue_metrics._core_stats import fit as fit
from queue_metrics._core_stats import fit_counted as fit_counted
from queue_metrics._core_stats import normal_cdf as normal_cdf
from queue_metrics._core_stats import normal_quantile as normal_quantile
from queue_metrics._core_stats import quantiles_linear as quantiles_linear
from queue_metrics._core_stats import quantiles_nearest_rank as quantiles_nearest_rank
from queue_metrics._core_stats import student_t_cdf as student_t_cdf
from queue_metrics._core_stats import student_t_quantile as student_t_quantile
from queue_metrics._core_tracked import Method as Method
from queue_metrics._core_tracked import Track as Track
from queue_metrics._core_tracked import Tracked as Tracked
from queue_metrics._core_tracked import listen as listen
from queue_metrics._core_tracked import listen_no_more as listen_no_more
from queue_metrics._core_tracked import method as method

__version__: Final[str]

# Outcomes of an execution; the numbers of the journal format.
SUCCEEDED: Final[int]
FAILED: Final[int]
RETRIED: Final[int]
TIMED_OUT: Final[int]
CANCELLED: Final[int]
LOST: Final[int]

# Flags of `finished` and of rules.
RETRY_FOLLOWS: Final[int]  # 1
PROVISIONAL: Final[int]  # 2: the process is being torn down, a HINT may know better
ASK_TERMINATING: Final[int]  # 256: rules only: the rule holds only if the `terminating` callable says so
RETRY_IF_LEFT: Final[int]  # 512: rules only: RETRY_FOLLOWS if the probe said that an ordinary exception means a retry

# Reasons of `discarded`.
REVOKED: Final[int]
EXPIRED: Final[int]
REJECTED: Final[int]
SKIPPED: Final[int]
UNKNOWN_TASK: Final[int]
RESULT_ERROR: Final[int]

MAD_TO_DEVIATION: Final[float]  # 1.4826: median absolute deviation to standard deviation, of normal numbers

# Which clock tells the CPU time of an execution.
CLOCK_NONE: Final[int]  # not attributable: asyncio, greenlets; several run in one thread, so these executions are never nested
CLOCK_PROCESS: Final[int]  # one execution at a time in the process
CLOCK_THREAD: Final[int]  # several threads execute

# Roles of a process.
MAIN: Final[int]
CHILD: Final[int]
PRODUCER: Final[int]
AGENT: Final[int]

NO_TIME: Final[int]  # the smallest i64: a moment that is not known
STAMP_SIZE: Final[int]  # bytes of a stamp behind a message

def hash64(data: bytes) -> int:
    """BLAKE2b with 8 bytes of digest, as a number. About 200 ns."""

def job_hash(job_id: object) -> int:
    """The journal's hash of a job id of any type; of `str(job_id)` unless it is text."""

def label_list(kind: int, labels: Sequence[str]) -> bytes:
    """The canonical bytes of a kind of series and its labels; unstorable characters replaced, overlong labels cut."""

def parse_label_list(data: bytes) -> tuple[int, tuple[str, ...]]:
    """
    The kind and labels in canonical bytes.

    Raises:
        ValueError: not a label list.
    """

def series_id(kind: int, labels: Sequence[str]) -> int:
    """The id of a series: `hash64(label_list(kind, labels))`."""

@final
class Recorder:
    """
    The write side of a spool in this process and in the children it forks.

    Creating one touches nothing on disk; the first record makes the spool, the segment and the worker page. No method but
    the constructor raises: what cannot be written is counted under `drops`, what goes wrong inside under `hook_errors`.
    """

    def __new__(
        cls,
        spool: str,
        host: str,
        *,
        segment_bytes: int = ...,
        spool_bytes: int = ...,
        memory_every: float | None = ...,
        journal: str = ...,
        exact_peak: bool = ...,
        shared_group: int | None = ...,
    ) -> Recorder:
        """
        Args:
            spool: directory of the spool; made with mode 0700 at the first record.
            host: name of this server or container.
            segment_bytes: size of a segment after the first, which has 64 KiB; default 1 MiB.
            spool_bytes: bound of all segments together; default 256 MiB. Full: records are dropped and counted. 0: nothing is written, not
                even the spool, and nothing counts as dropped.
            memory_every: seconds for which a reading of this process's memory is good; default 0.005, 0: read at the end of each
                execution, None: never, and the memory of executions is not known.
            journal: the way of appending: `auto` (default: a map where the file system is known to be safe), `write` or `map`.
            exact_peak: measure the true peak of memory of an execution that runs alone, by resetting the kernel's mark at its start, which
                others may read; default False: the larger of two readings. Some 4 system calls more.
            shared_group: number of the group whose members share the spool, which then has mode 2770 and its files 0660; default None: this
                user alone.

        Raises:
            ValueError: a path that holds NUL, a `memory_every` that is no such number, a `journal` that is none of these.
        """

    @property
    def spool(self) -> str: ...
    @property
    def worker_id(self) -> str:
        """This process as labels: `host:pid:start time`."""
    @property
    def worker_key(self) -> int:
        """The worker key of this process; a new one after a fork."""

    def describe(self, role: int, library: str, connection: str, queue: str) -> None:
        """Say what this process is, for WORKER records and its page. Inherited by children, whose role becomes CHILD if it was MAIN."""

    def series(self, connection: str, queue: str, task: str, clock: int) -> int:
        """A handle for records of a task: a small number, the same for the same arguments. Resolve once and keep. About 1 us."""

    def arrived(self, handle: int, job_id: object, attempt: int, ready_at: int) -> None:
        """
        A job was enqueued: one record; `ready_at` µs when it can run or NO_TIME.

        Any thread. What cannot be written is counted. 750 instructions and no system call by a map, one `write(2)` else.
        """

    def started(self, handle: int, job_id: object, attempt: int, ready_at: int) -> int:
        """
        An execution starts in this thread.

        Returns:
            A slot for `finished`; -1 when it is nested in a running execution of this thread, or all 4,096 are taken
            (counted as a drop).

        Any thread; its own clock where the handle asks for CPU time of threads. With `finished`: 2,490 instructions with everything on;
        by a map exactly 0 system calls for wall time, 2 with CPU time, 3 with memory as well (two more once a second, and two for a job of
        1 ms or more, whose children may have used CPU); by `write(2)` one a record more.
        """

    def finished(self, slot: int, outcome: int, exception: str | None, flags: int) -> None:
        """The execution in `slot` ended. Nothing happens for -1, a slot twice, or in a child forked since `started`."""

    def discarded(self, handle: int, job_id: object, reason: int) -> None:
        """A job ended without an execution."""

    def hinted(self, job_id: object, outcome: int, exception: str | None) -> None:
        """This process heard how a job of another process ended."""

    def gauge(
        self,
        connection: str,
        queue: str,
        ready: int | None,
        reserved: int | None,
        scheduled: int | None,
        running: int | None,
        age: int | None,
        due: int | None = None,
    ) -> None:
        """The state of a queue now; counts of jobs, `age` µs of the oldest ready one, `due` µs until the first scheduled one may run."""

    def verdict(self, key: int, outcome: int, exception_id: int, at: int, runtime: int, cpu: int, rss_peak: int, rss_change: int) -> bool:
        """Append the END of an execution that could not say its own (drainer only); raw fields as in the format. False if dropped."""

    def ready(self) -> None:
        """This process is ready to execute: WORKER and its page, before it has anything to record."""

    def stopped(self) -> None:
        """This process leaves in an orderly way: STOP, and the page says stopped."""

    def hook_error(self) -> None:
        """Count an error inside our own hooks."""

    def status(self) -> dict[str, Any]:
        """
        What `doctor` shows of this process: `spool`, `segment` (id or None), `way` (`write`, `map` or None without a segment) and
        `way_reason`, `page` (whether a drainer sees this process and its drops by one), `records` written, `running`, `drops`
        (reason -> count, only those above 0), `hook_errors`, `last_error` (text or None), `pid`, `exact_peak` (whether it is
        measured, or why not though asked for).
        """

    def refuse_exact_peak(self, reason: str) -> None:
        """Leave the kernel's mark alone for a reason, here and in children forked later."""

    def heartbeat(self) -> bytes:
        """
        The heartbeat of this process as it is now (docs/journal-format.md, section 5.1), also when the spool cannot be written.

        Any thread. 1,670 instructions, and the system calls of a reading of memory and CPU time.
        """

@final
class Messages:
    """
    Stamps behind messages, arrivals and executions of a library whose jobs are objects that become messages and objects again.

    An object that came out of a message carries a note in an attribute: the message, or only its stamp; once it was executed its
    attempt. Objects that came out of none have no note, or None (best in their class: a missing attribute costs an exception). A stamp
    says when the job could run, and its attempt.

    Of an object that waits for its execution the note is the attempt already. It is kept alive until it is executed, stored or settled,
    32 of them at most; a copy of it counts as executed.
    """

    def __new__(
        cls,
        recorder: Recorder,
        owner: object,
        note: str,
        retries: str,
        series: Callable[[type], int],
        moment: Callable[[Any], int],
        arrived: Callable[[Any], object],
    ) -> Messages:
        """
        Args:
            owner: the object whose class has the methods that these functions stand in; calls for others of the class pass through.
            note: name of the attribute.
            retries: name of the attribute that is above 0 when an ordinary exception means a retry.
            series: the handle of a class of objects; asked once for each.
            moment: µs of a moment as the library keeps it; asked for jobs that are not to run at once.
            arrived: asked instead of recording an arrival when a job was stored and its message not stamped, and the first time in
                each process. An Exception of these three counts as hook error; anything else is passed on.
        """

    @property
    def stamped(self) -> Callable[[Any, Any, Any, object, Any], Any]:
        """
        `stamped(message, owner, object, id, eta) -> message`, to be called when an object has become a message that is about to be stored.

        With a stamp behind it if it is `bytes`: the one that it came with, else now or `eta` (None: none), whichever is later.
        """

    @property
    def unpacked(self) -> Callable[[Any, Any, object], Any]:
        """
        `unpacked(message, object, id) -> note`, to be called when an object came out of a message; the note is for the caller to set.

        With a stamp the object waits for its execution from now on; without one the note is the message itself.
        """

    def settle(self, object: object = None) -> None:
        """Have an object, or all, wait no longer: its note becomes its stamp. To be called before a note is read."""

    def storing(self, inner: Callable[..., Any]) -> Method:
        """
        `inner(owner, object)`, a way into storage, as a method of the owner's class that records an arrival when it returns.

        None for an object that came out of a message and was not executed: it only moves.
        """

    def handle(self, class_: type, /) -> int:
        """The handle of a class of objects."""

    def forget(self) -> None:
        """Ask for every handle anew."""

    def dismiss(self) -> None:
        """What was stamped last in this thread does not arrive."""

    def stop(self) -> None:
        """From now on stamp and record nothing; calls pass through."""

def read_stamp(message: bytes) -> tuple[int, int] | None:
    """(the moment a job could run, µs or NO_TIME; its attempt) by the end of its message; None if that has no stamp."""

def clock_us() -> int:
    """Wall clock, µs."""

def journal_way(file_system: str, journal: str) -> tuple[str, str]:
    """
    The way of appending, `write` or `map`, on a file system of this name under this setting, and why; where it turns out to work.

    Raises:
        ValueError: `journal` is none of `auto`, `write` and `map`.
    """

def file_system(path: str) -> str:
    """Name of the file system of a path, as `doctor` shows it; "unknown" when the kernel does not say."""
