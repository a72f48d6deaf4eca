"""
What a drainer tells the store beside the heartbeats of workers: the state of its spool, and that it was the last to leave.

Both travel as heartbeats whose ids begin with `spool:`: they expire like them, and no driver needs to know of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from queue_metrics.storage.base import Beat
from queue_metrics.storage.servers import is_server

ID_PREFIX = "spool:"
GOODBYE_SECONDS = 400 * 86_400.0
"""How long a goodbye is kept: as long as the numbers of days, since later there is nothing left that could stand still."""
_GOODBYE = ID_PREFIX + "goodbye"  # one for the whole store: a script in a new container each time leaves no trail
_VERSION = 1


@dataclass(frozen=True, slots=True)
class SpoolReport:
    """The state of a spool when its drainer last spoke."""

    spool_id: str
    age: float
    """Seconds since it was told, by the store's clock."""
    waiting: int
    """Records that are not in the store yet."""
    drops: Mapping[str, int]
    """Records that could not be written, by reason; only those above 0."""
    damaged: int
    """Slots of segments that could not be read."""


def spool_beat(spool_id: str, status: Mapping[str, Any]) -> tuple[str, bytes]:
    """What to hand to `heartbeat_many` for a spool; `status` as `Drainer.status` answers."""
    told = {
        "v": _VERSION,
        "waiting": int(status.get("waiting", 0)),
        "drops": {str(reason): int(count) for reason, count in dict(status.get("drops", {})).items() if count},
        "damaged": int(status.get("damaged", 0)),
    }
    return ID_PREFIX + spool_id, json.dumps(told, separators=(",", ":")).encode()


def spool_reports(beats: Iterable[Beat]) -> list[SpoolReport]:
    """The reports among heartbeats; those of newer versions and damaged ones are left out."""
    reports = []
    for beat in beats:
        if beat.worker_id.startswith(ID_PREFIX):
            report = _decoded(beat)
            if report is not None:
                reports.append(report)
    return reports


def goodbye_beat(*, said: bool) -> tuple[str, bytes]:
    """
    What to hand to `heartbeat_many`: that the last one left in good order, with everything counted, or that somebody is there.

    Without it, a store whose heartbeats have all expired could not tell a script that is done from workers that were killed.
    """
    return _GOODBYE, b"1" if said else b"0"


def goodbye_age(beats: Iterable[Beat]) -> float | None:
    """Seconds since the last one left in good order; None when somebody came afterwards, or nobody said so."""
    return next((beat.age for beat in beats if beat.worker_id == _GOODBYE and beat.payload == b"1"), None)


def worker_beats(beats: Iterable[Beat]) -> list[Beat]:
    """The heartbeats of workers alone."""
    return [beat for beat in beats if not beat.worker_id.startswith(ID_PREFIX) and not is_server(beat.worker_id, beat.payload)]


def _decoded(beat: Beat) -> SpoolReport | None:
    try:
        told = json.loads(beat.payload)
        if told["v"] != _VERSION:
            return None
        drops = {str(reason): int(count) for reason, count in told["drops"].items()}
        return SpoolReport(beat.worker_id.removeprefix(ID_PREFIX), beat.age, int(told["waiting"]), drops, int(told["damaged"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
