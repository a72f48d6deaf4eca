"""The index of the original: where each of its endpoints is to be had, grouped as there."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypedDict

from queue_metrics.http.original.overview_shapes import OriginalEndpoint

Group = Mapping[str, tuple[str, str, str]]
GET, POST = "GET", "POST"

ENDPOINTS: Mapping[str, tuple[str, str, str] | Group] = MappingProxyType(
    {
        "index": ("/", GET, "this index; a page, to browsers"),
        "health": ("/health", GET, "how the whole is; 503 when critical"),
        "overview": ("/overview", GET, "everything at a glance; ?full=1: everything"),
        "jobs": {
            "list": ("/jobs", GET, "every job class"),
            "show": ("/jobs/{class}", GET, "one job class over all of its queues"),
        },
        "queues": {
            "list": ("/queues", GET, "the names of all known queues"),
            "all": ("/queues/all", GET, "every known queue in full"),
            "show": ("/queues/{connection}/{queue}", GET, "one queue"),
            "depth": ("/queues/{connection}/{queue}/depth", GET, "its jobs, and since when the oldest waits"),
        },
        "workers": {
            "list": ("/workers", GET, "live workers, and how busy all of them were"),
            "all": ("/workers/all", GET, "every worker, and all together"),
            "status": ("/workers/status", GET, "heartbeats"),
            "status_show": ("/workers/status/{id}", GET, "one heartbeat"),
            "detect_stale": ("/workers/detect-stale", POST, "how many workers went silent"),
        },
        "servers": {
            "list": ("/servers", GET, "every server rolled up"),
            "index": ("/server", GET, "the last sample of one server"),
            "health": ("/server/health", GET, "how one server is"),
        },
        "trends": {
            "queue_depth": ("/trends/queue-depth/{connection}/{queue}", GET, "where the depth of a queue is heading"),
            "throughput": ("/trends/throughput/{connection}/{queue}", GET, "where its executions are heading"),
            "worker_efficiency": ("/trends/worker-efficiency", GET, "how busy the workers were"),
        },
        "prometheus": ("/prometheus", GET, "the original's series for Prometheus"),
    }
)

_EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "everything at a glance": "/overview",
        "one job class": "/jobs/app.send",
        "one queue": "/queues/redis/default",
        "is it well": "/health",
    }
)


class Index(TypedDict):
    """The part of the index that the original has."""

    message: str
    documentation: str
    endpoints: Mapping[str, OriginalEndpoint | Mapping[str, OriginalEndpoint]]
    examples: Mapping[str, str]


def index(root: str, address: str) -> Index:
    """
    The index.

    Args:
        root: the path at which the app is mounted.
        address: scheme, host and port where it was asked.
    """
    return {
        "message": "Queue metrics",
        "documentation": f"{root}/docs",
        "endpoints": {
            name: _endpoint(root, each) if isinstance(each, tuple) else {name: _endpoint(root, one) for name, one in each.items()}
            for name, each in ENDPOINTS.items()
        },
        "examples": {what: f"curl {address}{root}{path}" for what, path in _EXAMPLES.items()},
    }


def _endpoint(root: str, told: tuple[str, str, str]) -> OriginalEndpoint:
    path, method, description = told
    return {"url": f"{root}{path}", "method": method, "description": description}
