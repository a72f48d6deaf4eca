"""Answers of one thing in full, of what is usual, where it is heading and what is kept, as JSON objects and as CSV; as `encode`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from queue_metrics.http import encode
from queue_metrics.http.detail_shapes import (
    BaselineObject,
    SeriesPointObject,
    ServerObject,
    ServerTaskObject,
    WindowStatisticsObject,
    WorkerSummaryObject,
)
from queue_metrics.insights.series import KINDS
from queue_metrics.model import (
    GAUGES,
    BaselineAnswer,
    QueueAnswer,
    SeriesAnswer,
    SeriesPoint,
    ServerAnswer,
    ServerTask,
    TaskDetail,
    TrendAnswer,
    WindowStatistics,
    WorkerSummary,
)


def task_detail(answer: TaskDetail) -> dict[str, Any]:
    """`/v1/tasks/{task}`, without what every answer begins with."""
    return {
        **encode.task(answer),
        "healthy": answer.healthy,
        "success": answer.success,
        "lifetime_success": answer.lifetime_success,
        "by_queue": [encode.task(each) for each in answer.by_queue],
        "by_server": [_server_task(each) for each in answer.by_server],
        "windows": [_statistics(each) for each in answer.windows],
        "last_processed": answer.last_processed,
        "last_failed": answer.last_failed,
        "last_retried": answer.last_retried,
        "last_timed_out": answer.last_timed_out,
        "last_discarded": answer.last_discarded,
        "exceptions": answer.exceptions,
        "exceptions_window": encode.window(answer.exceptions_window),
        "last_exception": answer.last_exception,
        "last_exception_at": answer.last_exception_at,
    }


def queue_detail(answer: QueueAnswer) -> dict[str, Any]:
    """`/v1/queues/{connection}/{queue}`, without what every answer begins with."""
    return {
        **encode.queue(answer),
        "backlogged": answer.backlogged,
        "empty": answer.empty,
        "busy_ratio": answer.busy_ratio,
        "utilisation_ratio": answer.utilisation_ratio,
        "minute": _statistics(answer.minute),
        "last_processed": answer.last_processed,
    }


def server(answer: ServerAnswer) -> ServerObject:
    """An entry of `/v1/servers`."""
    sample = answer.sample
    return {
        "hostname": answer.hostname,
        "health": answer.health,
        "age_seconds": answer.age_seconds,
        "cpu_ratio": None if sample is None else sample.cpu_ratio,
        "memory_ratio": None if sample is None else sample.memory_ratio,
        "load_per_core": None if sample is None else sample.load_per_core,
        "sample": sample,
        "workers": worker_summary(answer.workers),
        "jobs": answer.jobs,
        "processes": answer.processes,
        "capacity": answer.capacity,
    }


def baseline(labels: tuple[str, ...], answer: BaselineAnswer) -> BaselineObject:
    """An entry of `/v1/baselines`, by its labels, since there may be none."""
    found = answer.baseline
    return {
        "connection": labels[0],
        "queue": labels[1],
        "task": labels[2] if len(labels) > 2 else None,
        "available": answer.available,
        "message": answer.message,
        "duration_seconds": None if found is None else found.duration_seconds,
        "cpu_ratio": None if found is None else found.cpu_ratio,
        "memory_bytes": None if found is None else found.memory_bytes,
        "sample_count": 0 if found is None else found.sample_count,
        "cpu_sample_count": None if found is None else found.cpu_sample_count,
        "memory_sample_count": None if found is None else found.memory_sample_count,
        "duration_error_seconds": None if found is None else found.duration_error_seconds,
        "cpu_error": None if found is None else found.cpu_error,
        "memory_error_bytes": None if found is None else found.memory_error_bytes,
        "since": None if found is None else found.since,
        "confidence": 0.0 if found is None else found.confidence,
        "calculated_at": None if found is None else found.calculated_at,
        "age_seconds": answer.age_seconds,
        "reliable": answer.reliable,
        "needs_more_samples": answer.needs_more_samples,
        "recent": answer.recent,
        "next_interval_minutes": answer.next_interval_minutes,
        "score": answer.deviation.score,
        "deviation": answer.deviation,
    }


def trend(answer: TrendAnswer) -> dict[str, Any]:
    """`/v1/trends/...`, without what every answer begins with: what the model has, under its names."""
    return {field.name: getattr(answer, field.name) for field in fields(answer)}


def series(answer: SeriesAnswer) -> dict[str, Any]:
    """`/v1/series`, without what every answer begins with."""
    return {
        "kind": answer.kind,
        "labels": dict(zip(KINDS[answer.kind][1], answer.labels, strict=True)),
        "n": answer.n,
        "points": [_point(each) for each in answer.points],
    }


def series_csv(answer: SeriesAnswer) -> str:
    """The points as lines of CSV (RFC 4180) under the names of their columns; what is unknown is empty."""
    text = io.StringIO()
    rows = [dict(_flat(_point(each))) for each in answer.points]
    writer = csv.DictWriter(text, _columns(answer.kind), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _columns(kind: str) -> list[str]:
    """The same for every answer of a kind, so that lines of two answers may be joined."""
    counts = [f"counts.{name}" for name in _COUNTS]
    measures = [f"{name}.{field}" for name in _MEASURES for field in _FIELDS]
    gauges = [f"gauges.{name}.{field}" for name in GAUGES.get(kind, ()) for field in ("n", "mean", "min", "max", "last", "last_at")]
    return ["at", *counts, *measures, *gauges]


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, object]]:
    if hasattr(value, "__dataclass_fields__"):
        value = {name: getattr(value, name) for name in value.__dataclass_fields__ if name != "unit"}
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _flat(part, f"{path}.{name}" if path else str(name))
    else:
        yield path, "" if value is None else value


_MEASURES = ("runtime_seconds", "wait_seconds", "cpu_seconds", "memory_peak_bytes", "memory_change_bytes")
_FIELDS = ("n", "sum", "mean", "p50", "p95", "p99", "min", "max", "deviation", "error_ratio")
_COUNTS = (
    *("started", "ended", "succeeded", "failed", "retried", "timed_out", "cancelled", "lost", "arrivals", "retries_following"),
    *("discarded.revoked", "discarded.expired", "discarded.rejected", "discarded.skipped", "discarded.unknown"),
    *("result_errors", "clock_skews"),
)


def _point(point: SeriesPoint) -> SeriesPointObject:
    return {
        "at": point.at,
        "counts": encode.counts(point.counts),
        "runtime_seconds": point.runtime,
        "wait_seconds": point.wait,
        **encode.cost(point),
        "gauges": point.gauges,
    }


def _statistics(answer: WindowStatistics) -> WindowStatisticsObject:
    return {
        "nominal_seconds": answer.nominal_seconds,
        "window": encode.window(answer.window),
        "n": answer.n,
        "failure": answer.failure,
        "throughput_per_second": answer.throughput_per_second,
        "mean_runtime_seconds": answer.mean_runtime_seconds,
        "busy_workers": answer.busy_workers,
    }


def _server_task(answer: ServerTask) -> ServerTaskObject:
    return {
        "server": answer.server,
        "counts": encode.counts(answer.counts),
        "failure": answer.failure,
        "runtime_seconds": answer.runtime,
        "last_ended": answer.last_ended,
    }


def worker_summary(answer: WorkerSummary) -> WorkerSummaryObject:
    """Workers together, without the window, which stands beside it."""
    return {
        "counts": encode.worker_counts(answer.counts),
        "now_ratio": answer.now_ratio,
        "lifetime_ratio": answer.lifetime_ratio,
        "window_ratio": answer.window_ratio,
        "window_seconds": answer.window_seconds,
        "jobs": answer.jobs,
        "jobs_per_worker": answer.jobs_per_worker,
    }
