"""The one table of routes: path, who may, which parameters, and the function that answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from starlette.responses import Response

from queue_metrics.http import answers
from queue_metrics.http.answers import Call
from queue_metrics.http.parameters import LIMIT, MINUTES, REFRESH, ROWS, Parameter
from queue_metrics.http.shared import Held


class Access(Enum):
    """Who may ask, when a token is configured."""

    OPEN = "open"
    """Everybody: there is nothing to know."""
    BRIEF = "brief"
    """Everybody, and without the token only a word."""
    TOKEN = "token"
    """Who has the token."""


@dataclass(frozen=True, slots=True)
class Route:
    """One path, and the function that answers it in a thread: one that needs no store, or one that gets a reading of it."""

    summary: str
    access: Access = Access.TOKEN
    parameters: Sequence[Parameter] = ()
    plain: Callable[[Call], Response] | None = None
    reading: Callable[[Call, Held], Response] | None = None


ROUTES: Mapping[str, Route] = MappingProxyType(
    {
        "/": Route("the page, or this index", parameters=(MINUTES, ROWS, REFRESH), reading=answers.page),
        "/ready": Route("the server lives; asks no store", Access.OPEN, plain=answers.ready),
        "/health": Route("503 when something is critical; reasons for those who may read", Access.BRIEF, reading=answers.health),
        "/metrics": Route("everything for Prometheus", reading=answers.metrics),
        "/v1/overview": Route("everything at one glance", parameters=(MINUTES,), reading=answers.overview),
        "/v1/tasks": Route("what every task costs", parameters=(MINUTES, LIMIT), reading=answers.tasks),
        "/v1/queues": Route("depth, age, flow and wait of every queue", parameters=(MINUTES, LIMIT), reading=answers.queues),
        "/v1/workers": Route("every process with a heartbeat", parameters=(LIMIT,), reading=answers.workers),
        "/style.css": Route("how the page looks", Access.OPEN, plain=answers.style),
        "/icon.svg": Route("its icon", Access.OPEN, plain=answers.icon),
    }
)


def index() -> Mapping[str, object]:
    """The table for programs."""
    return {
        path: {
            "summary": route.summary,
            "parameters": {
                each.name: {"minimum": each.low, "maximum": each.high, "default": each.default, "meaning": each.meaning}
                for each in route.parameters
            },
        }
        for path, route in ROUTES.items()
        if path not in ("/style.css", "/icon.svg")
    }
