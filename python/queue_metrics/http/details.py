"""Routes of `/v1` with their questions and answers: one thing in full, servers, baselines, trends, series, footprint."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.responses import Response

from queue_metrics.http import detail_encode
from queue_metrics.http import detail_shapes as shapes
from queue_metrics.http.answers import about, as_json, listed, origin, tagged
from queue_metrics.http.parameters import (
    CONNECTION,
    FORMAT,
    KIND,
    LABELS,
    LIMIT,
    QUEUE,
    SERVER,
    STEP,
    TASK,
    TREND,
    WINDOW,
    BadParameter,
    window_of,
    within_bounds,
)
from queue_metrics.http.routes import Call, Route
from queue_metrics.http.shared import Held, Question
from queue_metrics.insights import Metrics
from queue_metrics.insights.crews import Whose
from queue_metrics.insights.names import UnknownName
from queue_metrics.insights.series import KINDS
from queue_metrics.model import (
    BaselineAnswer,
    Footprint,
    SeriesAnswer,
    ServerAnswer,
    Snapshot,
    TaskDetail,
    TrendAnswer,
    WorkerSummary,
)

CSV = "text/csv"


def own_details(snapshot: Callable[[Call], Question[Snapshot]]) -> Iterable[Route]:
    """
    The routes.

    Args:
        snapshot: the question that the lists ask: one queue and one worker are found in its answer.
    """
    yield Route(
        "/v1/tasks/{task}",
        "one task in full, over its queues or those that are named",
        shapes.TaskDetailReply,
        _task,
        _task_question,
        parameters=(*WINDOW, CONNECTION, QUEUE),
    )
    yield Route("/v1/queues/{connection}/{queue}", "one queue", shapes.QueueDetailReply, _queue, snapshot, parameters=WINDOW)
    yield Route("/v1/workers/{id}", "one process", shapes.WorkerReply, _worker, snapshot)
    yield Route(
        "/v1/worker-summary",
        "workers together: all, those of a server or those of a queue",
        shapes.WorkerSummaryReply,
        _worker_summary,
        _worker_summary_question,
        parameters=(*WINDOW, CONNECTION, QUEUE, SERVER),
    )
    yield Route(
        "/v1/servers",
        "every server: its health, its last sample, its workers",
        shapes.ServersReply,
        _servers,
        _servers_question,
        parameters=(*WINDOW, LIMIT),
    )
    yield Route("/v1/servers/{hostname}", "one server", shapes.ServerReply, _server, _servers_question, parameters=WINDOW)
    baselines = Question("baselines", (), lambda metrics: metrics.baselines())
    yield Route(
        "/v1/baselines",
        "what executions usually cost, and how far they are from that",
        shapes.BaselinesReply,
        _baselines,
        lambda _: baselines,
        parameters=(LIMIT,),
    )
    yield Route(
        "/v1/baselines/{connection}/{queue}",
        "of one queue, or of one of its tasks",
        shapes.BaselineReply,
        _baseline,
        _baseline_question,
        parameters=(TASK,),
    )
    yield Route(
        "/v1/trends/depth/{connection}/{queue}",
        "where the depth of a queue is heading",
        shapes.DepthTrendReply | shapes.NoTrendReply,
        _trend,
        lambda call: _trend_question(call, Metrics.trend),
        parameters=TREND,
    )
    yield Route(
        "/v1/trends/throughput/{connection}/{queue}",
        "where the executions of a queue that end are heading",
        shapes.ThroughputTrendReply | shapes.NoTrendReply,
        _trend,
        lambda call: _trend_question(call, Metrics.throughput),
        parameters=TREND,
    )
    yield Route(
        "/v1/trends/efficiency",
        "how busy the workers are, and where that is heading",
        shapes.EfficiencyTrendReply | shapes.NoTrendReply,
        _trend,
        lambda call: _trend_question(call, Metrics.efficiency),
        parameters=TREND,
    )
    yield Route(
        "/v1/series",
        "one series as it is kept, step by step",
        shapes.SeriesReply,
        _series,
        _series_question,
        parameters=(KIND, *LABELS, STEP, *WINDOW, FORMAT),
        also=(CSV,),
    )
    footprint = Question("footprint", (), lambda metrics: metrics.footprint())
    yield Route("/v1/footprint", "what the numbers take in the store", shapes.FootprintReply, _footprint, lambda _: footprint)


def _task_question(call: Call) -> Question[TaskDetail]:
    task, window, where = call.names["task"], window_of(call.parameters), (call.parameters["connection"], call.parameters["queue"])
    return Question(
        "task",
        (task, *where, *window.items()),
        within_bounds(lambda metrics: metrics.task(task, connection=where[0], queue=where[1], **window)),
    )


def _task(_call: Call, held: Held[TaskDetail]) -> Response:
    return as_json({**about(held.answer.window, held), **detail_encode.task_detail(held.answer)})


def _queue(call: Call, held: Held[Snapshot]) -> Response:
    wanted = (call.names["connection"], call.names["queue"])
    found = next((each for each in held.answer.queues if (each.connection, each.queue) == wanted), None)
    if found is None:
        raise UnknownName("no such queue")
    return as_json({**about(found.window, held), **detail_encode.queue_detail(found)})


def _worker(call: Call, held: Held[Snapshot]) -> Response:
    found = next((each for each in held.answer.workers if each.id == call.names["id"]), None)
    if found is None:
        raise UnknownName("no such worker")
    return as_json({**about(held.answer.overview.window, held), "worker": found})


def _worker_summary_question(call: Call) -> Question[WorkerSummary]:
    """
    Raises:
        BadParameter: a server and a queue are named, or half of a queue.
    """
    window, names = window_of(call.parameters), [call.parameters[each.name] for each in (SERVER, CONNECTION, QUEUE)]
    try:
        Whose.of(*names)
    except ValueError as error:
        raise BadParameter(str(error), parameter=QUEUE.name) from error
    server, connection, queue = names
    return Question(
        "worker summary",
        (*names, *window.items()),
        within_bounds(lambda metrics: metrics.worker_summary(server=server, connection=connection, queue=queue, **window)),
    )


def _worker_summary(_call: Call, held: Held[WorkerSummary]) -> Response:
    return as_json({**about(held.answer.window, held), "workers": detail_encode.worker_summary(held.answer)})


_Servers = tuple[ServerAnswer, ...]


def _servers_question(call: Call) -> Question[_Servers]:
    window = window_of(call.parameters)
    return Question("servers", tuple(window.items()), within_bounds(lambda metrics: metrics.servers(**window)))


def _servers(call: Call, held: Held[_Servers]) -> Response:
    return as_json({**origin(held), **listed("servers", held.answer, detail_encode.server, call)})


def _server(call: Call, held: Held[_Servers]) -> Response:
    found = next((each for each in held.answer if each.hostname == call.names["hostname"]), None)
    if found is None:
        raise UnknownName("no such server")
    return as_json({**about(found.window, held), **detail_encode.server(found)})


def _baselines(call: Call, held: Held[tuple[BaselineAnswer, ...]]) -> Response:
    entries = [(each.baseline.labels, each) for each in held.answer if each.baseline is not None]
    found = listed("baselines", entries, lambda each: detail_encode.baseline(*each), call)
    return as_json({**origin(held), **found, "message": None if held.collector.running else held.collector.message})


def _baseline_question(call: Call) -> Question[BaselineAnswer]:
    labels = _baseline_labels(call)
    return Question("baseline", labels, lambda metrics: metrics.baseline(*labels))


def _baseline(call: Call, held: Held[BaselineAnswer]) -> Response:
    return as_json({**origin(held), **detail_encode.baseline(_baseline_labels(call), held.answer)})


def _baseline_labels(call: Call) -> tuple[str, ...]:
    task = call.parameters["task"]
    return (call.names["connection"], call.names["queue"], *(() if task is None else (task,)))


def _trend_question(call: Call, ask: Callable[..., TrendAnswer]) -> Question[TrendAnswer]:
    names, when = call.names.values(), window_of(call.parameters)
    return Question(f"trend: {ask.__name__}", (*names, *when.items()), within_bounds(lambda metrics: ask(metrics, *names, **when)))


def _trend(_call: Call, held: Held[TrendAnswer]) -> Response:
    return as_json({**origin(held), **detail_encode.trend(held.answer)})


def _series_question(call: Call) -> Question[SeriesAnswer]:
    """
    Raises:
        BadParameter: a name is missing or too many.
    """
    given = call.parameters
    wanted = KINDS[given["kind"]][1]
    for each in LABELS:
        if (given[each.name] is not None) != (each.name in wanted):
            raise BadParameter(
                f"a series of kind {given['kind']} has the names {', '.join(wanted)}", parameter=each.name, known=list(wanted)
            )
    labels, window = [given[name] for name in wanted], window_of(given)
    step = None if given["step"] == "finest" else int(given["step"])
    return Question(
        "series",
        (given["kind"], *labels, step, *window.items()),
        within_bounds(lambda metrics: metrics.series(given["kind"], *labels, step=step, **window)),
    )


def _series(call: Call, held: Held[SeriesAnswer]) -> Response:
    if call.parameters["format"] == "csv":
        return tagged(Response(detail_encode.series_csv(held.answer), media_type=CSV))
    return as_json({**about(held.answer.window, held), **detail_encode.series(held.answer)})


def _footprint(_call: Call, held: Held[Footprint]) -> Response:
    return as_json({**origin(held), "footprint": held.answer})
