"""The routes of the original, all but its index, its health and its Prometheus text, which have places of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from starlette.responses import Response

from queue_metrics.http.answers import as_json
from queue_metrics.http.original import (
    fleet_shapes,
    jobs,
    overview,
    overview_shapes,
    queues,
    servers,
    shapes,
    trend_shapes,
    trends,
    workers,
)
from queue_metrics.http.parameters import INTERVAL, PERIOD, Choice, Name, Number, Parameter
from queue_metrics.http.routes import Call, Route
from queue_metrics.http.shared import Held, Question
from queue_metrics.insights import Metrics
from queue_metrics.insights.everything import Everything

FAMILY = "original"

FULL = Choice("full", ("0", "1"), "0", "1: everything, also baselines and trends")
CONNECTION = Name("connection", "only workers of this connection")
QUEUE = Name("queue", "only workers that serve this queue")
HOSTNAME = Name("hostname", "which server; by default the machine that answers, or the only one")
THRESHOLD = Number("threshold", 1, 604_800, 60, "seconds of silence")

EVERYTHING: Question[Everything] = Question("everything", (), lambda metrics: metrics.everything())
"""One look answers all endpoints of a second, trends of the last hour among them."""


def original_routes() -> Iterable[Route]:
    """In the order of the original's index."""
    yield _route("/overview", "everything at a glance, or in full", _Overview, _overview, parameters=(FULL,))
    yield _route("/jobs", "every job class", shapes.OriginalJobsReply, lambda _, found: jobs.jobs(found))
    yield _route(
        "/jobs/{class}",
        "a job class over all of its queues",
        shapes.OriginalJobReply,
        lambda call, found: jobs.job_class(found, call.names["class"]),
        missing="Job not found",
    )
    yield _route("/queues", "the names of all queues", shapes.OriginalQueuesReply, lambda _, found: queues.names(found))
    yield _route("/queues/all", "every queue in full", shapes.OriginalAllQueuesReply, lambda _, found: queues.all_queues(found))
    yield _route(
        "/queues/{connection}/{queue}",
        "one queue",
        shapes.OriginalQueueReply,
        lambda call, found: queues.queue(found, call.names["connection"], call.names["queue"]),
        missing="Queue not found",
    )
    yield _route(
        "/queues/{connection}/{queue}/depth",
        "the jobs in a queue",
        shapes.OriginalDepthReply,
        lambda call, found: queues.depth(found, call.names["connection"], call.names["queue"]),
        missing="Queue not found",
    )
    yield from _fleet()
    yield from _trends()


def _fleet() -> Iterable[Route]:
    served = (CONNECTION, QUEUE)
    yield _route(
        "/workers",
        "live workers",
        overview_shapes.OriginalWorkersReply,
        lambda call, found: workers.workers(found, **call.parameters),
        parameters=served,
    )
    yield _route(
        "/workers/all",
        "every worker, and all together",
        fleet_shapes.OriginalAllWorkersReply,
        lambda _, found: workers.all_workers(found),
    )
    yield _route(
        "/workers/status",
        "heartbeats",
        fleet_shapes.OriginalStatusReply,
        lambda call, found: workers.status(found, **call.parameters),
        parameters=served,
    )
    yield _route(
        "/workers/status/{id}",
        "one heartbeat",
        fleet_shapes.OriginalStatusOfReply,
        lambda call, found: workers.status_of(found, call.names["id"]),
        missing="Worker not found",
    )
    yield _route(
        "/workers/detect-stale",
        "how many workers went silent",
        fleet_shapes.OriginalStaleReply,
        lambda call, found: workers.detect_stale(found, **call.parameters),
        parameters=(THRESHOLD,),
        method="POST",
    )
    yield _route("/servers", "every server rolled up", fleet_shapes.OriginalServersReply, lambda _, found: servers.servers(found))
    yield _route(
        "/server",
        "the last sample of one server",
        fleet_shapes.OriginalServerReply,
        lambda call, found: servers.server(found, **call.parameters),
        parameters=(HOSTNAME,),
        missing="Server not found",
    )
    yield _route(
        "/server/health",
        "how one server is",
        fleet_shapes.OriginalServerHealthReply,
        lambda call, found: servers.server_health(found, **call.parameters),
        parameters=(HOSTNAME,),
        missing="Server not found",
    )


def _trends() -> Iterable[Route]:
    yield _trend(
        "/trends/queue-depth/{connection}/{queue}",
        "where the depth of a queue is heading",
        trend_shapes.OriginalDepthTrend | trend_shapes.OriginalNoQueueTrend,
        Metrics.trend,
        Everything.depth_trend,
        trends.depth_trend,
        parameters=(PERIOD, INTERVAL),
        missing="Queue not found",
    )
    yield _trend(
        "/trends/throughput/{connection}/{queue}",
        "where the executions of a queue are heading",
        trend_shapes.OriginalThroughputTrend | trend_shapes.OriginalNoQueueTrend,
        Metrics.throughput,
        Everything.throughput_trend,
        trends.throughput_trend,
        missing="Queue not found",
    )
    yield _trend(
        "/trends/worker-efficiency",
        "how busy all workers were",
        trend_shapes.OriginalEfficiencyTrend | trend_shapes.OriginalNoTrend,
        Metrics.efficiency,
        lambda everything: everything.efficiency_trend,
        trends.efficiency_trend,
    )


def _trend(
    path: str,
    summary: str,
    reply: Any,
    ask: Callable[..., Any],
    of_the_last_hour: Callable[..., Any],
    tell: Callable[[Any], Any],
    *,
    parameters: Sequence[Number] = (PERIOD,),
    missing: str | None = None,
) -> Route:
    """
    A trend: that of the last hour by minutes is in the one look that answers all, any other asks for itself.

    Args:
        ask: the metrics, for the names in the path and other bounds.
        of_the_last_hour: finds it by the names in what was looked at.
        tell: the answer, as the original has it.
    """

    def question(call: Call) -> Question[Any]:
        if all(call.parameters[each.name] == each.default for each in parameters):
            return EVERYTHING
        names, bounds = call.names.values(), {f"{each.name}_seconds": call.parameters[each.name] for each in parameters}
        return Question(path, (*names, *bounds.values()), lambda metrics: ask(metrics, *names, **bounds))

    def answer(call: Call, found: Any) -> Any:
        return tell(of_the_last_hour(found, *call.names.values()) if isinstance(found, Everything) else found)

    return _route(path, summary, reply, answer, question=question, parameters=parameters, missing=missing)


def _route(
    path: str,
    summary: str,
    reply: Any,
    answer: Callable[[Call, Any], Any],
    *,
    question: Callable[[Call], Question[Any]] = lambda _: EVERYTHING,
    parameters: Sequence[Parameter] = (),
    method: str = "GET",
    missing: str | None = None,
) -> Route:
    def answered(call: Call, held: Held[Any]) -> Response:
        return as_json(answer(call, held.answer))

    return Route(path, summary, reply, answered, question, parameters=parameters, method=method, family=FAMILY, missing=missing)


_Overview = overview_shapes.OriginalSlimOverviewReply | overview_shapes.OriginalFullOverviewReply


def _overview(call: Call, found: Everything) -> Any:
    return overview.full_overview(found) if call.parameters["full"] == "1" else overview.slim_overview(found)
