"""Jobs, which are tasks here, as the original tells them."""

from __future__ import annotations

from queue_metrics.http.original.shapes import (
    OriginalClass,
    OriginalClassOfQueue,
    OriginalExecution,
    OriginalJob,
    OriginalJobOfQueue,
    OriginalJobReply,
    OriginalJobsReply,
    OriginalWindow,
)
from queue_metrics.http.original.trends import baseline
from queue_metrics.http.original.units import iso, iso_if_known, megabytes, milliseconds, percent, rounded
from queue_metrics.insights.everything import Everything
from queue_metrics.model import Counts, JobAnswer, Outcome, TaskDetail, WindowStatistics
from queue_metrics.storage.base import DAY, HOUR, MINUTE


def jobs(everything: Everything) -> OriginalJobsReply:
    """`/jobs`: every job class by its name."""
    return {"data": {each.detail.task: job(each, everything.now) for each in everything.jobs}}


def job_class(everything: Everything, name: str) -> OriginalJobReply:
    """
    `/jobs/{class}`: one job class.

    Raises:
        UnknownName: nothing of this name was ever recorded.
    """
    return {"data": _class(everything.job(name), everything.now)}


def job(answer: JobAnswer, now: float) -> OriginalJob:
    """A job class over all of its queues, and on each."""
    return {**_of_queue(answer, now), "by_queue": [_of_queue(each, now) for each in answer.queues]}


def failure_rate(counts: Counts) -> float | None:
    """Failures among the executions that were decided, %; None when none was."""
    decided = counts.outcomes[Outcome.SUCCEEDED] + counts.failures
    return percent(counts.failures / decided) if decided else None


def execution(counts: Counts) -> OriginalExecution:
    """What was counted, ever."""
    failed = failure_rate(counts)
    return {
        "total_processed": counts.outcomes[Outcome.SUCCEEDED],
        "total_failed": counts.failures,
        "total_debounced": sum(counts.discarded.values()),
        "success_rate": None if failed is None else rounded(100 - failed),
        "failure_rate": failed,
    }


def ended(answer: TaskDetail, seconds: int) -> float | None:
    """How many executions ended in the last `seconds`, one of the windows; None: nothing was recorded in them."""
    return ended_per(next(each for each in answer.windows if each.nominal_seconds == seconds), seconds)


def ended_per(answer: WindowStatistics, seconds: int) -> float | None:
    """The same for each `seconds` of a window, by its whole length, as the original divides."""
    return None if answer.window.observed_from is None else rounded(answer.n * seconds / answer.nominal_seconds)


def _of_queue(answer: JobAnswer, now: float) -> OriginalJobOfQueue:
    detail, counts = answer.detail, answer.detail.lifetime.counts
    runtime, memory, cpu = detail.runtime, answer.memory_peak, answer.cpu
    return {
        "job_class": detail.task,
        "connection": detail.connection,
        "queue": detail.queue,
        "execution": execution(counts),
        "duration": {
            "avg": milliseconds(runtime.mean),
            "min": milliseconds(runtime.min),
            "max": milliseconds(runtime.max),
            "p50": milliseconds(runtime.p50),
            "p95": milliseconds(runtime.p95),
            "p99": milliseconds(runtime.p99),
            "stddev": milliseconds(runtime.deviation),
        },
        "memory": {
            "avg": megabytes(memory.mean),
            "avg_incremental": megabytes(detail.lifetime.memory_change.mean),
            "peak": megabytes(memory.max),
            "p95": megabytes(memory.p95),
            "p99": megabytes(memory.p99),
        },
        "cpu": {
            "avg": milliseconds(cpu.mean),
            "peak": milliseconds(cpu.max),
            "p95": milliseconds(cpu.p95),
            "p99": milliseconds(cpu.p99),
        },
        "throughput": {
            "per_minute": ended(detail, MINUTE),
            "per_hour": ended(detail, HOUR),
            "per_day": ended(detail, DAY),
        },
        "failures": {
            "count": counts.failures,
            "rate": failure_rate(counts),
            "last_failed_at": iso_if_known(None if detail.last_failed is None else detail.last_failed.at),
            "last_exception": detail.last_exception,
        },
        "window_stats": [_window(each) for each in detail.windows],
        "baseline": None if answer.baseline is None else baseline(answer.baseline),
        "calculated_at": iso(now),
    }


def _window(answer: WindowStatistics) -> OriginalWindow:
    return {
        "window_seconds": answer.nominal_seconds,
        "jobs_processed": answer.n,
        "avg_duration": milliseconds(answer.mean_runtime_seconds),
        "throughput": ended_per(answer, MINUTE),
    }


def _class(answer: JobAnswer, now: float) -> OriginalClass:
    detail, counts = answer.detail, answer.detail.lifetime.counts
    return {
        "job_class": detail.task,
        "total_executions": counts.outcomes[Outcome.SUCCEEDED],
        "total_failures": counts.failures,
        "avg_duration_ms": milliseconds(detail.runtime.mean),
        "avg_memory_mb": megabytes(answer.memory_peak.mean),
        "avg_cpu_time_ms": milliseconds(answer.cpu.mean),
        "failure_rate": failure_rate(counts),
        "throughput_per_minute": ended(detail, MINUTE),
        "by_queue": [_class_of_queue(each) for each in answer.queues],
        "calculated_at": iso(now),
    }


def _class_of_queue(answer: JobAnswer) -> OriginalClassOfQueue:
    detail, counts = answer.detail, answer.detail.lifetime.counts
    return {
        "connection": detail.connection,
        "queue": detail.queue,
        "executions": counts.outcomes[Outcome.SUCCEEDED],
        "failures": counts.failures,
        "avg_duration_ms": milliseconds(detail.runtime.mean),
        "avg_memory_mb": megabytes(answer.memory_peak.mean),
        "failure_rate": failure_rate(counts),
        "throughput_per_minute": ended(detail, MINUTE),
    }
