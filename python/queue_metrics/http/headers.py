"""Headers that tell of the reading behind an answer: which routes have them, what they say, what they mean. Knows no answer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from queue_metrics.http.routes import Access, Route
from queue_metrics.http.shared import Held

STALE = "Queue-Metrics-Stale"
COLLECTOR = "Queue-Metrics-Collector"

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        STALE: "seconds since the store could be read last; absent while it can be",
        COLLECTOR: "one sentence that names the command, where no collector runs; absent where one does",
    }
)


def headers_of(route: Route) -> tuple[str, ...]:
    """Which of them an answer of a route may have: whoever has no token learns nothing of the collector, `/health` has it as a reason."""
    if route.question is None:
        return ()
    return (STALE, COLLECTOR) if route.access is Access.TOKEN else (STALE,)


def told(route: Route, held: Held[Any]) -> dict[str, str]:
    """Those that an answer has."""
    all_of_them = {
        STALE: None if held.stale_seconds is None else f"{held.stale_seconds:.0f}",
        COLLECTOR: None if held.collector.running else held.collector.message,
    }
    return {name: text for name in headers_of(route) if (text := all_of_them[name]) is not None}
