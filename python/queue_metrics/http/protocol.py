"""What uvicorn answers by itself, in our words and with our headers; loaded when something is served."""

from __future__ import annotations

import sys
from http import HTTPStatus

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from queue_metrics.http.guard import SECURITY_HEADERS
from queue_metrics.http.problem import problem

MOST_CONNECTIONS = 256
"""Open at once; who comes later is told to come back."""
RETRY_SECONDS = 5

_DETAILS = {
    HTTPStatus.BAD_REQUEST: "this is no request of HTTP/1.1, or it has not exactly one Host",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "the head of the request is too long",
    HTTPStatus.NOT_IMPLEMENTED: "the body of the request is encoded in a way that is not known here",
}


class Protocol(H11Protocol):
    """A connection; what is no request, and so reaches no app, is refused as everything else is."""

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser refused, and close."""
        status = HTTPStatus(getattr(sys.exception(), "error_status_hint", HTTPStatus.BAD_REQUEST))
        response = problem(
            status, _DETAILS.get(status, _DETAILS[HTTPStatus.BAD_REQUEST]), headers={**SECURITY_HEADERS, "Connection": "close"}
        )
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):  # else the app has begun to answer, and another answer would be part of it
            for event in (
                h11.Response(status_code=status.value, headers=response.raw_headers, reason=status.phrase),
                h11.Data(data=bytes(response.body)),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class Bounded:
    """The app for so many connections at once; uvicorn's own limit would answer without our headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.state: ServerState | None = None
        """Of the server, once there is one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.state is not None and len(self.state.connections) > MOST_CONNECTIONS:
            headers = {**SECURITY_HEADERS, "Connection": "close", "Retry-After": str(RETRY_SECONDS)}
            refusal = problem(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections are open", headers=headers)
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)
