"""A fleet as the store holds it: points, totals and heartbeats made of plain numbers, so that a test can say what must come out."""

from __future__ import annotations

import bisect
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from queue_metrics import _core
from queue_metrics.storage.base import DAY, HOUR, MINUTE, QUEUE, RETENTION, SERVER, TASK, TOTAL, StorageDriver
from tests.support.moment import MOMENT

NOW = float(MOMENT // 60 * 60 + 30)
"""30 s into the minute in which the tests began: stores expire points by their own clock, so it must be near."""
SPOOL = "0123456789abcdef0123456789abcdef"

COUNTERS = (
    "started",
    "succeeded",
    "failed",
    "retried",
    "timed_out",
    "cancelled",
    "lost",
    "arrivals",
    "retries_following",
    "result_errors",
    "clock_skews",
)
BOUNDS_US = [
    *(1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000),
    *(30_000_000, 60_000_000, 120_000_000, 300_000_000, 600_000_000, 1_800_000_000, 3_600_000_000, 7_200_000_000, 21_600_000_000),
]
HOSTILE = (
    '"><img src=x onerror=alert(1)>',
    "<script>document.title='owned'</script>",
    "</title></svg><svg onload=alert(1)>",
    "back\\slash \"quotes\" 'single'",
    "two\nlines\tand\rmore",
    "app:send/{x}?a=b&c=d%2F#e",
    "\u202eevil\u202c right to left",
    "ünï–çødé 任务 😀",
    "javascript:alert(1)",
    "{{7*7}} ${7*7} %s",
    "x" * 10_000,
)


def minute(back: int = 0) -> int:
    """The start of the current minute of NOW, or one before it."""
    return int(NOW) // 60 * 60 - back * 60


@dataclass
class Fleet:
    """Collects rows; `store` hands them over as the drainer does, 50 series a batch."""

    rows: list[tuple[int, bytes, int, int, bytes]] = field(default_factory=list)
    beats: list[tuple[str, bytes]] = field(default_factory=list)

    def task(
        self,
        labels: Sequence[str],
        at: int,
        *,
        counts: Mapping[str, int] | None = None,
        discarded: Sequence[int] = (),
        measures: Mapping[int, Sequence[int]] | None = None,
    ) -> None:
        """What happened to a task in the minute `at`: counts by name, µs and bytes by measure; also its hour, day and total."""
        self._series(TASK, labels, at, _counters(counts, discarded), measures or {}, {})

    def queue(
        self,
        labels: Sequence[str],
        at: int,
        *,
        counts: Mapping[str, int] | None = None,
        discarded: Sequence[int] = (),
        measures: Mapping[int, Sequence[int]] | None = None,
        gauges: Mapping[int, Sequence[tuple[int, int]]] | None = None,
    ) -> None:
        """What happened to a queue in the minute `at`; gauges as (µs, number)."""
        self._series(QUEUE, labels, at, _counters(counts, discarded), measures or {}, gauges or {})

    def server(
        self, hostname: str, at: int, *, counts: Mapping[str, int] | None = None, measures: Mapping[int, Sequence[int]] | None = None
    ) -> None:
        """What ended on a server in the minute `at`."""
        self._series(SERVER, (hostname,), at, _counters(counts, ()), measures or {}, {})

    def series(
        self,
        kind: int,
        labels: Sequence[str],
        at: int,
        counts: Mapping[str, int],
        discarded: Sequence[int] = (),
        measures: Mapping[int, Sequence[int]] | None = None,
    ) -> None:
        """What was counted of any kind of series in the minute `at`."""
        self._series(kind, labels, at, _counters(counts, discarded), measures or {}, {})

    def worker(self, **fields: object) -> None:
        """A heartbeat."""
        worker_id = f"{fields.get('host', 'web-1')}:{fields.get('pid', 100)}:77"
        self.beats.append((worker_id, heartbeat(**fields)))  # type: ignore[arg-type]

    def store(self, driver: StorageDriver, sequence: int = 0) -> None:
        """Put everything into a store."""
        for number, first in enumerate(range(0, len(self.rows), 50), start=sequence + 1):
            applied = driver.apply_batch(0, _core.Batch(SPOOL, number, b"", self.rows[first : first + 50]))
            assert applied.applied
        driver.heartbeat_many(self.beats, 600.0)

    def _series(
        self,
        kind: int,
        labels: Sequence[str],
        at: int,
        counters: list[int],
        measures: Mapping[int, Sequence[int]],
        gauges: Mapping[int, Sequence[tuple[int, int]]],
    ) -> None:
        series, label_list = _core.series_id(kind, labels), _core.label_list(kind, labels)
        for step in (step for step in (MINUTE, HOUR, DAY) if (kind, step) in RETENTION):
            value = _core.Value.from_parts(counters, measures, gauges, 5 if step != DAY else 4)
            self.rows.append((series, label_list, step, at // step * step, value.encode()))
        total = [*counters, *[0] * (87 - len(counters))]
        for index, first in ((0, 32), (1, 64)):
            for number in measures.get(index, ()):
                total[first + bisect.bisect_left(BOUNDS_US, number)] += 1
        self.rows.append((series, label_list, TOTAL, 0, _core.Value.from_parts(total, measures, {}, 5).encode()))


def _counters(counts: Mapping[str, int] | None, discarded: Sequence[int]) -> list[int]:
    given = counts or {}
    assert set(given) <= set(COUNTERS)
    return [*(given.get(name, 0) for name in COUNTERS), *discarded]


UNKNOWN_U64, UNKNOWN_TIME = 2**64 - 1, -(2**63)
STATES = {"starting": 1, "idle": 2, "busy": 3, "stopped": 4, "lost": 5}
ROLES = {"main": 1, "child": 2, "producer": 3, "agent": 4}


def heartbeat(
    *,
    state: str = "idle",
    role: str = "child",
    host: str = "web-1",
    pid: int = 100,
    parent_pid: int = 1,
    running: int | None = None,
    process_started: float = NOW - 3600,
    written: float = NOW - 5,
    job_started: float | None = None,
    busy: float = 0.0,
    idle: float = 0.0,
    finished: int = 0,
    failed: int = 0,
    rss: int | None = None,
    rss_peak: int | None = None,
    cpu: float | None = None,
    cpu_share: tuple[float, float] | None = None,
    seen: float | None = None,
    state_changed: float | None = None,
    library: str = "huey",
    connection: str = "broker",
    queue: str = "default",
    task: str = "",
    job_id: str = "",
) -> bytes:
    """A heartbeat as docs/journal-format.md 5.1 lays it out; times in seconds; `cpu_share`: time spent, in which time."""
    head = struct.pack(
        "<HBBIIIQQQqqqqQQQQQQQQqQQ",
        *(1, STATES[state], ROLES[role], pid, parent_pid, (state == "busy") if running is None else running, 7, 77, 0),
        *(_us(process_started), _us(written), UNKNOWN_TIME if job_started is None else _us(job_started)),
        _us(written if state_changed is None else state_changed),
        *(_us(busy), _us(idle)),
        *(finished, failed, UNKNOWN_U64 if rss is None else rss, UNKNOWN_U64 if rss_peak is None else rss_peak),
        *(UNKNOWN_U64 if cpu is None else _us(cpu), 0, UNKNOWN_TIME if seen is None else _us(seen)),
        *((UNKNOWN_U64, UNKNOWN_U64) if cpu_share is None else map(_us, cpu_share)),
    )
    assert len(head) == 160
    texts = (text.encode() for text in (host, library, connection, queue, task, job_id))
    return head + b"".join(struct.pack("<H", len(text)) + text for text in texts)


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
