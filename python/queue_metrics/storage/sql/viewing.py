"""Series, points, totals and heartbeats: which statements answer for them, and what their rows mean. Knows no database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from queue_metrics.storage.base import EMPTY, Beat, Series, known_series
from queue_metrics.storage.general import Call
from queue_metrics.storage.sql import reading
from queue_metrics.storage.sql.dialect import Question, Session
from queue_metrics.storage.sql.names import signed, text, unsigned
from queue_metrics.storage.view import Points, Range, Totals, View, kinds_of, with_total

Rows = Iterable[tuple[Any, ...]]

ALL_LABELS: Question = ("all_labels", {})
BEATS: Question = ("get_beats", {})
UPTIME: Question = ("uptime", {})


def points_of(ids: Iterable[int], step: int, start: int, end: int) -> Question:
    """The points of some series."""
    return "get_points", {"series": [signed(one) for one in ids], "step": step, "start": start, "end": end}


def totals_of(ids: Iterable[int]) -> Question:
    """The totals of some series."""
    return "get_totals", {"series": [signed(one) for one in ids]}


def series(rows: Rows) -> list[Series]:
    """What `ALL_LABELS` answers."""
    return [known_series(unsigned(one), labels) for one, labels in rows]


def points(ids: Iterable[int], rows: Rows) -> Points:
    """What `points_of` answers; a list for each of the series."""
    found: Points = {one: [] for one in ids}
    for one, bucket, value in rows:
        found[unsigned(one)].append((bucket, value))
    return found


def totals(rows: Rows) -> dict[int, bytes]:
    """What `totals_of` answers."""
    return {unsigned(one): value for one, value in rows if value != EMPTY}


def beats(rows: Rows) -> list[Beat]:
    """What `BEATS` answers."""
    found = [Beat(text(worker), payload, max(0.0, float(age))) for worker, payload, age in rows]
    return sorted(found, key=lambda beat: beat.worker_id)


def view(session: Session, ranges: Sequence[Range], summed: Totals, heartbeats: bool, calls: Sequence[Call]) -> View:
    """Everything at once, of the state that the transaction sees."""
    kinds = kinds_of(ranges, summed)
    known = [one for one in series(session.ask(ALL_LABELS)[0]) if one.kind in kinds] if kinds else []
    wanted = [one.wanted(known) for one in ranges]
    with_totals = with_total(known, summed)
    questions = [points_of(ids, one.step, one.start, one.end) for ids, one in zip(wanted, ranges, strict=True) if ids]
    questions += [totals_of(with_totals)] if with_totals else []
    questions += [BEATS, UPTIME] if heartbeats else []
    found = iter(session.ask(*questions) if questions else [])
    return View(
        known,
        tuple(points(ids, next(found) if ids else []) for ids in wanted),
        totals(next(found)) if with_totals else {},
        beats(next(found)) if heartbeats else [],
        reading.read(session, calls) if calls else [],
        next(found)[0][0] if heartbeats else None,
    )
