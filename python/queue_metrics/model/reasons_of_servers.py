"""Why something is not known of a server: the rules of `reasons` for what is sampled of machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from queue_metrics.model.servers import (
    PARTS,
    DiskUse,
    Interface,
    Sampled,
    ServerAnswer,
    ServerJobs,
    ServerProcesses,
    ServerSample,
    limited,
)

_Rules = dict[str, str | Callable[[Any], str]]

UNSAID = "the server did not send why: there was no room for it, or another version of this package sent it"


def _why(part: Sampled, field: str) -> str:
    return part.unread.get(field) or part.unread.get("") or UNSAID


def _sampled(kind: type[Sampled]) -> _Rules:
    """Each field of a part: what is said beside it of it, or of all that is unknown there."""

    def rule(field: str) -> Callable[[Sampled], str]:
        return lambda part: _why(part, field)

    return {field: rule(field) for field in kind.__dataclass_fields__}


def _cpu(sample: ServerSample) -> str:
    of_container = limited(sample.cpu_room, sample.cpu.host_cores)
    return _why(sample.cpu_room, "usage") if of_container else _why(sample.cpu, "usage_ratio")


def _memory(sample: ServerSample) -> str:
    of_container = limited(sample.memory_room, sample.memory.total_bytes)
    return _why(sample.memory_room, "usage") if of_container else _why(sample.memory, "usage_ratio")


def _load(sample: ServerSample) -> str:
    return _why(sample.load, "over_1_minute") if sample.load.over_1_minute is None else _why(sample.cpu, "host_cores")


SERVER_RULES: dict[type, _Rules] = {
    **{kind: _sampled(kind) for kind in (*PARTS.values(), DiskUse, Interface)},
    ServerSample: {**_sampled(ServerSample), "cpu_ratio": _cpu, "memory_ratio": _memory, "load_per_core": _load},
    ServerJobs: {
        "per_second": "nothing was recorded in the window",
        "runtime_mean_seconds": "nothing of it was measured in the window",
    },
    ServerProcesses: {
        **dict.fromkeys(("rss_mean_bytes", "rss_total_bytes", "rss_peak_bytes"), "no live worker here could be read"),
        "cpu_mean_ratio": "no live worker here was read twice, and a share needs two readings",
    },
    ServerAnswer: {
        **dict.fromkeys(("sample", "age_seconds"), "nobody there reports a sample; only its workers are known"),
        "jobs": "nothing was counted for this server, as by older versions of this package",
        "capacity": "no worker is live here",
    },
}
"""By class and field."""
