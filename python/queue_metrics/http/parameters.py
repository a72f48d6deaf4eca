"""Query parameters: typed and bounded, or refused with the bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from queue_metrics.insights.window import MINUTES_DEFAULT, MINUTES_MAX

LONGEST_QUERY = 2048


@dataclass(frozen=True, slots=True)
class Parameter:
    """A whole number that may be given."""

    name: str
    low: int
    high: int
    default: int
    meaning: str


MINUTES = Parameter("minutes", 1, MINUTES_MAX, MINUTES_DEFAULT, "length of the window")
LIMIT = Parameter("limit", 1, 10_000, 500, "at most so many entries")
ROWS = Parameter("limit", 1, 1_000, 50, "at most so many rows of a table")
REFRESH = Parameter("refresh", 0, 3_600, 5, "seconds until the page loads itself anew; 0: never")


class BadParameter(Exception):
    """A parameter is unknown, doubled, of the wrong kind or out of bounds; `members` go into the problem."""

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.members = members


def parse(query: bytes, known: Sequence[Parameter]) -> dict[str, int]:
    """
    The value of every known parameter.

    Raises:
        BadParameter: says what would be right; never repeats what was given.
    """
    if len(query) > LONGEST_QUERY:
        raise BadParameter(f"the query is longer than {LONGEST_QUERY} bytes")
    by_name = {parameter.name: parameter for parameter in known}
    values = {parameter.name: parameter.default for parameter in known}
    seen: set[str] = set()
    for name, text in parse_qsl(query.decode("latin-1"), keep_blank_values=True):
        parameter = by_name.get(name)
        if parameter is None:
            raise BadParameter("a parameter is not known here", known=sorted(by_name))
        if name in seen:
            raise BadParameter(f"{name} may be given once", parameter=name)
        seen.add(name)
        # isdigit alone also takes digits of other scripts; nine of them cannot overflow anything.
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and parameter.low <= int(text) <= parameter.high):
            raise BadParameter(
                f"{name} must be a whole number from {parameter.low} to {parameter.high}",
                parameter=name,
                minimum=parameter.low,
                maximum=parameter.high,
            )
        values[name] = int(text)
    return values
