"""Trends and baselines as the original tells them."""

from __future__ import annotations

from queue_metrics.http.original.trend_shapes import (
    OriginalBaseline,
    OriginalDepthTrend,
    OriginalEfficiency,
    OriginalEfficiencyTrend,
    OriginalNoQueueTrend,
    OriginalNoTrend,
    OriginalQueueTrend,
    OriginalQueueTrends,
    OriginalResourceUse,
    OriginalThroughputTrend,
    OriginalTimeWindow,
    OriginalTrend,
    OriginalTrendLine,
)
from queue_metrics.http.original.units import iso_if_known, megabytes, milliseconds, percent
from queue_metrics.insights.everything import Everything
from queue_metrics.model import Baseline, DepthTrend, EfficiencyTrend, NoTrend, ThroughputTrend, TrendAnswer, TrendLine


def queue_trends(everything: Everything, connection: str, queue: str) -> OriginalQueueTrends:
    """Both trends of a queue in the last hour."""
    return {
        "depth": depth_trend(everything.depth_trend(connection, queue)),
        "throughput": throughput_trend(everything.throughput_trend(connection, queue)),
    }


def depth_trend(answer: DepthTrend | NoTrend) -> OriginalDepthTrend | OriginalNoQueueTrend:
    """`/trends/queue-depth/{connection}/{queue}`."""
    if isinstance(answer, NoTrend):
        return _no_queue_trend(answer)
    found, line, forecast = answer.statistics, answer.trend, answer.forecast
    return {
        **_queue_trend(answer),
        "statistics": {
            "current": found.current,
            "average": found.average,
            "min": found.min,
            "max": found.max,
            "std_dev": found.std_dev,
        },
        "trend": {**_line(line), "confidence": line.confidence or 0.0},
        "forecast": {"next_value": forecast.next_value, "next_timestamp": forecast.next_timestamp},
    }


def throughput_trend(answer: ThroughputTrend | NoTrend) -> OriginalThroughputTrend | OriginalNoQueueTrend:
    """`/trends/throughput/{connection}/{queue}`."""
    if isinstance(answer, NoTrend):
        return _no_queue_trend(answer)
    found = answer.statistics
    return {
        **_queue_trend(answer),
        "statistics": {
            "total_jobs": found.total_jobs,
            "average_per_interval": found.average_per_interval,
            "jobs_per_minute": found.jobs_per_minute,
            "jobs_per_hour": found.jobs_per_hour,
        },
        "trend": _line(answer.trend),
    }


def efficiency_trend(answer: EfficiencyTrend | NoTrend) -> OriginalEfficiencyTrend | OriginalNoTrend:
    """`/trends/worker-efficiency`."""
    if isinstance(answer, NoTrend):
        return _no_trend(answer)
    found = answer.statistics
    busy: OriginalEfficiency = {"current": found.current, "average": found.average, "min": found.min, "max": found.max}
    use: OriginalResourceUse = {"avg_memory_mb": found.avg_memory_mb, "avg_cpu_percent": found.avg_cpu_percent}
    return {"available": True, **_trend(answer), "statistics": {**busy, **use}, "efficiency": busy, "resource_usage": use}


def baseline(answer: Baseline) -> OriginalBaseline:
    """What an execution usually costs."""
    return {
        "connection": answer.connection,
        "queue": answer.queue,
        "job_class": answer.task,
        "cpu_percent_per_job": percent(answer.cpu_ratio),
        "memory_mb_per_job": megabytes(answer.memory_bytes),
        "avg_duration_ms": milliseconds(answer.duration_seconds) or 0.0,
        "sample_count": answer.sample_count,
        "confidence_score": answer.confidence,
        "calculated_at": iso_if_known(answer.calculated_at),
    }


def _queue_trend(answer: DepthTrend | ThroughputTrend) -> OriginalQueueTrend:
    told: OriginalQueueTrend = {
        "available": True,
        "connection": answer.connection,
        "queue": answer.queue,
        "period_seconds": answer.period_seconds,
        "data_points": answer.data_points,
        "time_window": _time_window(answer),
        "verdict": answer.verdict,
    }
    if answer.message is not None:
        told["message"] = answer.message
    return told


def _no_trend(answer: NoTrend) -> OriginalNoTrend:
    return {"available": False, "message": answer.message, **_trend(answer)}


def _no_queue_trend(answer: NoTrend) -> OriginalNoQueueTrend:
    return {**_no_trend(answer), "connection": answer.connection or "", "queue": answer.queue or ""}


def _trend(answer: TrendAnswer) -> OriginalTrend:
    return {
        "period_seconds": answer.period_seconds,
        "data_points": answer.data_points,
        "time_window": _time_window(answer),
        "verdict": answer.verdict,
    }


def _time_window(answer: TrendAnswer) -> OriginalTimeWindow:
    window = answer.time_window
    return {
        "window_seconds": window.window_seconds,
        "window_start": iso_if_known(window.window_start),
        "window_end": iso_if_known(window.window_end),
        "analyzed_at": iso_if_known(window.analyzed_at),
        "sample_count": window.sample_count,
        "sample_interval_seconds": window.sample_interval_seconds,
    }


def _line(answer: TrendLine) -> OriginalTrendLine:
    return {"slope": answer.slope, "direction": answer.direction}
