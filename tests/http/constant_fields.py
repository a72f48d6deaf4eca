"""What may stay constant or be absent in answers, by full path and with the reason; `test_fields` holds it against every answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_TRENDS_OF_THE_LAST_HOUR = (
    "/overview.data.queues.{}.trends.depth",
    "/overview.data.queues.{}.trends.throughput",
    "/overview.data.trends.queue_depth.{}",
    "/overview.data.trends.worker_efficiency",
    "/queues/all.data.{}.trends.depth",
    "/queues/all.data.{}.trends.throughput",
    "/queues/{connection}/{queue}.data.trends.depth",
    "/queues/{connection}/{queue}.data.trends.throughput",
    "/workers.data.efficiency_trend",
)
_DISTRIBUTIONS = {
    "/v1/overview": ("runtime_seconds", "wait_seconds"),
    "/v1/tasks.tasks[]": ("runtime_seconds", "wait_seconds", "cpu_seconds", "memory_peak_bytes", "memory_change_bytes"),
    "/v1/queues.queues[]": ("runtime_seconds", "wait_seconds"),
    "/v1/tasks/{task}": ("runtime_seconds", "wait_seconds", "cpu_seconds", "memory_peak_bytes", "memory_change_bytes"),
    "/v1/tasks/{task}.by_queue[]": ("runtime_seconds", "wait_seconds", "cpu_seconds", "memory_peak_bytes", "memory_change_bytes"),
    "/v1/tasks/{task}.by_server[]": ("runtime_seconds",),
    "/v1/queues/{connection}/{queue}": ("runtime_seconds", "wait_seconds"),
    "/v1/series.points[]": ("runtime_seconds", "wait_seconds", "cpu_seconds", "memory_peak_bytes", "memory_change_bytes"),
}


def _each(places: Iterable[str], *fields: str) -> tuple[str, ...]:
    return tuple(f"{place}.{field}" for place in places for field in fields)


CONSTANT: Mapping[str, tuple[str, ...]] = {
    "a version": (
        "/overview.data.metadata.package_version",
        "/overview.data.metadata.framework_version",
        "/v1/footprint.footprint.version",
    ),
    "it is of the last hour, in minutes, whatever is asked": (
        *_each(_TRENDS_OF_THE_LAST_HOUR, "period_seconds", "time_window.window_seconds", "time_window.sample_interval_seconds"),
        "/v1/workers.window.step_seconds",
        "/v1/workers/{id}.window.step_seconds",
    ),
    "the original has no parameter for it": (
        "/trends/throughput/{connection}/{queue}.time_window.sample_interval_seconds",
        "/trends/worker-efficiency.time_window.sample_interval_seconds",
    ),
    "its windows are a minute, 5, 15 and 60 minutes and a day": (
        "/overview.data.jobs.{}.window_stats[].window_seconds",
        "/overview.data.jobs.{}.by_queue[].window_stats[].window_seconds",
        "/jobs.data.{}.window_stats[].window_seconds",
        "/jobs.data.{}.by_queue[].window_stats[].window_seconds",
        "/v1/tasks/{task}.windows[].nominal_seconds",
        "/v1/tasks/{task}.windows[].window.step_seconds",
    ),
    "it is of the last whole minute": (
        "/overview.data.queues.{}.performance_60s.window_seconds",
        "/queues/all.data.{}.performance_60s.window_seconds",
        "/v1/queues/{connection}/{queue}.minute.nominal_seconds",
        "/v1/queues/{connection}/{queue}.minute.window.step_seconds",
        "/v1/queues/{connection}/{queue}.minute.window.observed_seconds",
    ),
    "what happens on a server, and exceptions, are kept by the hour": (
        "/v1/tasks/{task}.by_server[].last_ended.resolution_seconds",
        "/v1/tasks/{task}.exceptions[].last.resolution_seconds",
        "/v1/tasks/{task}.last_exception_at.resolution_seconds",
    ),
    "flow is evidence about depths alone": (
        *(f"{place}.verdict.flow" for place in _TRENDS_OF_THE_LAST_HOUR if "depth" not in place),
        "/trends/throughput/{connection}/{queue}.verdict.flow",
        "/trends/worker-efficiency.verdict.flow",
        "/v1/trends/throughput/{connection}/{queue}.verdict.flow",
        "/v1/trends/efficiency.verdict.flow",
    ),
    "the original tells R squared of depths alone": (
        "/v1/trends/throughput/{connection}/{queue}.trend.confidence",
        "/v1/trends/efficiency.trend.confidence",
    ),
    "it is about all queues": (
        "/v1/trends/efficiency.connection",
        "/v1/trends/efficiency.queue",
    ),
    "a unit": tuple(f"{place}.{name}.unit" for place, names in _DISTRIBUTIONS.items() for name in names),
    "it may be negative, and a sketch holds no negative number": tuple(
        f"{place}.memory_change_bytes.{field}"
        for place, names in _DISTRIBUTIONS.items()
        if "memory_change_bytes" in names
        for field in ("p50", "p95", "p99", "deviation", "error_ratio")
    ),
    "it is of totals, which hold no sketch": _each(
        ("/v1/tasks/{task}.by_server[].runtime_seconds",), "p50", "p95", "p99", "min", "max", "deviation", "error_ratio"
    ),
    "a baseline of a queue is of no class": (
        "/overview.data.queues.{}.baseline.job_class",
        "/overview.data.baselines.{}.job_class",
        "/queues/all.data.{}.baseline.job_class",
    ),
    "it is there only where a sample is": (
        "/overview.data.servers.{}.server_resources.available",
        "/servers.data.{}.server_resources.available",
    ),
    "only those that are there are listed": ("/v1/baselines.baselines[].available",),
}
"""
By the reason what stays as it is. An object stands for all of its fields: it is null wherever it may be.

Places with one shape are put together here; each path that comes out is that of one field.
"""

OF_THE_KIND = ("/overview.data.metadata.storage_driver", "/v1/footprint.footprint.driver")
"""The same in all stores of one kind, and in no store of another."""

NEVER_OF: Mapping[str, tuple[str, ...]] = {"sqlite": (), "redis": ("/v1/footprint.footprint.points",)}
"""What a kind of store cannot know: Redis does not count its points."""

OPTIONAL: Mapping[str, str] = {
    **dict.fromkeys(
        _each((place for place in _TRENDS_OF_THE_LAST_HOUR if "efficiency" not in place), "message"),
        "of a known trend it says what of the question was changed, as the original says nothing where nothing was",
    ),
    "/trends/queue-depth/{connection}/{queue}.message": "the same",
    "/trends/throughput/{connection}/{queue}.message": "the same",
    "/overview.data.servers.{}.server_resources": "absent without a fresh sample, as in the original",
    "/servers.data.{}.server_resources": "the same",
    **dict.fromkeys(
        _each(("/.routes.{}.parameters.{}",), "minimum", "maximum", "minLength", "enum", "default"),
        "JSON Schema of a parameter, which has bounds, choices or a default, or has none",
    ),
}
"""What may be absent, and why."""
