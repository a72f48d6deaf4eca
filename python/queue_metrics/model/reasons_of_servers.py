"""Why something is not known of a server: the rules of `reasons` for what is sampled of machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from queue_metrics.model.servers import (
    CpuUse,
    DiskUse,
    Interface,
    Load,
    MemoryUse,
    Pressure,
    Room,
    ServerAnswer,
    ServerJobs,
    ServerProcesses,
    ServerSample,
)

_UNREAD = "the machine does not tell it, or it could not be read: then `unread` of the sample says why"
_FIRST = "the first sample has no shares and rates, which need two; else " + _UNREAD
_LIMIT = "a part of it is not known; `cpu`, `memory` and their rooms say which"


def _fields(kind: type, rule: str, names: str = "", special: str = "") -> dict[str, str | Callable[[Any], str]]:
    """`rule` for all fields of a class, `special` for those that are named."""
    named = names.split()
    return {field: special if field in named else rule for field in kind.__dataclass_fields__}  # type: ignore[attr-defined]


def _of_sample(field: str) -> Callable[[ServerSample], str]:
    """Of a field of the sample itself, beside which `unread` stands: what is said there of it, or of the whole sample."""

    def rule(sample: ServerSample) -> str:
        said = (sample.unread.get(path) for path in ("", field, f"host.{field}"))
        found = next((reason for reason in said if reason), None)
        return found or (_UNREAD if sample.unread else "the machine does not tell it")

    return rule


_RATES = "bytes_sent_per_second bytes_received_per_second packets_sent_per_second packets_received_per_second"

SERVER_RULES: dict[type, dict[str, str | Callable[[Any], str]]] = {
    CpuUse: _fields(CpuUse, _FIRST, "cores host_cores", _UNREAD),
    Load: _fields(Load, _UNREAD),
    MemoryUse: _fields(MemoryUse, _UNREAD),
    DiskUse: _fields(DiskUse, _UNREAD),
    Interface: _fields(Interface, _UNREAD, _RATES, _FIRST),
    Pressure: _fields(
        Pressure, "the kernel does not tell pressure stalls, or they could not be read: then `unread` of the sample says why"
    ),
    Room: _fields(Room, _UNREAD, "limit headroom", "nothing limits it, or " + _UNREAD),
    ServerSample: {
        **{field: _of_sample(field) for field in ServerSample.__dataclass_fields__},
        "interval_seconds": lambda sample: sample.unread.get("") or "it is the first sample",
        **dict.fromkeys(("cpu_ratio", "memory_ratio", "load_per_core"), _LIMIT),
    },
    ServerJobs: {
        "per_second": "nothing was recorded in the window",
        "runtime_mean_seconds": "nothing of it was measured in the window",
    },
    ServerProcesses: _fields(ServerProcesses, "no live worker here could be read"),
    ServerAnswer: {
        **dict.fromkeys(("sample", "age_seconds"), "nobody there reports a sample; only its workers are known"),
        "jobs": "nothing was counted for this server, as by older versions of this package",
        "capacity": "no worker is live here",
    },
}
"""By class and field."""
