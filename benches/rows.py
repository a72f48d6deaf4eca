"""A row of the table, and the statistics behind it; knows no subject."""

from __future__ import annotations

import json
import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
OUT = Path(__file__).parent / "out" / "results.json"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: ours against a reference; `met` is None when the run cannot tell, or when there is no goal."""

    name: str
    ours: float
    reference: float | None
    unit: str
    ratio: float | None = None
    goal: str | None = None
    met: bool | None = None
    note: str = ""
    exact: bool = False
    """A count, not a time: gated."""
    bound: float | None = None
    """
    What the ratio, or without one our count, must not exceed for the gate to pass: the goal, or while that is not met, a little
    more than what is reached.
    """

    @property
    def held(self) -> float:
        """What the bound is held against."""
        return self.ours if self.ratio is None else self.ratio

    @property
    def regressed(self) -> bool:
        """Whether a gated count is over its bound."""
        return self.exact and self.bound is not None and self.held > self.bound


def at_most(
    name: str,
    ours: float,
    reference: float,
    unit: str,
    goal: float,
    *,
    ratio: float | None = None,
    interval: tuple[float, float] | None = None,
    note: str = "",
    exact: bool = False,
    bound: float | None = None,
) -> Row:
    """
    A row whose ratio must not exceed the goal; undecided when the interval of the ratio spans the goal.

    Args:
        ratio: ours / reference unless it is told, as the median over rounds is.
    """
    ratio = ours / reference if ratio is None else ratio
    met = None if _spans(interval, goal) else ratio <= goal
    return Row(name, ours, reference, unit, ratio, f"<= {goal:g}x", met, note, exact, goal if bound is None else bound)


def less(
    name: str,
    ours: float,
    peer: float,
    unit: str,
    goal: float,
    *,
    ratio: float | None = None,
    interval: tuple[float, float] | None = None,
    note: str = "",
) -> Row:
    """A row that must be at least `goal` times less than its peer: the ratio is peer / ours."""
    ratio = peer / ours if ratio is None else ratio
    met = None if _spans(interval, goal) else ratio >= goal
    return Row(name, ours, peer, unit, ratio, f">= {goal:g}x less", met, note)


def exactly(name: str, ours: float, goal: float, unit: str, *, note: str = "") -> Row:
    """A gated count that must be the goal, neither more nor less."""
    return Row(name, ours, goal, unit, None, f"exactly {goal:g}", ours == goal, note, exact=True, bound=goal)


def count_at_most(name: str, ours: float, goal: float, unit: str, *, bound: float | None = None, note: str = "") -> Row:
    """A gated count that must not exceed the goal."""
    return Row(name, ours, goal, unit, None, f"<= {goal:g}", ours <= goal, note, exact=True, bound=goal if bound is None else bound)


def _spans(interval: tuple[float, float] | None, goal: float) -> bool:
    return interval is not None and interval[0] <= goal < interval[1]


def median_interval(values: Sequence[float], *, share: float = 0.9, draws: int = 2000) -> tuple[float, float, float]:
    """The median and its bootstrap interval; the seed is fixed so that the same values give the same interval."""
    source = random.Random(7)
    medians = sorted(statistics.median(source.choices(values, k=len(values))) for _ in range(draws))
    edge = (1 - share) / 2
    return statistics.median(values), medians[int(edge * draws)], medians[int((1 - edge) * draws) - 1]


def alternate(cases: Sequence[Callable[[], T]], rounds: int, *, seconds: float = math.inf) -> list[list[T]]:
    """
    Run every case once a round in a new random order, so that a machine that drifts meets all alike; a list of results per case.

    Args:
        seconds: no further round is begun after so many, of which there are at least three all the same.
    """
    source = random.Random(11)
    results: list[list[T]] = [[] for _ in cases]
    begin = time.monotonic()
    for number in range(rounds):
        if number >= 3 and time.monotonic() - begin > seconds:
            break
        order = list(range(len(cases)))
        source.shuffle(order)
        for index in order:
            results[index].append(cases[index]())
    return results


HEADS = ("what", "ours", "reference", "unit", "ratio", "goal", "", "note")


def cells(row: Row) -> tuple[str, ...]:
    """A row as words, one for each of HEADS."""
    words = {True: "met", False: "NOT MET", None: "undecided" if row.goal else ""}
    ratio = "" if row.ratio is None else f"{row.ratio:,.4g}x"
    return row.name, _short(row.ours), _short(row.reference), row.unit, ratio, row.goal or "", words[row.met], row.note


def table(rows: Sequence[Row]) -> str:
    """The rows as a person reads them."""
    lines = [HEADS, *(cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(7)]
    return "\n".join(
        "  ".join([*(text.ljust(width) for text, width in zip(line, widths, strict=False)), line[7]]).rstrip() for line in lines
    )


def markdown(rows: Sequence[Row]) -> str:
    """The same as a table of Markdown, without the notes."""
    lines = [HEADS[:7], ("---", *["---:"] * 2, "---", "---:", "---", "---"), *(cells(row)[:7] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def save(rows: Sequence[Row]) -> None:
    """Write the rows where the project promises them."""
    OUT.parent.mkdir(parents=True, exist_ok=True)
    keys = ("name", "ours", "reference", "unit", "ratio", "goal", "met", "note")
    OUT.write_text(json.dumps([{key: value for key, value in asdict(row).items() if key in keys} for row in rows], indent=1) + "\n")


def _short(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"
