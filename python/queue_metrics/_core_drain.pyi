"""
The part of `queue_metrics._core` that reads a spool and makes values of it; types only, a file of its own for its length.

At run time there is no such module. Times are integers of microseconds since 1970, ids are unsigned 64-bit integers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, final

from queue_metrics._core import Recorder
from queue_metrics._core_stats import Series

@final
class Row:
    """One series in one step of a batch."""

    @property
    def series(self) -> int: ...
    @property
    def kind(self) -> int: ...
    @property
    def labels(self) -> bytes:
        """The label list; given in every row, written once by the store."""
    @property
    def step(self) -> int:
        """Seconds: 60, 3600, 86400, or 0 for the total."""
    @property
    def bucket(self) -> int:
        """Start of the step, seconds since 1970; 0 for the total."""
    @property
    def value(self) -> bytes:
        """What is to be merged, packed as in docs/stored-values.md."""

@final
class Batch:
    """What a drainer hands to the store in one transaction."""

    def __new__(
        cls, spool_id: str, sequence: int, positions: bytes, rows: Sequence[tuple[int, bytes, int, int, bytes]], base: bytes = ...
    ) -> Batch:
        """For tests and other producers; rows of (series, label list, step, bucket, value)."""

    @property
    def spool_id(self) -> str: ...
    @property
    def sequence(self) -> int:
        """One more than the mark that it expects."""
    @property
    def base(self) -> bytes:
        """
        The positions of the mark that it expects. The number alone is not enough: after a store went back it comes again, and a
        late batch of before could land on numbers that it was not made for (docs/protocol.md, rule 2).
        """
    @property
    def positions(self) -> bytes: ...
    @property
    def rows(self) -> list[Row]: ...
    @property
    def records(self) -> int:
        """Records folded into it."""

@final
class Drainer:
    """
    The read side of a spool: segments in, batches out. Not for two processes at once: hold the spool's lock.

    Use: `know(names)` and `restore(mark)`, then again and again `poll()`, `next_batch()` until None with `committed()` or `restore()`
    after each, `verdicts()`, `tidy()`.

    Any thread, one at a time: others wait for it. Each call gives the GIL away. It raises OSError when the spool cannot be read, has gone,
    or something else stands in its place; then all is read anew from the mark. Folding took 8.7 million records a second a core from the
    spool when it was measured last, 18 million of those in memory (`make bench ARGS=stats`, docs/performance.md).
    """

    def __new__(
        cls,
        spool: str,
        *,
        grace: float = ...,
        window: float = ...,
        spool_bytes: int = ...,
        limits: tuple[int, int, int, int, int] | None = ...,
        shared_group: int | None = ...,
    ) -> Drainer:
        """
        Args:
            grace: seconds between a death or provisional end and the verdict; 10.
            window: seconds a drained segment is kept for a store that goes back; 3600.
            limits: the most tasks (and queues), tasks of one queue, types of exceptions, servers, and tasks on servers that have series of
                their own; None: 1,000, 200, 100, 200 and 10,000. What is beyond counts as `__other__`.
            shared_group: number of the group whose members share the spool; None: only files of this user are read.

        Raises:
            OSError: the spool cannot be made or read.
        """

    @property
    def spool_id(self) -> str: ...
    def know(self, names: Sequence[tuple[int, int, int]]) -> None:
        """
        Tell which names the store has let in, in place of those of before: (kind; id of the series, or of an exception the hash of its
        type as a name; of a task the id of its queue, else 0). They stay what they are, and count towards the limits.

        `restore` must follow unless all `new_names` are among them.
        """

    def new_names(self) -> list[tuple[int, int, int]]:
        """The names that have series since `know`, which the store is to let in before it gets the batch in hand."""

    def restore(self, sequence: int, positions: bytes, until: bytes | None = None) -> None:
        """
        Take the store's mark as what is counted: forget all and rebuild the open executions from the records before it. Reads all of them.

        Args:
            until: the positions of a later mark, to fold no further than to that one; for a shard that stayed behind.

        Raises:
            DecodeError: positions of another format.
        """

    def poll(self) -> int:
        """Look for new records; returns how many wait to be folded. Lists the spool and asks for the size of each segment."""

    def next_batch(self, max_series: int = 100) -> Batch | None:
        """
        The next batch of at most so many series, or None when all is folded. The same again until `committed` or `restore`.

        Costs what folding costs (see the class) and memory in proportion to the series, not to the records.
        """

    def committed(self) -> None:
        """The store has the last batch. Touches no file."""

    def verdicts(self, recorder: Recorder, now: int) -> int:
        """
        Close executions of the dead and provisional ends older than the grace, by records of `recorder`; returns how many. `now` is µs.

        Asks `/proc` for each worker with an open execution.
        """

    def heartbeats(self, now: int) -> list[tuple[str, bytes]]:
        """
        (worker id, heartbeat) of every worker page, refreshed from the kernel; the dead as lost or stopped, once more before their
        page goes. CPU time in relation to time comes with the second call. Pages that cannot be read, or are newer, are left as they are.
        `now` is µs. Reads each page and, of the living, a few files of `/proc`.
        """

    def tidy(self, now: int) -> int:
        """
        Delete drained segments without open executions that are older than the window; returns how many. `now` is µs.

        Reads each one that it deletes once more, for the ledger.
        """

    def status(self) -> dict[str, Any]:
        """
        Counts: `waiting` records, `segments`, `bytes`, `open` executions, `provisional`, `duplicates`, `damaged` slots, `unknown`
        kinds, `undefined` names, `set_aside` segments, `newer` segments, `lost_to_rollback` records, `starts_lost_to_rollback` (of those
        lost since this drainer was made, at most so many), `other_names` that
        have no series of their own, `uncertain` open executions of workers nobody can judge, `damaged_pages`,
        `newer_pages`; over all worker pages `hook_errors` and `drops` (reason -> count, only those above 0).
        """

def admitted_names(
    known: Sequence[tuple[int, int, int]], asked: Sequence[tuple[int, int, int]], limits: tuple[int, int, int, int, int] | None = ...
) -> list[tuple[int, int, int]]:
    """
    Which of the names asked for come in where others are in; without those that are in.

    Args:
        limits: as for a `Drainer`.
    """

@final
class Value:
    """A stored value, decoded; the reading side of docs/stored-values.md."""

    def __new__(cls) -> Value:
        """The empty value, neutral in `merge`."""

    @staticmethod
    def decode(data: bytes) -> Value:
        """
        Raises:
            DecodeError: damaged bytes or a newer version.
        """

    @staticmethod
    def from_parts(
        counters: Sequence[int] = ...,
        measures: Mapping[int, Sequence[int]] | None = ...,
        gauges: Mapping[int, Sequence[tuple[int, int]]] | None = ...,
        scale: int = ...,
    ) -> Value:
        """A value from plain numbers: observed integers by measure (a sketch is made of each but number 4), (at, number) by gauge."""

    @staticmethod
    def from_fields(fields: Mapping[str, int]) -> Value:
        """From the fields of a total: `c<i>`, `m<i>n`, `m<i>s`; unknown fields are ignored."""

    def fields(self) -> dict[str, int]:
        """The fields of a total, only those that are not 0."""

    def encode(self) -> bytes: ...
    def merge(self, other: Value) -> Value: ...
    def counter(self, index: int) -> int:
        """0 when it was never counted."""

    def measure(self, index: int) -> tuple[int, int, int | None, int | None] | None:
        """(n, sum, min, max) or None; min and max are None in totals."""

    def gauge(self, index: int) -> tuple[int, int, int, int, int, int] | None:
        """(n, sum, min, max, last, last_at) or None."""

    def quantiles(self, index: int, qs: Sequence[float]) -> list[float] | None:
        """
        Values at ranks `ceil(q n)` from the sketch of a measure; None without one. Raises ValueError unless every 0 <= q <= 1.
        """

    def sketch(self, index: int) -> tuple[int, bool, int, list[tuple[int, int]]] | None:
        """(scale, collapsed, zeros, [(index, count)]) or None."""

    def deviation(self, index: int) -> float | None:
        """Standard deviation from the sketch (n >= 2), else None."""

def columns(values: Sequence[bytes], names: Sequence[str], /) -> list[Series]:
    """
    Numbers of many packed values, a column for each name, as long as there are values: what an answer over thousands of minutes is made of.

    Some 200 ns a value without sketches, of which each is read once whatever is asked of it; holds the GIL.

    Args:
        names: `c7` is a counter; `m0n m0s m0min m0max` are count, sum and range of a measure; `g0n g0s g0min g0max g0last g0at`
            those of a gauge, its latest number and when that was, us; `c1+c2` is the sum of both.

    Returns:
        Doubles, exact up to 2^53. Of what was not counted or measured 0 where it is a count or a sum, NaN where it is another number.

    Raises:
        DecodeError: a value is damaged or of a newer version.
        ValueError: a name names no number of a value.
    """

def row_columns(rows: Sequence[str], width: int, /) -> list[Series]:
    """
    The first `width` numbers of rows of text, each a JSON list, a column each; NaN for null. A row that is no list of at least so many
    numbers is left out. Some 0.3 us a row of ten; holds the GIL.
    """

def merge_values(first: bytes, second: bytes) -> bytes:
    """
    Raises:
        DecodeError: damaged bytes or a newer version.
        OverflowError: a count or sum would leave 64 bits; nothing is changed.
    """

def add_fields(total: bytes, value: bytes) -> bytes:
    """The total `total` (b"" for none) with the counters, n and sums of `value` added; min, max, gauges and sketches are left out."""

def decode_heartbeat(data: bytes) -> dict[str, Any]:
    """
    Keys: `version state role pid parent_pid running worker_key start_ticks pid_namespace process_started written
    job_started busy idle finished failed rss rss_peak cpu boot state_changed seen cpu_spent cpu_over host library connection queue task
    job_id`; `state` and `role` as words, unknown numbers and moments None, µs and bytes as in the format. 32,300 instructions, most of
    them for the dict.

    Raises:
        DecodeError: damaged bytes or a newer version.
    """

def heartbeat_json(data: bytes, /, own: bool = True) -> bytes:
    """
    A heartbeat as one JSON object in UTF-8: the sixteen fields of the original with its names and units, and with `own` the four of
    ours (docs/stored-values.md, section 8). Unknown is null. 3,340 instructions, from any thread.

    Raises:
        DecodeError: damaged bytes or a newer version.
    """
