"""The ASGI app: every request through the same gates in the same order, every answer with the same headers."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from queue_metrics import _core
from queue_metrics.http import answers
from queue_metrics.http.guard import CHALLENGES, SECURITY_HEADERS, Guard, is_loopback
from queue_metrics.http.headers import told
from queue_metrics.http.original.index import index as original_index
from queue_metrics.http.page import render_unavailable
from queue_metrics.http.parameters import BadParameter, parse
from queue_metrics.http.problem import problem
from queue_metrics.http.routes import Access, Call, Route
from queue_metrics.http.shared import Held, NothingToShow, SharedReading
from queue_metrics.http.table import index, routes
from queue_metrics.insights import UnknownName

log = logging.getLogger(__name__)

RETRY_SECONDS = 5
"""What is told to who asks while there is nothing to show."""

_OF_A_BODY = ("content-length", "content-type")


class Application:
    """
    The surface as an ASGI app.

    Order of the gates: Host, route, method, token, parameters, store. So a request under a wrong name learns nothing, not even which
    paths exist.
    """

    def __init__(self, reading: SharedReading, guard: Guard, *, scrape_minutes: int, prometheus_namespace: str) -> None:
        """
        Args:
            reading: of the store.
            guard: who may ask.
            scrape_minutes: window of `/metrics`, which shows totals and what is now.
            prometheus_namespace: in front of the names of `/prometheus`.
        """
        self._reading = reading
        self._guard = guard
        self._table = routes(scrape_minutes=scrape_minutes, prometheus_namespace=prometheus_namespace)

    @property
    def store(self) -> str:
        """Where the numbers come from, without a password."""
        return self._reading.store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            response = await self._guarded(scope)
            if scope["method"] == "HEAD":
                response.body = b""  # its Content-Length stays that of the GET
            await response(scope, receive, send)

    async def _guarded(self, scope: Scope) -> Response:
        try:
            response = await self._answer(scope)
        except Exception:
            log.exception("a request failed")
            response = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "something in here is broken; the server's log tells more")
        response.headers.update(SECURITY_HEADERS)
        if response.status_code == HTTPStatus.OK and _unchanged(scope, response):
            # All else stays: that the store is away, or that a collector has stopped, changes no body of the original.
            kept = {name: value for name, value in response.headers.items() if name not in _OF_A_BODY}
            response = Response(status_code=HTTPStatus.NOT_MODIFIED, headers=kept)
        return response

    async def _answer(self, scope: Scope) -> Response:
        headers = scope["headers"]
        if not self._guard.host_allowed(headers):
            return problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this server does not answer to that Host; if it is yours, add `--allow-host NAME` or the setting `allowed_hosts`",
            )
        root, path = _paths(scope)
        found = self._table.find(path)
        route, names = (None, {}) if found is None else found
        authorised = self._guard.authorised(headers)
        if not authorised and (route is None or route.access is Access.TOKEN):
            return _unauthorised()
        if route is None:
            return problem(HTTPStatus.NOT_FOUND, "there is nothing here; / lists what there is")
        if scope["method"] not in route.methods:
            detail = "this is only read" if route.method == "GET" else "this is a duty to be done, not something to read"
            return problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers={"Allow": ", ".join(route.methods)})
        if route.method != "GET" and not self._guard.meant(headers):
            return problem(HTTPStatus.FORBIDDEN, "the page of another site may not change anything here; send the token as a bearer token")
        try:
            parameters = parse(scope["query_string"], route.parameters)
        except BadParameter as error:
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), **error.members)
        trusted = authorised if self._guard.asks else _from_here(scope)
        return await self._routed(scope, route, Call(root, parameters, names, trusted, self._reading.store))

    async def _routed(self, scope: Scope, route: Route, call: Call) -> Response:
        html = route.path == "/" and _wants_html(scope)
        if route.path == "/" and not html:
            return answers.as_json(
                {
                    **original_index(call.root, _address(scope)),
                    "name": "queue-metrics",
                    "version": _core.__version__,
                    "routes": index(self._table),
                }
            )
        try:
            if route.question is None:
                return route.answer(call)  # waits for nobody, whoever waits for the store
            held = await self._reading.get(route.question(call))
            return await run_in_threadpool(_answered, route, call, held)
        except NothingToShow as error:
            return _unavailable(route.path, html, call, str(error))
        except BadParameter as error:  # only the store's clock and retention can tell
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), **error.members)
        except UnknownName:
            # Whether something of nearly this name exists is for the front door to tell, not for the network.
            members: dict[str, Any] = {} if route.missing is None else {"error": route.missing}
            return problem(HTTPStatus.NOT_FOUND, "nothing of this name was ever recorded here", **members)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await run_in_threadpool(self._reading.close)
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})


def _answered(route: Route, call: Call, held: Held[Any]) -> Response:
    response = route.answer(call, held)
    response.headers.update(told(route, held))
    return response


def _paths(scope: Scope) -> tuple[str, str]:
    """Where the app is mounted, and the path below as it was sent: %2F in it is part of a name, not a separator."""
    root = scope.get("root_path", "").rstrip("/")
    raw = scope.get("raw_path")
    path = quote(scope["path"], safe="/%") if raw is None else raw.decode("latin-1")
    return quote(root), path[_end_of(root, path) :] or "/"


def _end_of(root: str, path: str) -> int:
    """
    Where the root ends in a path as it was sent; 0: it is not in front of it.

    The root is told decoded, and who asks may encode of it what he likes, as `@`. Each part is decoded once, and none behind the first that
    differs: who has no token gets as far as this.
    """
    known = end = 0
    while known < len(root):
        slash = path.find("/", end + 1)
        until = len(path) if slash < 0 else slash
        part = unquote(path[end:until])
        if not part or not root.startswith(part, known):
            return 0
        known, end = known + len(part), until
    return end


def _address(scope: Scope) -> str:
    """Where this server listens, for examples; the usual place where that is not told, as at a Unix socket."""
    host, port = scope.get("server") or ("", None)
    if port is None:
        host, port = "127.0.0.1", 8787
    return f"{scope.get('scheme', 'http')}://{f'[{host}]' if ':' in host else host}:{port}"


def _from_here(scope: Scope) -> bool:
    client = scope.get("client")
    return client is not None and is_loopback(client[0])


def _wants_html(scope: Scope) -> bool:
    """Whether a browser asks: it names HTML, programs name JSON or anything."""
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept").lower()
    return any(part.partition(b";")[0].strip() in (b"text/html", b"application/xhtml+xml") for part in accept.split(b","))


def _unchanged(scope: Scope, response: Response) -> bool:
    tag = response.headers.get("ETag", "").encode()
    given = b",".join(value for name, value in scope["headers"] if name == b"if-none-match")
    return bool(tag) and any(part.strip().removeprefix(b"W/") == tag for part in given.split(b","))


def _unauthorised() -> Response:
    response = problem(HTTPStatus.UNAUTHORIZED, "a token is needed: `Authorization: Bearer ...`, or any user with it as the password")
    for challenge in CHALLENGES:
        response.headers.append("WWW-Authenticate", challenge)
    return response


def _unavailable(path: str, html: bool, call: Call, why: str) -> Response:
    retry = {"Retry-After": str(RETRY_SECONDS)}
    if html:
        page = render_unavailable(call.root, why, refresh=call.parameters["refresh"])
        return Response(page, HTTPStatus.SERVICE_UNAVAILABLE, retry, "text/html")
    if path == "/health":
        return answers.unhealthy(call, retry)
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, why, headers=retry)
