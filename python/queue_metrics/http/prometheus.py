"""Everything as Prometheus text: names fixed here, base units, counters that never fall, every outcome at zero from first sight on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from queue_metrics import _core
from queue_metrics.insights import layout
from queue_metrics.insights.scrape import Ever, Scrape
from queue_metrics.model import Baseline, QueueAnswer, ServerAnswer
from queue_metrics.model.servers import ServerSample, ServerStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})

Sample = tuple[str, float | None]
"""Labels, rendered, and a number; None is not known, and absent."""
Family = tuple[str, str, str, Sequence[Sample]]
"""Name, what it means, its type, samples."""
TASK_LABELS = ("connection", "queue", "task")
_WORKER_STATES = ("starting", "idle", "busy", "stopped", "stale", "lost")
_Line = tuple[str, str, str, int]
_Totals = tuple[str, str, str, Sequence[_Line]]


class Exporter:
    """The text of `/metrics`, scrape after scrape: what stands before the numbers of a series is made once and kept."""

    def __init__(self) -> None:
        self._tasks = _Lines(TASK_LABELS, list(_task_families()))
        self._servers = _Lines(("server",), [_server_executions()])

    def text(self, scrape: Scrape, stale_seconds: float | None) -> bytes:
        """
        The text of a scrape, UTF-8.

        Args:
            scrape: what is told.
            stale_seconds: its age if the store cannot be read now.
        """
        queues = [(labels((("connection", queue.connection), ("queue", queue.queue))), queue) for queue in scrape.queues]
        families = (
            _exceptions(scrape),
            *_queue_families(queues),
            *_server_families(scrape.servers),
            *_baselines(scrape),
            *_own_families(scrape, stale_seconds),
        )
        return b"".join((self._tasks.text(scrape.tasks), self._servers.text(scrape.server_totals), *texts("queue_metrics_", families)))


class _Lines:
    """Lines of totals; labels are rendered anew only where there are other series than at the last scrape."""

    def __init__(self, names: Sequence[str], families: Sequence[_Totals]) -> None:
        self._names = names
        self._exposition = _core.Exposition(families)
        # Both in one, since two scrapes may be written at once.
        self._places: tuple[list[tuple[str, ...]], tuple[str, ...]] = ([], ())

    def text(self, ever: Ever) -> bytes:
        """All lines."""
        known, places = self._places
        if known != ever.labels:
            places = tuple(labels(zip(self._names, each, strict=True)) for each in ever.labels)
            self._places = ever.labels, places
        return self._exposition.text(places, ever.totals)


def rendered(prefix: str, families: Iterable[Family]) -> bytes:
    """Families as text; `prefix` goes before their names."""
    return b"".join(texts(prefix, families))


def texts(prefix: str, families: Iterable[Family]) -> Iterator[bytes]:
    """The same, each family by itself."""
    return (_core.exposition_family(prefix + name, text, kind, list(samples)) for name, text, kind, samples in families)


def labels(pairs: Iterable[tuple[str, str]]) -> str:
    """Labels as they stand between braces, whatever is in the names."""
    # Half of a pair of UTF-16 is no text, and Prometheus reads UTF-8.
    return ",".join(f'{name}="{text.encode("utf-8", "replace").decode().translate(_ESCAPES)}"' for name, text in pairs)


def _task_families() -> Iterator[_Totals]:
    outcomes = [("", f'outcome="{outcome}"', "counter", index) for outcome, index in layout.OUTCOMES.items()]
    reasons = [("", f'reason="{reason}"', "counter", index) for reason, index in layout.DISCARDED.items()]
    for name, text, kind, lines in (
        ("executions_total", "Executions that ended, by outcome.", "counter", outcomes),
        ("started_total", "Executions that began.", "counter", _one("counter", layout.STARTED)),
        ("arrivals_total", "Jobs enqueued, once per job and attempt.", "counter", _one("counter", layout.ARRIVALS)),
        (
            "retries_following_total",
            "Executions of any outcome after which another attempt follows.",
            "counter",
            _one("counter", layout.RETRIES_FOLLOWING),
        ),
        ("discarded_total", "Jobs that ended without an execution, by reason.", "counter", reasons),
        (
            "result_errors_total",
            "Executions whose result could not be stored afterwards.",
            "counter",
            _one("counter", layout.RESULT_ERRORS),
        ),
        (
            "clock_skews_total",
            "Waits measured below zero between two clocks, which count as zero.",
            "counter",
            _one("counter", layout.CLOCK_SKEWS),
        ),
        ("runtime_seconds", "Start to end of an execution.", "histogram", _steps(layout.RUNTIME_BOUNDS, layout.RUNTIME)),
        ("wait_seconds", "From the moment a job could run to its start.", "histogram", _steps(layout.WAIT_BOUNDS, layout.WAIT)),
        (
            "cpu_seconds_total",
            "CPU time of executions, as far as it can be attributed.",
            "counter",
            _one("seconds", layout.CPU),
        ),
        (
            "memory_peak_bytes",
            "The larger of the resident memory of the process before and after an execution.",
            "summary",
            _sum_and_count(layout.MEMORY_PEAK),
        ),
        (
            "memory_change_bytes",
            "Resident memory of the process after an execution less before.",
            "summary",
            _sum_and_count(layout.MEMORY_CHANGE),
        ),
    ):
        yield f"queue_metrics_{name}", text, kind, lines


def _server_executions() -> _Totals:
    lines = [("", f'outcome="{outcome}"', "counter", index) for outcome, index in layout.OUTCOMES.items()]
    return "queue_metrics_server_executions_total", "Executions that ended on a server, by outcome.", "counter", lines


def _one(cell: str, index: int) -> list[_Line]:
    return [("", "", cell, index)]


def _sum_and_count(measure: int) -> list[_Line]:
    return [("_sum", "", "sum", measure), ("_count", "", "count", measure)]


def _steps(first: int, measure: int) -> list[_Line]:
    bounds = [*(f"{bound:g}" for bound in layout.BOUNDS_SECONDS), "+Inf"]
    buckets = [("_bucket", f'le="{bound}"', "step", first + k) for k, bound in enumerate(bounds)]
    return [*buckets, ("_sum", "", "seconds", measure), ("_count", "", "steps", 0)]


def _queue_families(queues: Sequence[tuple[str, QueueAnswer]]) -> Iterator[Family]:
    states = ("ready", "reserved", "scheduled", "running")
    depths = [(f'{place},state="{state}"', getattr(queue, state)) for place, queue in queues for state in states]
    yield "queue_jobs", "Jobs in a queue by state, as its broker says; absent when not known.", "gauge", depths
    ages = [(place, queue.latency_seconds) for place, queue in queues]
    yield "queue_latency_seconds", "Age of the oldest ready job; absent when not known.", "gauge", ages
    serving = [(place, queue.workers) for place, queue in queues]
    yield "queue_workers", "Live workers that serve a queue, as far as they say what they serve.", "gauge", serving
    scores = [(place, queue.health.score) for place, queue in queues]
    yield "queue_health_score", "Health of a queue, 0 to 100; absent when not known.", "gauge", scores


def _exceptions(scrape: Scrape) -> Family:
    counted = [(labels(zip((*TASK_LABELS, "type"), series, strict=True)), ended) for series, ended in scrape.exceptions]
    return "exceptions_total", "Executions that ended with an exception, by its type.", "counter", counted


def _server_families(servers: Sequence[ServerAnswer]) -> Iterator[Family]:
    hosts = [(labels((("server", server.hostname),)), server) for server in servers]
    # What a server told long ago says nothing of now: its health is unknown then, too.
    told = [(host, server) for host, server in hosts if server.health.status is not ServerStatus.UNKNOWN]
    fresh = [(host, server.sample) for host, server in told if server.sample is not None]

    def column(number: Callable[[ServerSample], float | None]) -> list[Sample]:
        return [(host, number(sample)) for host, sample in fresh]

    yield "server_cpu_ratio", "CPU in use, 0 to 1, of the container's limit where it has one.", "gauge", column(lambda each: each.cpu_ratio)
    loads = [
        (f'{host},minutes="{minutes}"', load)
        for host, sample in fresh
        for minutes, load in ((1, sample.load.over_1_minute), (5, sample.load.over_5_minutes), (15, sample.load.over_15_minutes))
    ]
    yield "server_load", "Load of the machine over so many minutes.", "gauge", loads
    yield "server_cores", "Cores online in the machine.", "gauge", column(lambda each: each.cpu.host_cores)
    text = "Memory in use, of the container where it has the limit."
    yield "server_memory_used_bytes", text, "gauge", column(lambda each: each.memory_bytes[0])
    text = "Memory that can be used: the container's limit, else what the machine has."
    yield "server_memory_limit_bytes", text, "gauge", column(lambda each: each.memory_bytes[1])
    # Each mount point once: where a long one was cut, another may read the same.
    disks = {f"{host},{labels((('mountpoint', disk.mountpoint),))}": disk for host, sample in fresh for disk in sample.disks or ()}
    used = [(place, disk.used_bytes) for place, disk in disks.items()]
    yield "server_disk_used_bytes", "Bytes in use on a file system.", "gauge", used
    available = [(place, disk.available_bytes) for place, disk in disks.items()]
    yield "server_disk_available_bytes", "Bytes that a user may still write.", "gauge", available
    scores = [(host, server.health.score) for host, server in told]
    yield "server_health_score", "Health of a server, 0 to 100; absent when not known.", "gauge", scores
    working = [(f'{host},state="{state}"', getattr(server.workers.counts, state)) for host, server in hosts for state in _WORKER_STATES]
    yield "server_workers", "Processes that execute jobs on a server, by state.", "gauge", working


def _baselines(scrape: Scrape) -> Iterator[Family]:
    places = [(labels(zip(TASK_LABELS, series, strict=True)), baseline) for series, baseline in scrape.baselines.items()]
    numbers: Sequence[tuple[str, str, Callable[[Baseline], float | None]]] = (
        (
            "runtime_seconds",
            "What an execution usually takes, by the days that are set for it.",
            lambda each: each.duration_seconds,
        ),
        ("cpu_ratio", "CPU time by run time that it usually takes; 1 is a whole core.", lambda each: each.cpu_ratio),
        ("memory_bytes", "Peak resident memory of the process that it usually has.", lambda each: each.memory_bytes),
        ("confidence_ratio", "How much the executions behind it tell, 0 to 1.", lambda each: each.confidence),
    )
    for name, text, number in numbers:
        yield f"baseline_{name}", text, "gauge", [(place, number(baseline)) for place, baseline in places]


def _own_families(scrape: Scrape, stale_seconds: float | None) -> Iterator[Family]:
    overview = scrape.overview
    workers = [(f'state="{state}"', getattr(overview.workers, state)) for state in _WORKER_STATES]
    yield "workers", "Processes that execute jobs, by state.", "gauge", workers
    text = "Busy time of all workers by all their time, 0 to 1, in the last minute that a collector counted."
    yield "workers_busy_ratio", text, "gauge", [("", scrape.busy_ratio)]
    dropped = [(labels((("reason", reason),)), number) for reason, number in (overview.dropped or {}).items()]
    text = "Records that spools of today had to drop, by reason; while any is here, the counts are too low."
    yield "dropped_records", text, "gauge", dropped
    if overview.waiting_records is not None:
        yield "waiting_records", "Records in spools that are not in the store yet.", "gauge", [("", overview.waiting_records)]
    if overview.drainer_age_seconds is not None:
        yield "drainer_age_seconds", "Age of the youngest heartbeat in the store.", "gauge", [("", overview.drainer_age_seconds)]
    yield "collector_up", "1 when a collector passed in the last two minutes.", "gauge", [("", int(overview.collector.running))]
    if overview.collector.last_pass_seconds is not None:
        age = overview.collector.last_pass_seconds
        yield "collector_age_seconds", "Since its last pass; absent when there was none.", "gauge", [("", age)]
    yield from of_the_store(stale_seconds)
    yield "build_info", "Version of this package.", "gauge", [(labels((("version", _core.__version__),)), 1)]


def of_the_store(stale_seconds: float | None) -> Iterator[Family]:
    """Whether it was read for a scrape, or how old what is told has become meanwhile."""
    yield "stale_seconds", "Age of these numbers if the store cannot be read now, else 0.", "gauge", [("", stale_seconds or 0)]
    yield "store_up", "1 when the store was read for these numbers.", "gauge", [("", int(stale_seconds is None))]
