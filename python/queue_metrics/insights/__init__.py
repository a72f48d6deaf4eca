"""What is stored, made sense of: answers with their window, sample size and error. Knows no job library and no surface."""

from queue_metrics.insights.connecting import connect
from queue_metrics.insights.metrics import Asked, Metrics
from queue_metrics.insights.names import UnknownName

__all__ = ["Asked", "Metrics", "UnknownName", "connect"]
