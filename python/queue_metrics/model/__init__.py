"""The answers: frozen, typed, with units; know neither the store nor any surface."""

from queue_metrics.model.baselines import Baseline, BaselineAnswer, CapacityEstimate, DeviationAnswer
from queue_metrics.model.collector import CollectorAnswer, PassAnswer
from queue_metrics.model.events import Event, EventsAnswer
from queue_metrics.model.footprint import Footprint
from queue_metrics.model.health import Health, QueueHealth, Reason
from queue_metrics.model.history import History, QueueHistory, TaskHistory
from queue_metrics.model.jobs import JobAnswer
from queue_metrics.model.measures import CountedWindow, Counts, Distribution, Histogram, Lifetime, Share, Sums, Total, Window
from queue_metrics.model.outcomes import Discard, Outcome, Status
from queue_metrics.model.overview import Overview, Snapshot
from queue_metrics.model.queues import QueueAnswer
from queue_metrics.model.recency import Moment, WindowStatistics
from queue_metrics.model.series import GAUGES, Gauge, SeriesAnswer, SeriesPoint
from queue_metrics.model.servers import (
    Advice,
    Capacity,
    ServerAnswer,
    ServerHealth,
    ServerJobs,
    ServerProcesses,
    ServerSample,
    ServerStatus,
)
from queue_metrics.model.task_details import ExceptionCount, ServerTask, TaskDetail
from queue_metrics.model.tasks import TaskAnswer
from queue_metrics.model.trends import (
    DepthStatistics,
    DepthTrend,
    Direction,
    EfficiencyStatistics,
    EfficiencyTrend,
    FlowEvidence,
    Forecast,
    NoTrend,
    ThroughputStatistics,
    ThroughputTrend,
    TimeWindow,
    TrendAnswer,
    TrendLine,
    Verdict,
)
from queue_metrics.model.workers import WorkerAnswer, WorkerCounts, WorkerSummary

__all__ = [
    "GAUGES",
    "Advice",
    "Baseline",
    "BaselineAnswer",
    "Capacity",
    "CapacityEstimate",
    "CollectorAnswer",
    "CountedWindow",
    "Counts",
    "DepthStatistics",
    "DepthTrend",
    "DeviationAnswer",
    "Direction",
    "Discard",
    "Distribution",
    "EfficiencyStatistics",
    "EfficiencyTrend",
    "Event",
    "EventsAnswer",
    "ExceptionCount",
    "FlowEvidence",
    "Footprint",
    "Forecast",
    "Gauge",
    "Health",
    "Histogram",
    "History",
    "JobAnswer",
    "Lifetime",
    "Moment",
    "NoTrend",
    "Outcome",
    "Overview",
    "PassAnswer",
    "QueueAnswer",
    "QueueHealth",
    "QueueHistory",
    "Reason",
    "SeriesAnswer",
    "SeriesPoint",
    "ServerAnswer",
    "ServerHealth",
    "ServerJobs",
    "ServerProcesses",
    "ServerSample",
    "ServerStatus",
    "ServerTask",
    "Share",
    "Snapshot",
    "Status",
    "Sums",
    "TaskAnswer",
    "TaskDetail",
    "TaskHistory",
    "ThroughputStatistics",
    "ThroughputTrend",
    "TimeWindow",
    "Total",
    "TrendAnswer",
    "TrendLine",
    "Verdict",
    "Window",
    "WindowStatistics",
    "WorkerAnswer",
    "WorkerCounts",
    "WorkerSummary",
]
