"""Small charts as SVG without a style of their own: bars of counts, a line of measurements. Gaps stay gaps, zero is drawn as zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from queue_metrics.http.html import Html, tag
from queue_metrics.model import QueueHistory, TaskHistory

COLUMNS = 60
"""Longer histories are joined to at most so many columns."""
LEAST_STEPS = 6
"""A store that was made a minute ago shows six minutes, not one thin bar at the end of an hour."""
_STEP, _HEIGHT, _TOP = 2, 28.0, 2.0

_N = TypeVar("_N", int, float)


def bars(totals: Sequence[int | None], parts: Sequence[int | None], label: str) -> Html:
    """
    Counts over time, with a part of each marked; the last, open column is drawn hollow.

    Args:
        totals: one count per step; None is not known.
        parts: how many of them are marked.
        label: what it shows, in words.
    """
    heights, marks = columns(totals, sum), columns(parts, sum)
    top = max((height for height in heights if height is not None), default=0) or 1
    drawn: dict[str, list[str]] = {"gap": [], "bar": [], "open": [], "bad": []}
    for x, (height, mark) in enumerate(zip(heights, marks, strict=True)):
        if height is None:
            drawn["gap"].append(f"M{x * _STEP} {_HEIGHT}h{_STEP}")
        elif height:
            # One job among thousands is still seen: most of a pixel at least.
            tall = max((_HEIGHT - _TOP) * height / top, 0.75)
            drawn["open" if x == len(heights) - 1 else "bar"].append(f"M{x * _STEP + 1} {_HEIGHT}v-{tall:.4g}")
            if mark:
                drawn["bad"].append(f"M{x * _STEP + 1} {_HEIGHT}v-{max(tall * mark / height, 1.5):.4g}")
    return _chart(len(heights), label, ("base", _base(heights)), *((kind, "".join(paths)) for kind, paths in drawn.items()))


def line(values: Sequence[float | None], label: str) -> Html:
    """
    Measurements over time, the largest of each column; broken where nothing was measured.

    Args:
        values: one per step; None is not known.
        label: what it shows, in words.
    """
    points = columns(values, max)
    top = max((point for point in points if point is not None), default=0.0) or 1.0
    path, area, run = [], [], []
    for x, point in enumerate((*points, None)):
        if point is not None:
            run.append((x * _STEP + 1, _HEIGHT - (_HEIGHT - _TOP - 1) * point / top - 0.5))
        elif run:
            # A lone point is a line of no length, which its round ends make a dot.
            corners = "L".join(f"{at:g} {y:.4g}" for at, y in run)
            path.append(f"M{corners}" + ("h0" if len(run) == 1 else ""))
            area.append(f"M{run[0][0]} {_HEIGHT}L{corners}L{run[-1][0]} {_HEIGHT}Z" if len(run) > 1 else "")
            run = []
    return _chart(len(points), label, ("base", _base(points)), ("area", "".join(area)), ("line", "".join(path)))


def recorded(history: TaskHistory | QueueHistory, values: Sequence[_N | None]) -> Sequence[_N | None]:
    """What of a history is worth its place: not the time before anything was recorded, as long as LEAST_STEPS are left."""
    silent = next((at for at, ended in enumerate(history.ended) if ended is not None), 0)
    return values[min(silent, max(len(values) - LEAST_STEPS, 0)) :]


def columns(values: Sequence[_N | None], joined: Callable[[Sequence[_N]], _N]) -> list[_N | None]:
    """At most COLUMNS columns, the last one ending with the last value; None only where nothing of a column is known."""
    width = -(-len(values) // COLUMNS) or 1
    first = len(values) % width
    groups = ([values[:first]] if first else []) + [values[at : at + width] for at in range(first, len(values), width)]
    known = ([value for value in group if value is not None] for group in groups)
    return [joined(group) if group else None for group in known]


def _base(values: Sequence[object]) -> str:
    return f"M0 {_HEIGHT}h{len(values) * _STEP}"


def _chart(width: int, label: str, *paths: tuple[str, str]) -> Html:
    drawn = (tag("path", class_=kind, d=path) for kind, path in paths if path)
    box = f"0 0 {max(width, 1) * _STEP} {_HEIGHT + 1:g}"
    return tag("svg", tag("title", label), *drawn, class_="spark", viewBox=box, preserveAspectRatio="none", role="img", aria_label=label)


def meter(ratio: float | None, label: str) -> Html:
    """A share as a bar, 0-1."""
    width = 0.0 if ratio is None else min(max(ratio, 0.0), 1.0) * 100
    return tag(
        "svg",
        tag("title", label),
        tag("path", class_="rail", d="M0 2h100"),
        tag("path", class_="fill", d=f"M0 2h{width:.4g}") if width else None,
        class_="meter",
        viewBox="0 0 100 4",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )
