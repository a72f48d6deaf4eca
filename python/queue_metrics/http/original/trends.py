"""Trends and baselines as the original tells them."""

from __future__ import annotations

from typing import cast

from queue_metrics.http.original.trend_shapes import (
    OriginalBaseline,
    OriginalDepthTrend,
    OriginalEfficiencyTrend,
    OriginalForecast,
    OriginalQueueTrends,
    OriginalThroughputTrend,
    OriginalTimeWindow,
    OriginalTrend,
    OriginalTrendLine,
)
from queue_metrics.http.original.units import iso_if_known, megabytes, milliseconds, percent
from queue_metrics.insights.everything import Everything
from queue_metrics.model import Baseline, DepthTrend, EfficiencyTrend, Forecast, ThroughputTrend, TrendAnswer, TrendLine


def queue_trends(everything: Everything, connection: str, queue: str) -> OriginalQueueTrends:
    """Both trends of a queue in the last hour."""
    return {
        "depth": depth_trend(everything.depth_trend(connection, queue)),
        "throughput": throughput_trend(everything.throughput_trend(connection, queue)),
    }


def depth_trend(answer: DepthTrend) -> OriginalDepthTrend:
    """`/trends/queue-depth/{connection}/{queue}`."""
    told = cast(OriginalDepthTrend, {**_trend(answer), "connection": answer.connection, "queue": answer.queue})
    if answer.statistics is not None and answer.trend is not None and answer.forecast is not None:
        found = answer.statistics
        told["statistics"] = {
            "current": found.current,
            "average": found.average,
            "min": found.min,
            "max": found.max,
            "std_dev": found.std_dev,
        }
        told["trend"] = _line(answer.trend)
        told["forecast"] = _forecast(answer.forecast)
    return told


def throughput_trend(answer: ThroughputTrend) -> OriginalThroughputTrend:
    """`/trends/throughput/{connection}/{queue}`."""
    told = cast(OriginalThroughputTrend, {**_trend(answer), "connection": answer.connection, "queue": answer.queue})
    if answer.statistics is not None and answer.trend is not None:
        found = answer.statistics
        told["statistics"] = {
            "total_jobs": found.total_jobs,
            "average_per_interval": found.average_per_interval,
            "jobs_per_minute": found.jobs_per_minute,
            "jobs_per_hour": found.jobs_per_hour,
        }
        told["trend"] = _line(answer.trend)
    return told


def efficiency_trend(answer: EfficiencyTrend) -> OriginalEfficiencyTrend:
    """`/trends/worker-efficiency`."""
    told = cast(OriginalEfficiencyTrend, _trend(answer))
    found = answer.statistics
    if found is not None:
        told["efficiency"] = {"current": found.current, "average": found.average, "min": found.min, "max": found.max}
        told["resource_usage"] = {"avg_memory_mb": found.avg_memory_mb, "avg_cpu_percent": found.avg_cpu_percent}
        told["statistics"] = {**told["efficiency"], **told["resource_usage"]}
    return told


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


def _trend(answer: TrendAnswer) -> OriginalTrend:
    told: OriginalTrend = {
        "available": answer.available,
        "period_seconds": answer.period_seconds,
        "data_points": answer.data_points,
        "time_window": _time_window(answer),
        "verdict": answer.verdict,
    }
    if answer.message is not None:
        told["message"] = answer.message
    return told


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
    told: OriginalTrendLine = {"slope": answer.slope, "direction": answer.direction}
    if answer.confidence is not None:
        told["confidence"] = answer.confidence
    return told


def _forecast(answer: Forecast) -> OriginalForecast:
    return {"next_value": answer.next_value, "next_timestamp": answer.next_timestamp}
