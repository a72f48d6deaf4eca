"""What the routes of our own family answer, from what was read already; called in threads, waits for nothing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from starlette.responses import Response

from queue_metrics.http import encode, prometheus, prometheus_original, shapes
from queue_metrics.http.page import PageView, render
from queue_metrics.http.routes import Call
from queue_metrics.http.shared import Held
from queue_metrics.insights.everything import Everything
from queue_metrics.insights.scrape import Scrape
from queue_metrics.model import Health, Overview, Reason, Snapshot, Status, Window

_T = TypeVar("_T")
_O = TypeVar("_O", Snapshot, Scrape)


def page(call: Call, held: Held[Snapshot]) -> Response:
    """The page."""
    view = PageView(
        snapshot=_by_now(held).answer,
        stale_seconds=held.stale_seconds,
        store=call.store,
        root=call.root,
        minutes=call.parameters["minutes"],
        limit=call.parameters["limit"],
        refresh=call.parameters["refresh"],
    )
    return tagged(Response(render(view).encode("utf-8", "replace"), media_type="text/html"))


def ready(_call: Call) -> Response:
    """The server lives."""
    return as_json({"status": "ready"})


def health(call: Call, held: Held[Snapshot]) -> Response:
    """Alive and well, or 503."""
    if held.stale_seconds is not None:
        return unhealthy(call)
    overview = held.answer.overview
    body: dict[str, Any] = {"status": overview.health.status.value}
    if call.trusted:
        body = {**encode.health(_with_collector(overview)), "drainer_age_seconds": overview.drainer_age_seconds}
    body["timestamp"] = int(overview.window.end)
    return as_json(body, status=503 if overview.health.status is Status.CRITICAL else 200)


def _with_collector(overview: Overview) -> Health:
    """Its health, and that no collector runs, which costs nothing where none ever did; the original's replies have no place for it."""
    health = overview.health
    if not overview.lacks_collector or any(reason.code == "no_collector" for reason in health.reasons):
        return health
    return replace(health, reasons=(*health.reasons, Reason(Status.HEALTHY, "no_collector", overview.collector.message, 0)))


def unhealthy(call: Call, headers: Mapping[str, str] | None = None) -> Response:
    """Whatever the numbers say: they cannot be read now."""
    reason = Reason(Status.CRITICAL, "store_unavailable", "The store cannot be read.", 100)
    body: dict[str, Any] = {"status": Status.CRITICAL.value}
    if call.trusted:
        body = {**encode.health(Health(Status.CRITICAL, 0, (reason,))), "drainer_age_seconds": None}
    body["timestamp"] = int(time.time())
    return as_json(body, status=503, headers=headers)


def metrics(exporter: prometheus.Exporter, held: Held[Scrape]) -> Response:
    """Prometheus text."""
    text = exporter.text(_by_now(held).answer, held.stale_seconds)
    return tagged(Response(text, headers={"content-type": prometheus.CONTENT_TYPE}))


def original_metrics(namespace: str, held: Held[Everything]) -> Response:
    """Prometheus text as the original has it."""
    text = prometheus_original.text(held.answer, namespace, held.collector, held.stale_seconds)
    return tagged(Response(text, headers={"content-type": prometheus.CONTENT_TYPE}))


def overview(_call: Call, held: Held[Snapshot]) -> Response:
    """The overview."""
    return _answer(held, encode.overview(_by_now(held).answer.overview))


def tasks(call: Call, held: Held[Snapshot]) -> Response:
    """All tasks, most run time first."""
    return _answer(held, listed("tasks", held.answer.tasks, encode.task, call))


def queues(call: Call, held: Held[Snapshot]) -> Response:
    """All queues, worst first."""
    return _answer(held, listed("queues", held.answer.queues, encode.queue, call))


def workers(call: Call, held: Held[Snapshot]) -> Response:
    """All workers, those that need a look first."""
    return _answer(held, listed("workers", held.answer.workers, lambda worker: worker, call))


def style(_call: Call) -> Response:
    """The style sheet."""
    return tagged(Response(_file("style.css"), media_type="text/css"))


def icon(_call: Call) -> Response:
    """The icon."""
    return tagged(Response(_file("icon.svg"), media_type="image/svg+xml"))


def as_json(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer with its tag."""
    return tagged(Response(encode.dumps(body), status, headers, "application/json"))


def tagged(response: Response) -> Response:
    """With an ETag of its body, so that who asks often need not read often."""
    response.headers["ETag"] = f'"{hashlib.blake2b(response.body, digest_size=12).hexdigest()}"'
    return response


def listed(name: str, answers: Sequence[_T], encoder: Callable[[_T], Any], call: Call) -> dict[str, Any]:
    """As many entries as were asked for, and how many there are."""
    return {name: [encoder(each) for each in answers[: call.parameters["limit"]]], "total": len(answers)}


def origin(held: Held[Any]) -> shapes.Origin:
    """What every answer of `/v1` begins with."""
    return {"stale": held.stale_seconds is not None, "stale_seconds": held.stale_seconds, "collector": held.collector}


def about(window: Window, held: Held[Any]) -> shapes.About:
    """What answers about a window begin with."""
    return {"window": encode.window(window), **origin(held)}


def _by_now(held: Held[_O]) -> Held[_O]:
    """The same with what says how long ago something was as it is now, however old the reading: the rest stays of its moment."""
    if held.stale_seconds is None:
        return held
    overview = held.answer.overview
    last = overview.drainer_age_seconds
    overview = replace(overview, collector=held.collector, drainer_age_seconds=None if last is None else last + held.stale_seconds)
    return replace(held, answer=replace(held.answer, overview=overview))


def _answer(held: Held[Snapshot], body: Mapping[str, Any]) -> Response:
    return as_json({**about(held.answer.overview.window, held), **body})


@cache
def _file(name: str) -> bytes:
    return (files("queue_metrics.http") / name).read_bytes()
