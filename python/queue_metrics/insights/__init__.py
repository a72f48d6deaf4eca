"""What is stored, made sense of: answers with their window, sample size and error. Knows no job library and no surface."""

from queue_metrics.insights.connecting import connect
from queue_metrics.insights.metrics import Metrics
from queue_metrics.insights.names import UnknownName
from queue_metrics.insights.window import Asked

__all__ = ["Asked", "Metrics", "UnknownName", "connect"]
