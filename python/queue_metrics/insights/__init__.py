"""What is stored, made sense of: answers with their window, sample size and error. Knows no job library and no surface."""

from queue_metrics.insights.metrics import Metrics, UnknownName, connect

__all__ = ["Metrics", "UnknownName", "connect"]
