"""
What a drainer tells the store beside the heartbeats of workers: the state of its spool, and that it was the last to leave.

Both travel as heartbeats whose ids begin with `spool:`: they expire like them, and no driver needs to know of them.
"""

from __future__ import annotations

import json
import math
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
    answered_seconds: float | None = None
    """For how long the store had answered the drainer; None: it did not say, as one of an older version."""
    returned: bool = False
    """Whether the store was away before that; else the drainer began then."""


def spool_beat(spool_id: str, status: Mapping[str, Any], contact: tuple[float, bool] | None = None) -> tuple[str, bytes]:
    """What to hand to `heartbeat_many` for a spool; `status` as `Drainer.status` answers, `contact` as `Contact.told`."""
    told: dict[str, Any] = {
        "v": _VERSION,
        "waiting": int(status.get("waiting", 0)),
        "drops": {str(reason): int(count) for reason, count in dict(status.get("drops", {})).items() if count},
        "damaged": int(status.get("damaged", 0)),
    }
    if contact is not None:
        told["answered"], told["returned"] = round(contact[0], 3), contact[1]
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


def returned_since(reports: Iterable[SpoolReport], now: float, stale_seconds: float) -> float | None:
    """
    Since when the store has been there again, as its drainers noticed; None: none of them tells that it was away.

    The one that the store has answered for longest decides: what only others missed was not the store. One that has been silent itself
    says nothing.

    Args:
        now: seconds since 1970.
        stale_seconds: age from which a report is of one that is silent.
    """
    speaking = (report for report in reports if report.answered_seconds is not None and report.age <= stale_seconds)
    since = min(((now - report.age - (report.answered_seconds or 0.0), report.returned) for report in speaking), default=(0.0, False))
    return since[0] if since[1] else None


def back_since(beats: Iterable[Beat], uptime_seconds: float | None, now: float, stale_seconds: float) -> float | None:
    """
    Since when the store has been there again, as it or its drainers tell; None: as far as these know it was never away.

    Its own start counts while there is a worker that has not been heard of since. By a clock that was set back it may lie in the future,
    which says nothing.

    Args:
        beats: whatever travels as a heartbeat.
        uptime_seconds: for how long the store has been up, of the same look; None: it does not tell.
        now: seconds since 1970.
        stale_seconds: age from which a drainer is silent.
    """
    beats = list(beats)
    since = [returned_since(spool_reports(beats), now, stale_seconds)]
    if uptime_seconds is not None and uptime_seconds >= 0 and any(beat.age > uptime_seconds for beat in worker_beats(beats)):
        since.append(now - uptime_seconds)
    return max((min(moment, now) for moment in since if moment is not None), default=None)


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
        answered = None if told.get("answered") is None else float(told["answered"])
        if answered is not None and not 0 <= answered < math.inf:
            return None
        return SpoolReport(
            spool_id=beat.worker_id.removeprefix(ID_PREFIX),
            age=beat.age,
            waiting=int(told["waiting"]),
            drops=drops,
            damaged=int(told["damaged"]),
            answered_seconds=answered,
            returned=bool(told.get("returned")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
