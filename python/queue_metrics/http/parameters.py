"""Query parameters: typed and bounded, or refused with the bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from queue_metrics.insights import Metrics
from queue_metrics.insights.series import KINDS
from queue_metrics.insights.trend_question import INTERVAL_DEFAULT, INTERVAL_LEAST, INTERVAL_MOST, PERIOD_DEFAULT, PERIOD_LEAST, PERIOD_MOST
from queue_metrics.insights.window import MINUTES_DEFAULT, MINUTES_MAX, BadWindow

LONGEST_QUERY = 2048
LAST_MOMENT = 9_999_999_999

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number that may be given."""

    name: str
    low: int
    high: int
    default: int
    meaning: str

    def read(self, text: str) -> int:
        """
        The number in a query.

        Raises:
            BadParameter: with the bounds.
        """
        # isdigit alone also takes digits of other scripts; nine of them cannot overflow anything.
        if text.isascii() and text.isdigit() and len(text) <= 9 and self.low <= int(text) <= self.high:
            return int(text)
        raise BadParameter(
            f"{self.name} must be a whole number from {self.low} to {self.high}", parameter=self.name, minimum=self.low, maximum=self.high
        )

    def schema(self) -> Mapping[str, object]:
        """As JSON Schema."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high, "default": self.default}


@dataclass(frozen=True, slots=True)
class Name:
    """The name of something that may be given; all are meant when it is not."""

    name: str
    meaning: str
    default: None = None

    def read(self, text: str) -> str:
        """
        The name in a query.

        Raises:
            BadParameter: it is empty.
        """
        if not text:
            raise BadParameter(f"{self.name} must not be empty; leave it out for all", parameter=self.name)
        return text

    def schema(self) -> Mapping[str, object]:
        """As JSON Schema."""
        return {"type": "string", "minLength": 1}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    name: str
    words: tuple[str, ...]
    default: str
    meaning: str

    def read(self, text: str) -> str:
        """
        The word in a query.

        Raises:
            BadParameter: with the words.
        """
        if text not in self.words:
            raise BadParameter(f"{self.name} must be one of {', '.join(self.words)}", parameter=self.name, known=list(self.words))
        return text

    def schema(self) -> Mapping[str, object]:
        """As JSON Schema."""
        return {"type": "string", "enum": list(self.words), "default": self.default}


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment that may be given, whole seconds since 1970."""

    name: str
    meaning: str
    default: None = None

    def read(self, text: str) -> int:
        """
        The moment in a query.

        Raises:
            BadParameter: it is none, or after the year 2286.
        """
        if text.isascii() and text.isdigit() and len(text) <= 10:
            return int(text)
        raise BadParameter(f"{self.name} must be whole seconds since 1970", parameter=self.name, minimum=0, maximum=LAST_MOMENT)

    def schema(self) -> Mapping[str, object]:
        """As JSON Schema."""
        return {"type": "integer", "minimum": 0, "maximum": LAST_MOMENT}


Parameter = Number | Name | Choice | Moment

MINUTES = Number("minutes", 1, MINUTES_MAX, MINUTES_DEFAULT, "length of the window")
LIMIT = Number("limit", 1, 10_000, 500, "at most so many entries")
ROWS = Number("limit", 1, 1_000, 50, "at most so many rows of a table")
PERIOD = Number("period", PERIOD_LEAST, PERIOD_MOST, PERIOD_DEFAULT, "seconds to look back")
INTERVAL = Number(
    "interval", INTERVAL_LEAST, INTERVAL_MOST, INTERVAL_DEFAULT, "seconds from one point to the next; a minute at least is answered"
)
KIND = Choice("kind", tuple(KINDS), "queue", "kind of series, which says which names it needs")
STEP = Choice("step", ("finest", "60", "3600", "86400"), "finest", "seconds of a step; finest: what is kept of all of the window")
FORMAT = Choice("format", ("json", "csv"), "json", "form of the answer")
START = Moment("start", "first moment of a range, in place of minutes or period; seconds since 1970")
END = Moment("end", "its last moment; now when it is left out")
WINDOW = (MINUTES, START, END)
TREND = (PERIOD, INTERVAL, START, END)
LABELS = tuple(Name(name, f"name of the {name}") for name in ("connection", "queue", "task", "exception", "server"))
CONNECTION, QUEUE, TASK, _, SERVER = LABELS
REFRESH = Number("refresh", 0, 3_600, 5, "seconds until the page loads itself anew; 0: never")


class BadParameter(Exception):
    """A parameter is unknown, doubled, of the wrong kind or out of bounds; `members` go into the problem."""

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.members = members


def parse(query: bytes, known: Sequence[Parameter]) -> dict[str, Any]:
    """
    The value of every known parameter.

    Raises:
        BadParameter: says what would be right; never repeats what was given.
    """
    if len(query) > LONGEST_QUERY:
        raise BadParameter(f"the query is longer than {LONGEST_QUERY} bytes")
    by_name = {parameter.name: parameter for parameter in known}
    values: dict[str, Any] = {parameter.name: parameter.default for parameter in known}
    seen: set[str] = set()
    for name, text in _pairs(query):
        parameter = by_name.get(name)
        if parameter is None:
            raise BadParameter("a parameter is not known here", known=sorted(by_name))
        if name in seen:
            raise BadParameter(f"{name} may be given once", parameter=name)
        seen.add(name)
        values[name] = parameter.read(text)
    _one_window(values, seen)
    return values


def _one_window(values: dict[str, Any], seen: set[str]) -> None:
    """A length and a range are two words for one thing: where a range is given, the length is None and not its default."""
    if not seen & {START.name, END.name}:
        return
    for length in (MINUTES.name, PERIOD.name):
        if length in seen:
            raise BadParameter(f"a window is given by {length}, or by start and end, not by both", parameter=length)
        if length in values:
            values[length] = None
    if START.name not in seen:
        raise BadParameter("end alone says nothing; give start too", parameter=START.name)


def window_of(values: Mapping[str, Any]) -> dict[str, int]:
    """The window among the values of parameters, as the front door takes it; the default where a route has none."""
    words = {PERIOD.name: "period_seconds", INTERVAL.name: "interval_seconds"}
    return {words.get(each.name, each.name): values[each.name] for each in (*WINDOW, PERIOD, INTERVAL) if values.get(each.name) is not None}


def within_bounds(ask: Callable[[Metrics], T]) -> Callable[[Metrics], T]:
    """
    A question about a window, of which only the clock of the store and what it keeps can tell whether it can be.

    Raises:
        BadParameter: it cannot; with the bounds.
    """

    def asked(metrics: Metrics) -> T:
        try:
            return ask(metrics)
        except BadWindow as error:
            raise BadParameter(str(error), parameter=error.name, **error.bounds) from error

    return asked


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise BadParameter("the query must be UTF-8, percent-encoded") from None
