"""What a route is, and how a path finds its own; knows no answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.responses import Response

from queue_metrics.http.parameters import Parameter
from queue_metrics.http.shared import Held, Question

LONGEST_NAME = 2048
"""Bytes of a name in a path."""


class Access(Enum):
    """Who may ask, when a token is configured."""

    OPEN = "open"
    """Everybody: there is nothing to know."""
    BRIEF = "brief"
    """Everybody, and without the token only a word."""
    TOKEN = "token"
    """Who has the token."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in and understood."""

    root: str
    """Path at which the app is mounted."""
    parameters: Mapping[str, Any]
    names: Mapping[str, str]
    """What stands in the path."""
    trusted: bool
    """Whether reasons may be told: the token was given, or none is configured and the caller is on this machine."""
    store: str
    """Where the numbers come from, without a password."""


@dataclass(frozen=True, slots=True)
class Text:
    """A reply that is no JSON."""

    media_type: str


@dataclass(frozen=True, slots=True)
class Route:
    """One path and method, and the function that answers it in a thread."""

    path: str
    """A name in it stands in braces: `/queues/{connection}/{queue}`. It is all that stands there, percent-encoded: `%2F` is part of it."""
    summary: str
    reply: Any
    """The type of a good answer: a TypedDict, a union of them, or Text."""
    answer: Callable[..., Response]
    """Of the call, and of what the store holds when there is a question."""
    question: Callable[[Call], Question[Any]] | None = None
    """What is asked of the store; None: nothing."""
    access: Access = Access.TOKEN
    parameters: Sequence[Parameter] = ()
    also: Sequence[str] = ()
    """Other media types that a good answer may have."""
    method: str = "GET"
    family: str = "own"
    """Under which heading it is documented."""
    missing: str | None = None
    """What the original says in `error` when there is nothing of the name in the path."""
    listed: bool = True
    """Whether it is something to ask for, not a part of the page."""

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.split("/")[1:])

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the path."""
        return tuple(segment[1:-1] for segment in self.segments if segment.startswith("{"))

    @property
    def methods(self) -> tuple[str, ...]:
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)


Answer = Callable[[Call, Held[Any]], Response]


class Table:
    """Every route. A path that is written out goes before one with names in it."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """
        Args:
            routes: no two with one path.
        """
        self.routes: Mapping[str, Route] = {route.path: route for route in routes}
        self._named = [route for route in self.routes.values() if route.names]

    def find(self, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The route of a path as it was sent, and the names in it; None: there is nothing."""
        exact = self.routes.get(path)
        if exact is not None and not exact.names:
            return exact, {}
        segments = tuple(path.split("/")[1:])
        for route in self._named:
            names = _names(route.segments, segments)
            if names is not None:
                return route, names
        return None


def _names(template: tuple[str, ...], segments: tuple[str, ...]) -> Mapping[str, str] | None:
    if len(template) != len(segments):
        return None
    names = {}
    for wanted, given in zip(template, segments, strict=True):
        if not wanted.startswith("{"):
            if wanted != given:
                return None
        elif not given or len(given) > LONGEST_NAME:
            return None
        else:
            try:
                names[wanted[1:-1]] = unquote_to_bytes(given).decode()
            except UnicodeDecodeError:
                return None  # no name that was ever recorded
    return names
