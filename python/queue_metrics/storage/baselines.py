"""
How baselines rest in a store: one hash, a field for each task and queue. Its fields are written by whoever collects and read by insights.

A field is the JSON list of the labels, so no name can be taken for another; a value is versioned JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping

from queue_metrics.config import TimeToLive
from queue_metrics.model.baselines import Baseline
from queue_metrics.storage.general import Call, GeneralOperations

BASELINES = "baselines"
KEPT_SECONDS = TimeToLive().baseline
"""A baseline that nobody renewed for so long is forgotten, where nothing is configured."""
READ_BASELINES = Call("get_hash", (BASELINES,))
"""The question, for a look at the store; `decode` makes sense of its answer."""
_VERSION = 1
_LATER = ("since", "cpu_sample_count", "memory_sample_count", "duration_error_seconds", "cpu_error", "memory_error_bytes")
"""Fields that the first packages which wrote this version did not have."""


def field(labels: Iterable[str]) -> str:
    """Where the baseline of these labels stands in the hash."""
    return json.dumps(list(labels), ensure_ascii=False, separators=(",", ":"))


def encode(baseline: Baseline) -> str:
    """One baseline as text."""
    told = {
        "v": _VERSION,
        "duration_seconds": baseline.duration_seconds,
        "cpu_ratio": baseline.cpu_ratio,
        "memory_bytes": baseline.memory_bytes,
        "sample_count": baseline.sample_count,
        "confidence": baseline.confidence,
        "calculated_at": baseline.calculated_at,
        "deviates": baseline.deviates,
        **{name: getattr(baseline, name) for name in _LATER},
    }
    return json.dumps(told, separators=(",", ":"), allow_nan=False)


def decode(stored: Mapping[str, str], now: float, kept: float = KEPT_SECONDS) -> dict[tuple[str, ...], Baseline]:
    """
    Baselines by their labels.

    Args:
        stored: the hash.
        now: seconds since 1970.
        kept: what was calculated more than so many seconds before is forgotten.

    Those of newer versions and damaged ones are left out.
    """
    found = {}
    for name, value in stored.items():
        baseline = _decoded(name, value)
        if baseline is not None and now - baseline.calculated_at <= kept:
            found[baseline.labels] = baseline
    return found


def write(store: GeneralOperations, baselines: Iterable[Baseline], kept: float = KEPT_SECONDS) -> int:
    """Store these beside the others, in one request; returns how many are new. Also into a pipeline."""
    return store.set_hash(BASELINES, {field(each.labels): encode(each) for each in baselines}, kept)


def forgotten(stored: Mapping[str, str], now: float, kept: float = KEPT_SECONDS) -> list[str]:
    """The fields that no longer hold a baseline, to be removed; those of a newer version stay."""
    fields = set(map(field, decode(stored, now, kept)))
    return [name for name, value in stored.items() if _version(value) <= _VERSION and name not in fields]


def newer(stored: Mapping[str, str]) -> set[str]:
    """The fields that a newer version of the package wrote, to be left to it unless somebody asks for them by name."""
    return {name for name, value in stored.items() if _version(value) > _VERSION}


def _version(value: str) -> int:
    try:
        return int(json.loads(value)["v"])
    except (ValueError, KeyError, TypeError):
        return 0


def _decoded(name: str, value: str) -> Baseline | None:
    try:
        labels, told = json.loads(name), json.loads(value)
        if told["v"] != _VERSION or not 2 <= len(labels) <= 3 or not all(isinstance(label, str) for label in labels):
            return None
        task = labels[2] if len(labels) == 3 else None
        return Baseline(
            connection=labels[0],
            queue=labels[1],
            task=task,
            duration_seconds=_number(told["duration_seconds"]),
            cpu_ratio=_known(told["cpu_ratio"]),
            memory_bytes=_known(told["memory_bytes"]),
            sample_count=int(told["sample_count"]),
            confidence=_number(told["confidence"]),
            calculated_at=_number(told["calculated_at"]),
            deviates=bool(told["deviates"]),
            since=_known(told.get("since")),
            cpu_sample_count=_counted(told.get("cpu_sample_count")),
            memory_sample_count=_counted(told.get("memory_sample_count")),
            duration_error_seconds=_known(told.get("duration_error_seconds")),
            cpu_error=_known(told.get("cpu_error")),
            memory_error_bytes=_known(told.get("memory_error_bytes")),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _known(told: object) -> float | None:
    return None if told is None else _number(told)


def _counted(told: object) -> int | None:
    return None if told is None else int(_number(told))


def _number(told: object) -> float:
    number = float(told)  # type: ignore[arg-type]  # what is no number raises TypeError, which makes it damaged
    if not math.isfinite(number):
        raise ValueError(number)
    return number
