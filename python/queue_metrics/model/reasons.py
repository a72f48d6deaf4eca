"""Why a field of an answer is None: one rule for each field that can be, made of what stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from queue_metrics.model.baselines import Baseline, BaselineAnswer, DeviationAnswer
from queue_metrics.model.collector import CollectorAnswer
from queue_metrics.model.footprint import Footprint
from queue_metrics.model.health import Health, QueueHealth
from queue_metrics.model.history import QueueHistory, TaskHistory
from queue_metrics.model.job_events import JobFailed, JobMeasured, JobRetried
from queue_metrics.model.jobs import JobAnswer
from queue_metrics.model.measures import CountedWindow, Distribution, Share, Sums, Total, Window
from queue_metrics.model.overview import Overview
from queue_metrics.model.queues import QueueAnswer
from queue_metrics.model.reasons_of_servers import SERVER_RULES
from queue_metrics.model.recency import WindowStatistics
from queue_metrics.model.task_details import ExceptionCount, ServerTask, TaskDetail
from queue_metrics.model.tasks import TaskAnswer
from queue_metrics.model.trends import EfficiencyStatistics, FlowEvidence, NoTrend, ThroughputStatistics, TrendAnswer, TrendLine, Verdict
from queue_metrics.model.workers import WorkerAnswer, WorkerSummary

Rule: TypeAlias = str | Callable[[Any], str]

_UNRECORDED = "nothing was recorded in the window"
_UNMEASURED = "nothing of it was measured in the window"
_NO_EXECUTION = "no execution was decided in the window, only retried or cancelled ones if any"
_NEVER = "it never happened, or not in the days that are kept; the lifetime tells these apart"
_NO_DRAINER = "no process reports: there is no heartbeat in the store"
_NO_SPOOL = "no process that hands over records reports"
_SEVERAL = "it is about several of them together"
_COLLECT = "`queue-metrics record-trends` each minute does it"
_UNMEASURED_EVER = "it was measured of no execution"
_OLDER_BASELINE = "it was calculated by an older version of this package"


def why(answer: object, field: str) -> str | None:
    """
    Why a field of an answer is None, in a sentence for people; None when it is not.

    Of a history it is why an entry of the field is None.

    Args:
        answer: any answer, or what an answer holds: `metrics.queue("redis", "mail")`, `task.runtime`.
        field: name of a field or property of it, without dots.

    Raises:
        AttributeError: the answer has no such field.
    """
    value = getattr(answer, field)
    if value is not None and not (isinstance(answer, (TaskHistory, QueueHistory)) and isinstance(value, tuple) and None in value):
        return None
    rule = rule_of(type(answer), field)
    return "it is not known" if rule is None else rule if isinstance(rule, str) else rule(answer)


def rule_of(kind: type, field: str) -> Rule | None:
    """The rule of a field, that of its own class before that of what it is derived from; None: there is none."""
    return next((RULES[each][field] for each in kind.__mro__ if field in RULES.get(each, ())), None)


def _all(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


def _quantile(answer: Distribution) -> str:
    return _UNMEASURED if not answer.n else "only sums are kept at this step; longer windows, or shorter ones, may have it"


def _summed(answer: Sums) -> str:
    return _UNMEASURED if not answer.n else "only sums and extremes are kept of it, whatever the window: it may be below zero"


def _totalled(answer: Total) -> str:
    return _UNMEASURED_EVER if not answer.n else "of everything ever measured only the sum is kept; a window may have it"


def _spread(answer: Distribution) -> str:
    return "a deviation needs two measurements" if answer.n < 2 else _quantile(answer)


def _error(answer: Distribution) -> str:
    return "there are no quantiles" if answer.p50 is None else "the lowest numbers were joined, and have no bound"


def _depth(answer: QueueAnswer) -> str:
    return answer.depth_reason or "the broker does not tell it"


def _latency(answer: QueueAnswer) -> str:
    return answer.depth_reason or ("no job waits" if answer.ready == 0 else "the oldest message does not say since when it waits")


def _due(answer: QueueAnswer) -> str:
    return answer.depth_reason or ("nothing is scheduled" if answer.scheduled == 0 else "the broker does not tell it")


def _utilisation(answer: QueueAnswer) -> str:
    return "no live worker says that it serves the queue" if not answer.workers else _UNRECORDED


def _running(answer: WorkerAnswer) -> str:
    return "nothing runs" if not answer.running else "what runs does not say"


def _busy(answer: WorkerAnswer) -> str:
    if answer.role != "worker":
        return "it executes nothing"
    if answer.state == "lost":
        return "of a lost worker nobody knows how long it did what it did last"
    return "it has just begun" if answer.state in ("idle", "busy") else f"it is {answer.state}, and was seen neither busy nor idle"


def _window_ratio(answer: WorkerSummary) -> str:
    return answer.window.reason or "no worker lived from one pass of the collector to the next in the window"


def _no_trend(answer: TrendAnswer) -> str:
    return answer.message or ""


def _mean_of_minutes(_: EfficiencyStatistics) -> str:
    return f"no pass of the collector in that time could read it of any worker; where none runs, {_COLLECT}"


def _score(answer: DeviationAnswer) -> str:
    return answer.message if not answer.available else "it was not measured in the baseline and in the newest executions both"


def _baseline_error(answer: Baseline, of: float | None) -> str:
    if answer.since is None:
        return _OLDER_BASELINE
    return _UNMEASURED_EVER if of is None else "an error needs executions in two minutes or hours, of each task of a queue"


RULES: Mapping[type, Mapping[str, Rule]] = MappingProxyType(
    {
        Window: _all("observed_from observed_until observed_seconds age_seconds", _UNRECORDED),
        CountedWindow: {
            **_all("observed_from observed_until observed_seconds age_seconds", lambda answer: answer.reason or ""),
            "reason": "a collector counted",
        },
        Distribution: {
            **_all("mean min max", _UNMEASURED),
            **_all("p50 p95 p99", _quantile),
            "deviation": _spread,
            "error_ratio": _error,
        },
        Sums: _all("p50 p95 p99 deviation", _summed),
        Total: _all("mean min max p50 p95 p99 deviation", _totalled),
        Share: _all("ratio low high", "there is nothing that it could be a share of"),
        WindowStatistics: {**_all("throughput_per_second busy_workers", _UNRECORDED), "mean_runtime_seconds": _UNMEASURED},
        TaskHistory: {
            **_all("ended failures", "nothing was recorded yet in that step"),
            "runtime_p95_seconds": "nothing ended in that step, or only sums are kept of it",
        },
        QueueHistory: {
            **_all("arrivals ended", "nothing was recorded yet in that step"),
            **_all("ready latency_seconds", "no broker told it in that step"),
        },
        TaskAnswer: {
            **_all("connection queue", _SEVERAL),
            **_all("throughput_per_second busy_workers", _UNRECORDED),
            "capacity_ratio": "nothing ran in the window, of any task",
            "healthy": _NO_EXECUTION,
            "error_ratio": lambda answer: _error(answer.runtime),
        },
        TaskDetail: {
            **_all("last_processed last_failed last_retried last_timed_out last_discarded last_exception last_exception_at", _NEVER),
            **_all("throughput_per_minute throughput_per_hour throughput_per_day", _UNRECORDED),
        },
        ExceptionCount: {"last": "it was raised longer ago than points are kept"},
        ServerTask: {"last_ended": "none ended there within the day"},
        JobAnswer: {"baseline": "nobody has calculated it, or the task runs on several queues, of which each has its own"},
        QueueAnswer: {
            **_all("ready reserved scheduled running depth empty", _depth),
            **_all("latency_seconds backlogged", _latency),
            "due_seconds": _due,
            "depth_age_seconds": _depth,
            "depth_reason": "the depth is known",
            **_all("arrivals_per_second starts_per_second ends_per_second", _UNRECORDED),
            "busy_ratio": _utilisation,
            "utilisation_ratio": _utilisation,
            "last_processed": "none succeeded in the window",
            "error_ratio": lambda answer: _error(answer.runtime),
        },
        Overview: {
            "throughput_per_second": _UNRECORDED,
            "ready": "the depth of no queue is known; each queue says why",
            **_all("latency_seconds latency_queue", "the age of the oldest job is known of no queue; each queue says why"),
            "drainer_age_seconds": _NO_DRAINER,
            **_all("waiting_records dropped", _NO_SPOOL),
            "error_ratio": lambda answer: _error(answer.runtime),
        },
        Health: {
            "score": lambda answer: answer.reasons[0].text,
            "age_seconds": "no heartbeat is kept",
        },
        QueueHealth: {"age_seconds": "no question to its broker is known in the last hour"},
        WorkerAnswer: {
            **_all("task job_id elapsed_seconds", _running),
            "busy_ratio": _busy,
            **_all("rss_bytes rss_peak_bytes", "its memory cannot be read"),
            "cpu_seconds": "its CPU time cannot be read",
            "cpu_ratio": lambda answer: answer.cpu_reason or "",
            "cpu_reason": "the share is known",
            "uptime_seconds": "it is not known when its process began",
            "since_state_seconds": "it has not said since when",
            **_all("busy_seconds idle_seconds", "it executes nothing"),
            **_all("utilisation_ratio utilisation_seconds", lambda answer: answer.utilisation_reason or ""),
            "utilisation_reason": "the share is known",
            "stuck": lambda answer: answer.stuck_reason or "",
            "stuck_reason": "it is not stuck",
            "supervisor_pid": "it is nobody's child",
        },
        WorkerSummary: {
            **_all("now_ratio lifetime_ratio", "no worker is live"),
            **_all("window_ratio window_seconds", _window_ratio),
            "jobs_per_worker": "no worker is known",
        },
        CollectorAnswer: {"last_pass_seconds": lambda answer: answer.message},
        Baseline: {
            "task": "it is of the whole queue",
            **_all("cpu_ratio memory_bytes", _UNMEASURED_EVER),
            **_all("since cpu_sample_count memory_sample_count", _OLDER_BASELINE),
            "duration_error_seconds": lambda answer: _baseline_error(answer, answer.duration_seconds),
            "cpu_error": lambda answer: _baseline_error(answer, answer.cpu_ratio),
            "memory_error_bytes": lambda answer: _baseline_error(answer, answer.memory_bytes),
        },
        DeviationAnswer: {
            **_all("duration_score cpu_score memory_score score", _score),
            **_all("since until age_seconds", lambda answer: answer.message),
        },
        BaselineAnswer: {
            **_all("baseline age_seconds", lambda answer: answer.message),
            "capacity": lambda answer: answer.capacity_reason or "",
            "capacity_reason": "it is known",
        },
        TrendAnswer: {
            "message": "there is nothing to say",
            **_all("connection queue", "it is about all queues"),
            "trend": _no_trend,
            "forecast": "there is a forecast of depths only",
            "age_seconds": _no_trend,
        },
        NoTrend: _all("statistics forecast", _no_trend),
        TrendLine: {"confidence": "it is told of depths only; the verdict says how sure a trend is"},
        Verdict: {
            **_all("probability slope_per_second slope_low slope_high margin_per_second", lambda answer: answer.reason),
            "relative_change_per_hour": lambda answer: answer.reason if answer.slope_per_second is None else "the mean of the window is 0",
            "flow": "a line through the points was judged, if anything; `reason` says which",
        },
        FlowEvidence: {"slots": "capacity was seen as a rate of starts"},
        ThroughputStatistics: {"jobs_per_second": "nobody recorded in the period"},
        EfficiencyStatistics: _all("avg_memory_mb avg_cpu_percent", _mean_of_minutes),
        Footprint: {"version": "the driver tells none", "points": "this store cannot count them"},
        JobMeasured: {
            **_all("memory_mb cpu_time_ms memory_incremental_mb", "it cannot be told apart from what else runs in the process"),
            "worker_memory_limit_mb": "the library has no such limit, or none is set",
        },
        JobFailed: {"exception_message": "it ended without an exception, or its process was being ended"},
        JobRetried: {"exception_message": "it ended without an exception"},
        **SERVER_RULES,
    }
)
"""By class and field; what an answer is derived from counts for it, too."""
