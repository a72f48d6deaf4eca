"""The one table of routes: from it come the answers, the index, `/openapi.json` and what the documents are checked against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from queue_metrics.http import answers, shapes
from queue_metrics.http.details import own_details
from queue_metrics.http.interface import Interface
from queue_metrics.http.openapi_shapes import InterfaceReply
from queue_metrics.http.original.overview_shapes import OriginalIndexReply
from queue_metrics.http.original.routes import EVERYTHING, FAMILY, original_routes
from queue_metrics.http.parameters import LIMIT, MINUTES, REFRESH, ROWS, WINDOW, window_of, within_bounds
from queue_metrics.http.prometheus import CONTENT_TYPE, Exporter
from queue_metrics.http.routes import Access, Call, Route, Table, Text
from queue_metrics.http.shared import Question
from queue_metrics.insights.window import MINUTES_DEFAULT
from queue_metrics.model import Snapshot

PROMETHEUS_TEXT = Text(CONTENT_TYPE)


def routes(*, scrape_minutes: int, prometheus_namespace: str) -> Table:
    """
    Every route.

    Args:
        scrape_minutes: window of `/metrics`, which shows totals and what is now.
        prometheus_namespace: in front of the names of `/prometheus`.
    """
    table = Table([*_general(scrape_minutes), *original_routes(), *_prometheus(prometheus_namespace), *_own(), *_documents(lambda: table)])
    return table


def _general(scrape_minutes: int) -> Iterable[Route]:
    yield Route(
        "/",
        "the page, or the index of what there is",
        OriginalIndexReply,
        answers.page,
        _snapshot,
        parameters=(MINUTES, ROWS, REFRESH),
        also=("text/html",),
    )
    yield Route("/ready", "the server lives; asks no store", shapes.ReadyReply, answers.ready, access=Access.OPEN)
    yield Route(
        "/health",
        "503 when something is critical; reasons for those who may read",
        shapes.HealthReply | shapes.BriefHealthReply,
        answers.health,
        _snapshot,
        Access.BRIEF,
    )
    exporter = Exporter()
    scraping = Question("scrape", (scrape_minutes,), lambda metrics: metrics.scrape(minutes=scrape_minutes))
    yield Route(
        "/metrics", "everything for Prometheus", PROMETHEUS_TEXT, lambda _, held: answers.metrics(exporter, held), lambda _: scraping
    )
    yield Route("/style.css", "how the page looks", Text("text/css"), answers.style, access=Access.OPEN, listed=False)
    yield Route("/icon.svg", "its icon", Text("image/svg+xml"), answers.icon, access=Access.OPEN, listed=False)


def _own() -> Iterable[Route]:
    yield Route("/v1/overview", "everything at one glance", shapes.OverviewReply, answers.overview, _snapshot, parameters=WINDOW)
    yield Route("/v1/tasks", "what every task costs", shapes.TasksReply, answers.tasks, _snapshot, parameters=(*WINDOW, LIMIT))
    yield Route(
        "/v1/queues", "depth, age, flow and wait of every queue", shapes.QueuesReply, answers.queues, _snapshot, parameters=(*WINDOW, LIMIT)
    )
    yield Route("/v1/workers", "every process with a heartbeat", shapes.WorkersReply, answers.workers, _snapshot, parameters=(LIMIT,))
    yield from own_details(_snapshot)


def _prometheus(namespace: str) -> Iterable[Route]:
    yield Route(
        "/prometheus",
        "the original's series for Prometheus",
        PROMETHEUS_TEXT,
        lambda _, held: answers.original_metrics(namespace, held),
        lambda _: EVERYTHING,
        family=FAMILY,
    )


def _documents(table: Callable[[], Table]) -> Iterable[Route]:
    interface = Interface(table)
    yield Route(
        "/openapi.json",
        "this interface, as OpenAPI 3.1",
        InterfaceReply,
        interface.for_programs,
        access=Access.OPEN,
    )
    yield Route(
        "/docs",
        "this interface, to read",
        Text("text/html"),
        interface.for_people,
        access=Access.OPEN,
    )


def snapshot_of(window: Mapping[str, int]) -> Question[Snapshot]:
    """Overview, tasks, queues and workers of one moment."""
    return Question("snapshot", tuple(window.items()), within_bounds(lambda metrics: metrics.snapshot(**window)))


def _snapshot(call: Call) -> Question[Snapshot]:
    return snapshot_of(window_of(call.parameters) or {"minutes": MINUTES_DEFAULT})


def index(table: Table) -> Mapping[str, object]:
    """The table for programs."""
    return {
        route.path: {
            "summary": route.summary,
            "method": route.method,
            "parameters": {each.name: {**each.schema(), "meaning": each.meaning} for each in route.parameters},
        }
        for route in table.routes.values()
        if route.listed
    }
