"""The original's Prometheus text: its names, labels and units (percent, megabytes, seconds), with the numbers made true."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter

from queue_metrics.http.original.jobs import ended_per
from queue_metrics.http.original.workers import brought_to_an_end, count
from queue_metrics.http.prometheus import Family, Sample, labels, of_the_store, rendered
from queue_metrics.insights.everything import Everything
from queue_metrics.insights.figures import TaskFigures
from queue_metrics.model import (
    Baseline,
    CollectorAnswer,
    Counts,
    EfficiencyTrend,
    NoTrend,
    Outcome,
    QueueAnswer,
    ServerAnswer,
)
from queue_metrics.model.servers import ServerSample, ServerStatus
from queue_metrics.storage.base import MINUTE

MEGABYTE = 1 << 20
_COLLECTOR = "1 when a collector passed in the last two minutes; at 0 run queue-metrics record-trends each minute."


def text(everything: Everything, namespace: str, collector: CollectorAnswer, stale_seconds: float | None) -> bytes:
    """
    The text of a scrape, UTF-8.

    Args:
        everything: what is told.
        namespace: stands before every name but those of servers, which never had one.
        collector: whether one runs.
        stale_seconds: age of what is told if the store cannot be read now.
    """
    families = (
        *_queues(everything.queues),
        *_tasks(everything.task_figures),
        *_sums([task.lifetime for task in everything.task_figures]),
        *_workers(everything),
        *_baselines(everything.baselines.values()),
        *_depth_trends(everything),
        *_efficiency_trend(everything.efficiency_trend),
        ("collector_up", _COLLECTOR, "gauge", [("", int(collector.running))]),
        *of_the_store(stale_seconds),
    )
    return rendered(f"{namespace}_", families) + rendered("", _servers(everything.servers))


def _queues(queues: Sequence[QueueAnswer]) -> Iterator[Family]:
    yield "queues_total", "Known queues.", "gauge", [("", len(queues))]
    places = [(labels((("queue", queue.queue), ("connection", queue.connection))), queue) for queue in queues]

    def column(number: Callable[[QueueAnswer], float | None]) -> list[Sample]:
        return [(place, number(queue)) for place, queue in places]

    yield "queue_depth_pending", "Jobs that could run now.", "gauge", column(lambda queue: queue.ready)
    yield "queue_depth_delayed", "Jobs that may only run later.", "gauge", column(lambda queue: queue.scheduled)
    yield "queue_depth_reserved", "Jobs that a worker took.", "gauge", column(lambda queue: queue.reserved)
    yield "queue_depth_total", "Jobs pending, delayed and reserved, as far as these are known.", "gauge", column(lambda queue: queue.depth)
    yield "queue_oldest_job_seconds", "Age of the oldest pending job.", "gauge", column(lambda queue: queue.latency_seconds)
    yield (
        "queue_throughput_per_minute",
        "Executions ended in the last whole minute.",
        "gauge",
        column(lambda queue: ended_per(queue.minute, MINUTE)),
    )
    yield (
        "queue_failure_rate_percent",
        "Failed executions among the decided ones, ever.",
        "gauge",
        column(lambda queue: failure_percent(queue.lifetime.counts)),
    )
    yield (
        "queue_utilization_rate_percent",
        "Run time of the last hour by the time of the live workers that serve it.",
        "gauge",
        column(lambda queue: _times(queue.utilisation_ratio, 100)),
    )


_TASK_COLUMNS: Sequence[tuple[str, str, str, Callable[[TaskFigures], float | None]]] = (
    (
        "job_duration_p50_seconds",
        "50 % of the run times of the last hour are not longer.",
        "gauge",
        lambda task: task.runtime.p50,
    ),
    (
        "job_duration_p95_seconds",
        "95 % of the run times of the last hour are not longer.",
        "gauge",
        lambda task: task.runtime.p95,
    ),
    (
        "job_duration_p99_seconds",
        "99 % of the run times of the last hour are not longer.",
        "gauge",
        lambda task: task.runtime.p99,
    ),
    ("job_duration_max_seconds", "The longest run time of the last hour.", "gauge", lambda task: task.runtime.max),
    (
        "job_memory_peak_megabytes",
        "The highest resident memory of the process with an execution, of the clock hours that hold the last hour.",
        "gauge",
        lambda task: _by(task.memory_peak.max, MEGABYTE),
    ),
    ("job_memory_p95_megabytes", "95 % of the same are at or below it.", "gauge", lambda task: _by(task.memory_peak.p95, MEGABYTE)),
    ("job_memory_p99_megabytes", "99 % of the same are at or below it.", "gauge", lambda task: _by(task.memory_peak.p99, MEGABYTE)),
    (
        "job_memory_avg_incremental_megabytes",
        "Resident memory after an execution less before, mean of all ever.",
        "gauge",
        lambda task: _by(task.memory_change_mean, MEGABYTE),
    ),
    ("job_processed_total", "Executions that succeeded.", "counter", lambda task: processed(task.lifetime)),
    ("job_failed_total", "Executions that failed, timed out or were lost.", "counter", lambda task: task.lifetime.failures),
    (
        "job_debounced_total",
        "Jobs that ended without an execution, for any reason.",
        "counter",
        lambda task: debounced(task.lifetime),
    ),
    (
        "job_success_rate_percent",
        "Succeeded executions among the decided ones, ever.",
        "gauge",
        lambda task: success_percent(task.lifetime),
    ),
    (
        "job_failure_rate_percent",
        "Failed executions among the decided ones, ever.",
        "gauge",
        lambda task: failure_percent(task.lifetime),
    ),
    (
        "job_throughput_per_minute",
        "Executions ended in the last whole minute.",
        "gauge",
        lambda task: task.ended_last_minute,
    ),
    (
        "job_throughput_per_hour",
        "Executions ended in the last 60 whole minutes.",
        "gauge",
        lambda task: task.ended_last_hour,
    ),
)


def _tasks(tasks: Sequence[TaskFigures]) -> Iterator[Family]:
    places = [(_of_task(task.connection, task.queue, task.task), task) for task in tasks]
    for name, meaning, kind, number in _TASK_COLUMNS:
        yield name, meaning, kind, [(place, number(task)) for place, task in places]


def _sums(counted: Sequence[Counts]) -> Iterator[Family]:
    yield "jobs_processed_total", "Executions that succeeded, of all tasks.", "counter", [("", sum(map(processed, counted)))]
    failures = sum(each.failures for each in counted)
    yield "jobs_failed_total", "Executions that failed, timed out or were lost, of all tasks.", "counter", [("", failures)]


def _workers(everything: Everything) -> Iterator[Family]:
    counted, busy = count(everything.summary), _times(everything.summary.now_ratio, 100)
    for name, meaning, kind, number in (
        ("worker_count_total", "Workers that live.", "gauge", counted["total"]),
        ("worker_count_active", "Workers that live and execute something now.", "gauge", counted["active"]),
        ("worker_count_idle", "Workers that live and execute nothing now.", "gauge", counted["idle"]),
        ("worker_utilization_percent", "Busy workers among the live ones.", "gauge", busy),
        ("worker_idle_percent", "Idle workers among the live ones.", "gauge", None if busy is None else 100 - busy),
        (
            "worker_jobs_processed_total",
            "Executions that workers brought to an end, whatever the outcome.",
            "counter",
            brought_to_an_end(everything),
        ),
    ):
        yield name, meaning, kind, [("", number)]


def _baselines(baselines: Iterable[Baseline]) -> Iterator[Family]:
    # An empty label is none to Prometheus: so a whole queue has the original's labels, and each name one set of them. A task without
    # a name would be the whole queue, which stands for both.
    by_place = {_of_task(each.connection, each.queue, each.task or ""): each for each in sorted(baselines, key=_whole_queues_last)}
    numbers: Sequence[tuple[str, str, Callable[[Baseline], float | None]]] = (
        ("cpu_percent_per_job", "CPU time by run time.", lambda each: _times(each.cpu_ratio, 100)),
        ("memory_mb_per_job", "Peak resident memory of the process, MB.", lambda each: _by(each.memory_bytes, MEGABYTE)),
        ("duration_ms", "Run time, ms.", lambda each: each.duration_seconds * 1000),
        ("confidence_score", "How much its executions tell, 0 to 1.", lambda each: each.confidence),
        ("sample_count", "Executions that it is made of.", lambda each: each.sample_count),
    )
    for name, meaning, number in numbers:
        text = f"Baseline of a task, or of a queue where job is empty. {meaning}"
        yield f"baseline_{name}", text, "gauge", [(place, number(each)) for place, each in by_place.items()]


def _whole_queues_last(baseline: Baseline) -> tuple[bool, tuple[str, ...]]:
    return baseline.task is None, baseline.labels


def _depth_trends(everything: Everything) -> Iterator[Family]:
    found = [everything.depth_trend(queue.connection, queue.queue) for queue in everything.queues]
    places = [(labels((("connection", each.connection or ""), ("queue", each.queue or ""))), each) for each in found if each.available]
    for name, meaning, number in (
        ("current", "Pending jobs at the last point.", attrgetter("statistics.current")),
        ("average", "Mean of the points.", attrgetter("statistics.average")),
        ("min", "The lowest point.", attrgetter("statistics.min")),
        ("max", "The highest point.", attrgetter("statistics.max")),
        ("stddev", "Standard deviation of the points.", attrgetter("statistics.std_dev")),
        ("slope", "Change in a second, of the line through the points.", attrgetter("trend.slope")),
        ("confidence", "R squared of that line, 0 to 1.", attrgetter("trend.confidence")),
        ("forecast", "That line a minute behind the last point.", attrgetter("forecast.next_value")),
        ("data_points", "Points, one a minute.", attrgetter("data_points")),
    ):
        samples = [(place, number(each)) for place, each in places]
        yield f"queue_depth_trend_{name}", f"Depth of a queue in the last hour. {meaning}", "gauge", samples


def _efficiency_trend(trend: EfficiencyTrend | NoTrend) -> Iterator[Family]:
    for name, meaning, field in (
        ("current", "Busy time by all time at the last point, %.", "current"),
        ("average", "Busy time by all time, %.", "average"),
        ("min", "The lowest point, %.", "min"),
        ("max", "The highest point, %.", "max"),
        ("memory_mb", "Mean resident memory of a worker, MB.", "avg_memory_mb"),
        ("cpu_percent", "Mean share of CPU of a worker, %; 100 is one core.", "avg_cpu_percent"),
    ):
        number = None if trend.statistics is None else getattr(trend.statistics, field)
        yield f"worker_efficiency_trend_{name}", f"All workers in the last hour. {meaning}", "gauge", [("", number)]
    yield "worker_efficiency_trend_data_points", "Minutes of the last hour that a collector counted.", "gauge", [("", trend.data_points)]


def _servers(servers: Sequence[ServerAnswer]) -> Iterator[Family]:
    # The original told of the one machine that answered. Of several each needs a name, or Prometheus refuses all.
    # What a server told long ago says nothing of now: its health is unknown then, too.
    fresh = [(each.hostname, each.sample) for each in servers if each.health.status is not ServerStatus.UNKNOWN and each.sample is not None]
    hosts = [(labels((("hostname", hostname),)), sample) for hostname, sample in fresh]
    numbers: Sequence[tuple[str, str, Callable[[ServerSample], float | None]]] = (
        ("cpu_usage_percent", "CPU in use, of the container's limit where it has one.", lambda each: _times(each.cpu_ratio, 100)),
        ("cpu_load_1min", "Load of the machine over 1 minute.", lambda each: each.load.over_1_minute),
        ("cpu_load_5min", "The same over 5 minutes.", lambda each: each.load.over_5_minutes),
        ("cpu_load_15min", "The same over 15 minutes.", lambda each: each.load.over_15_minutes),
        ("memory_usage_percent", "Memory in use, of the container's limit where it has one.", lambda each: _times(each.memory_ratio, 100)),
        ("memory_used_bytes", "Memory in use in the machine.", lambda each: each.memory.used_bytes),
        ("memory_total_bytes", "Memory of the machine.", lambda each: each.memory.total_bytes),
    )
    for name, meaning, number in numbers:
        yield f"server_{name}", meaning, "gauge", [(host, number(sample)) for host, sample in hosts]
    # Each mount point once: where a long one was cut, another may read the same.
    disks = {
        labels((("hostname", hostname), ("mountpoint", disk.mountpoint))): disk for hostname, sample in fresh for disk in sample.disks or ()
    }
    usage = [(place, _times(disk.usage_ratio, 100)) for place, disk in disks.items()]
    yield "server_disk_usage_percent", "File system in use, as df says it.", "gauge", usage
    yield "server_disk_used_bytes", "Bytes in use on a file system.", "gauge", [(place, disk.used_bytes) for place, disk in disks.items()]


def processed(counts: Counts) -> int:
    """What the original calls processed: executions that succeeded."""
    return counts.outcomes[Outcome.SUCCEEDED]


def debounced(counts: Counts) -> int:
    """What comes nearest to the original's debounced jobs: those that ended without an execution."""
    return sum(counts.discarded.values())


def success_percent(counts: Counts) -> float | None:
    """Of the executions that were decided; None: none was."""
    decided = processed(counts) + counts.failures
    return processed(counts) / decided * 100 if decided else None


def failure_percent(counts: Counts) -> float | None:
    """The rest of them."""
    decided = processed(counts) + counts.failures
    return counts.failures / decided * 100 if decided else None


def _of_task(connection: str, queue: str, task: str) -> str:
    return labels((("job", task), ("queue", queue), ("connection", connection)))


def _times(number: float | None, by: float) -> float | None:
    return None if number is None else number * by


def _by(number: float | None, unit: float) -> float | None:
    return None if number is None else number / unit
