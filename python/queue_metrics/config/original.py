"""The keys and variables of the original system: which have no setting here, and why; those that have one stand at the setting."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from queue_metrics.config.settings import DECLARATIONS

VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "enabled": "QUEUE_METRICS_ENABLED",
        "persistence.enabled": "QUEUE_METRICS_PERSISTENCE",
        "storage.driver": "QUEUE_METRICS_STORAGE",
        "storage.connection": "QUEUE_METRICS_CONNECTION",
        "storage.max_samples_per_key": "QUEUE_METRICS_MAX_SAMPLES",
    }
)
"""The environment variables of its keys."""

WITHOUT: Mapping[str, str] = MappingProxyType(
    {
        "storage.max_samples_per_key": "no samples are kept: every execution counts in the sketch of its minute",
        "storage.cleanup_chunk_size": "a sweep removes at most 200 rows in one transaction, `queue-metrics cleanup` as `--chunk` says",
        "windows.short, windows.medium, windows.long": "a window is a parameter of each question, `minutes`",
        "performance.batch_size": "a batch is as large as one script or transaction should be",
        "performance.percentile_samples": "percentiles come from all executions, with a stated error of 1.1 %",
        "performance.baseline_samples": "as `performance.percentile_samples`",
        "allowed_ips": "the server of HTTP listens to this machine unless told otherwise, and then asks for a token",
        "prometheus.enabled": "`/metrics` and `/prometheus` are always there, behind the token when there is one",
        "prometheus.cache_ttl": "answers are shared for a second by all who ask",
        "prometheus.middleware": "as `middleware`",
    }
)
"""Our answer to each key."""


def counterpart(variable: str) -> str | None:
    """What stands here for a variable of the original, as the end of a sentence; None when it is none of its own."""
    key = next((key for key, known in VARIABLES.items() if known == variable), None)
    if key is None:
        return None
    ours = next((each.variable for each in DECLARATIONS.values() if key in each.original), None)
    return f"; for `{key}` of the original there is " + (ours if ours is not None else f"none here: {WITHOUT[key]}")
