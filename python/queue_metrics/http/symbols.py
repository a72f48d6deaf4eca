"""The icons of the page, drawn once and used by name; each stands beside its word."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from queue_metrics.http.html import Html, tag

_PATHS: Mapping[str, str] = MappingProxyType(
    {
        "ok": "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM4.8 8.2l2.2 2.2 4.2-4.6",
        "warning": "M8 1.8 15 14H1L8 1.8ZM8 6.2v3.6M8 11.6v.6",
        "critical": "M5.3 1.5h5.4l3.8 3.8v5.4l-3.8 3.8H5.3l-3.8-3.8V5.3l3.8-3.8ZM8 4.6v4.2M8 10.9v.6",
        "unknown": "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM6.1 6.3a1.9 1.9 0 1 1 2.6 1.8c-.5.2-.7.5-.7 1M8 11.2v.6",
        "busy": "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM6.5 5.2v5.6L11 8 6.5 5.2Z",
        "idle": "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Z",
        "up": "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Z",
        "starting": "M8 1.5v2.6M8 11.9v2.6M1.5 8h2.6M11.9 8h2.6M3.4 3.4l1.8 1.8M10.8 10.8l1.8 1.8M3.4 12.6l1.8-1.8M10.8 5.2l1.8-1.8",
        "stopped": "M3 3h10v10H3Z",
        "stale": "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM8 4.4V8l2.6 1.8",
        "lost": "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13ZM5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8",
        "pause": "M5.5 3v10M10.5 3v10",
        "play": "M4.5 2.8v10.4L13 8 4.5 2.8Z",
        "brand": "M2 13.5V9.2M6 13.5V5.4M10 13.5V7.6M14 13.5V2.5",
    }
)


def _symbols() -> Html:
    symbols = (tag("symbol", tag("path", d=path), id=f"i-{name}", viewBox="0 0 16 16") for name, path in _PATHS.items())
    return tag("svg", *symbols, class_="symbols", aria_hidden="true", width=0, height=0)


SYMBOLS = _symbols()
"""To stand once in a document."""
