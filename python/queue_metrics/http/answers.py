"""What each route answers, from a reading that was made already; called in threads, waits for nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from starlette.responses import Response

from queue_metrics.http import encode, prometheus
from queue_metrics.http.page import PageView, render
from queue_metrics.http.shared import Held
from queue_metrics.model import Health, Reason, Status

STALE_HEADER = "Queue-Metrics-Stale"
"""Seconds; on every answer that is older than it should be because the store cannot be read."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in and understood."""

    root: str
    """Path at which the app is mounted."""
    parameters: Mapping[str, int]
    trusted: bool
    """Whether reasons may be told: the token was given, or none is configured and the caller is on this machine."""
    store: str
    """Where the numbers come from, without a password."""


def page(call: Call, held: Held) -> Response:
    """The page."""
    view = PageView(
        snapshot=held.snapshot,
        stale_seconds=held.stale_seconds,
        store=call.store,
        root=call.root,
        minutes=call.parameters["minutes"],
        limit=call.parameters["limit"],
        refresh=call.parameters["refresh"],
    )
    return tagged(Response(render(view).encode("utf-8", "replace"), media_type="text/html", headers=_stale(held)))


def ready(_call: Call) -> Response:
    """The server lives."""
    return as_json({"status": "ready"})


def health(call: Call, held: Held) -> Response:
    """Alive and well, or 503."""
    if held.stale_seconds is not None:
        return unhealthy(call, _stale(held))
    overview = held.snapshot.overview
    body: dict[str, Any] = {"status": overview.health.status.value}
    if call.trusted:
        body = {**encode.health(overview.health), "drainer_age_seconds": overview.drainer_age_seconds}
    return as_json(body, status=503 if overview.health.status is Status.CRITICAL else 200)


def unhealthy(call: Call, headers: Mapping[str, str]) -> Response:
    """Whatever the numbers say: they cannot be read now."""
    reason = Reason(Status.CRITICAL, "store_unavailable", "The store cannot be read.", 100)
    body = encode.health(Health(Status.CRITICAL, 0, (reason,))) if call.trusted else {"status": Status.CRITICAL.value}
    return as_json(body, status=503, headers=headers)


def metrics(_call: Call, held: Held) -> Response:
    """Prometheus text."""
    text = prometheus.exposition(held.snapshot, held.stale_seconds)
    content_type = {"content-type": prometheus.CONTENT_TYPE}
    return tagged(Response(text.encode("utf-8", "replace"), headers=content_type | _stale(held)))


def overview(_call: Call, held: Held) -> Response:
    """The overview."""
    return _answer(held, encode.overview(held.snapshot.overview))


def tasks(call: Call, held: Held) -> Response:
    """All tasks, most run time first."""
    return _answer(held, _listed("tasks", held.snapshot.tasks, encode.task, call))


def queues(call: Call, held: Held) -> Response:
    """All queues, worst first."""
    return _answer(held, _listed("queues", held.snapshot.queues, encode.queue, call))


def workers(call: Call, held: Held) -> Response:
    """All workers, those that need a look first."""
    return _answer(held, _listed("workers", held.snapshot.workers, encode.worker, call))


def style(_call: Call) -> Response:
    """The style sheet."""
    return tagged(Response(_file("style.css"), media_type="text/css"))


def icon(_call: Call) -> Response:
    """The icon."""
    return tagged(Response(_file("icon.svg"), media_type="image/svg+xml"))


def as_json(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer with its tag."""
    # NaN and infinity are no JSON; none can be in an answer, and if so it must be seen.
    text = json.dumps(body, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return tagged(Response(text, status, headers, "application/json"))


def tagged(response: Response) -> Response:
    """With an ETag of its body, so that who asks often need not read often."""
    response.headers["ETag"] = f'"{hashlib.blake2b(response.body, digest_size=12).hexdigest()}"'
    return response


def _listed(name: str, answers: Sequence[_T], encoder: Callable[[_T], Any], call: Call) -> dict[str, Any]:
    return {name: [encoder(each) for each in answers[: call.parameters["limit"]]], "total": len(answers)}


def _answer(held: Held, body: Mapping[str, Any]) -> Response:
    about = {
        "window": encode.window(held.snapshot.overview.window),
        "stale": held.stale_seconds is not None,
        "stale_seconds": held.stale_seconds,
    }
    return as_json({**about, **body}, headers=_stale(held))


def _stale(held: Held) -> dict[str, str]:
    return {} if held.stale_seconds is None else {STALE_HEADER: f"{held.stale_seconds:.0f}"}


@cache
def _file(name: str) -> bytes:
    return (files("queue_metrics.http") / name).read_bytes()
