"""Everything as Prometheus text: names fixed here, base units, counters that never fall, every outcome at zero from first sight on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from queue_metrics import _core
from queue_metrics.model import Discard, Histogram, Lifetime, Outcome, QueueAnswer, Snapshot, TaskAnswer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})

_Lines = Iterable[str]


def exposition(snapshot: Snapshot, stale_seconds: float | None) -> str:
    """
    The text of a scrape.

    Args:
        snapshot: what is told.
        stale_seconds: age of the snapshot if the store cannot be read now.
    """
    tasks = [(_labels(connection=task.connection, queue=task.queue, task=task.task), task) for task in snapshot.tasks]
    queues = [(_labels(connection=queue.connection, queue=queue.queue), queue) for queue in snapshot.queues]
    lines: list[str] = []
    for name, kind, text, samples in (*_task_families(tasks), *_queue_families(queues), *_own_families(snapshot, stale_seconds)):
        lines.append(f"# HELP queue_metrics_{name} {text}\n# TYPE queue_metrics_{name} {kind}\n")
        lines.extend(f"queue_metrics_{name}{sample}\n" for sample in samples)
    return "".join(lines)


_Family = tuple[str, str, str, _Lines]


def _task_families(tasks: list[tuple[str, TaskAnswer]]) -> Iterable[_Family]:
    def each(value: Callable[[Lifetime], float]) -> _Lines:
        return (f"{{{labels}}} {_number(value(task.lifetime))}" for labels, task in tasks)

    def split(label: str, values: Callable[[Lifetime], Mapping[Outcome, int] | Mapping[Discard, int]]) -> _Lines:
        for labels, task in tasks:
            for key, number in values(task.lifetime).items():
                yield f'{{{labels},{label}="{key}"}} {number}'

    def steps(histogram: Callable[[Lifetime], Histogram]) -> _Lines:
        for labels, task in tasks:
            yield from _histogram(labels, histogram(task.lifetime))

    def sums(value: Callable[[Lifetime], tuple[int, float]]) -> _Lines:
        for labels, task in tasks:
            n, total = value(task.lifetime)
            yield f"_sum{{{labels}}} {_number(total)}"
            yield f"_count{{{labels}}} {n}"

    yield "executions_total", "counter", "Executions that ended, by outcome.", split("outcome", lambda ever: ever.counts.outcomes)
    yield "started_total", "counter", "Executions that began.", each(lambda ever: ever.counts.started)
    yield "arrivals_total", "counter", "Jobs enqueued, once per job and attempt.", each(lambda ever: ever.counts.arrivals)
    yield (
        "retries_following_total",
        "counter",
        "Executions of any outcome after which another attempt follows.",
        each(lambda ever: ever.counts.retries_following),
    )
    yield (
        "discarded_total",
        "counter",
        "Jobs that ended without an execution, by reason.",
        split("reason", lambda ever: ever.counts.discarded),
    )
    yield (
        "result_errors_total",
        "counter",
        "Executions whose result could not be stored afterwards.",
        each(lambda ever: ever.counts.result_errors),
    )
    yield (
        "clock_skews_total",
        "counter",
        "Waits measured below zero between two clocks, which count as zero.",
        each(lambda ever: ever.counts.clock_skews),
    )
    yield "runtime_seconds", "histogram", "Start to end of an execution.", steps(lambda ever: ever.runtime)
    yield "wait_seconds", "histogram", "From the moment a job could run to its start.", steps(lambda ever: ever.wait)
    yield "cpu_seconds_total", "counter", "CPU time of executions, as far as it can be attributed.", each(lambda ever: ever.cpu.sum)
    yield (
        "memory_peak_bytes",
        "summary",
        "The larger of the resident memory of the process before and after an execution.",
        sums(lambda ever: (ever.memory_peak.n, ever.memory_peak.sum)),
    )
    yield (
        "memory_change_bytes",
        "summary",
        "Resident memory of the process after an execution less before.",
        sums(lambda ever: (ever.memory_change.n, ever.memory_change.sum)),
    )


def _queue_families(queues: list[tuple[str, QueueAnswer]]) -> Iterable[_Family]:
    def depths() -> _Lines:
        for labels, queue in queues:
            for state in ("ready", "reserved", "scheduled", "running"):
                number = getattr(queue, state)
                if number is not None:  # unknown is absent, never 0
                    yield f'{{{labels},state="{state}"}} {number}'

    def known(value: Callable[[QueueAnswer], float | None]) -> _Lines:
        for labels, queue in queues:
            number = value(queue)
            if number is not None:
                yield f"{{{labels}}} {_number(number)}"

    yield "queue_jobs", "gauge", "Jobs in a queue by state, as its broker says; absent when not known.", depths()
    yield (
        "queue_latency_seconds",
        "gauge",
        "Age of the oldest ready job; absent when not known.",
        known(lambda queue: queue.latency_seconds),
    )
    yield (
        "queue_workers",
        "gauge",
        "Live workers that serve a queue, as far as they say what they serve.",
        known(lambda queue: queue.workers),
    )
    yield "queue_health_score", "gauge", "Health of a queue, 0 to 100; absent when not known.", known(lambda queue: queue.health.score)


def _own_families(snapshot: Snapshot, stale_seconds: float | None) -> Iterable[_Family]:
    overview = snapshot.overview
    workers = overview.workers
    states = ("starting", "idle", "busy", "stopped", "stale", "lost")
    yield "workers", "gauge", "Processes that execute jobs, by state.", (f'{{state="{each}"}} {getattr(workers, each)}' for each in states)
    yield (
        "dropped_records",
        "gauge",
        "Records that spools of today had to drop, by reason; while any is here, the counts are too low.",
        (f"{{{_labels(reason=reason)}}} {number}" for reason, number in (overview.dropped or {}).items()),
    )
    if overview.waiting_records is not None:
        yield "waiting_records", "gauge", "Records in spools that are not in the store yet.", (f" {overview.waiting_records}",)
    if overview.drainer_age_seconds is not None:
        age = f" {_number(overview.drainer_age_seconds)}"
        yield "drainer_age_seconds", "gauge", "Age of the youngest heartbeat in the store.", (age,)
    yield "stale_seconds", "gauge", "Age of these numbers if the store cannot be read now, else 0.", (f" {_number(stale_seconds or 0)}",)
    yield "store_up", "gauge", "1 when the store was read for these numbers.", (f" {int(stale_seconds is None)}",)
    yield "build_info", "gauge", "Version of this package.", (f"{{{_labels(version=_core.__version__)}}} 1",)


def _histogram(labels: str, histogram: Histogram) -> _Lines:
    for bound, number in zip(histogram.bounds_seconds, histogram.cumulative, strict=True):
        yield f'_bucket{{{labels},le="{bound:g}"}} {number}'
    yield f'_bucket{{{labels},le="+Inf"}} {histogram.n}'
    yield f"_sum{{{labels}}} {_number(histogram.sum_seconds)}"
    yield f"_count{{{labels}}} {histogram.n}"


def _labels(**labels: str | None) -> str:
    return ",".join(f'{name}="{(text or "").translate(_ESCAPES)}"' for name, text in labels.items())


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
