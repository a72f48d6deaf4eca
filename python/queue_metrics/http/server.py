"""The app on a socket: uvicorn with bounds, in this thread or in one of its own."""

from __future__ import annotations

import errno
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from queue_metrics.errors import ConfigurationError, MissingDependency

if TYPE_CHECKING:
    from queue_metrics.http.app import Application

PORTS_TRIED = 100
_BACKLOG = 128


def bound(host: str, port: int, *, search: bool = False) -> socket.socket:
    """
    A listening socket.

    Args:
        host: address or name.
        port: 0 for any free one.
        search: take the next free port if this one is taken.

    Raises:
        ConfigurationError: the address is not of this machine, or no port is free.
    """
    last = min(port + PORTS_TRIED, 65536) if search and port else port + 1
    for number in range(port, last):
        try:
            # Not create_server: its SO_REUSEPORT and dual-stack choices differ by platform, and one address is what was asked for.
            family, kind, protocol, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            listener = socket.socket(family, kind, protocol)
        except OSError as error:
            raise ConfigurationError(f"cannot listen at {host}: {error.strerror or error}") from error
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            if error.errno == errno.EADDRINUSE:
                continue
            raise ConfigurationError(f"cannot listen at {host}, port {number}: {error.strerror}") from error
        return listener
    taken = f"port {port} is taken" if last == port + 1 else f"ports {port} to {last - 1} are taken"
    raise ConfigurationError(f"{taken} at {host}; choose another with --port, or --port 0 for any free one")


def page_address(listener: socket.socket) -> str:
    """The URL of the page, on this machine: who listens at every address is reached by that of loopback."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def serve(server: Any, listener: socket.socket) -> None:
    """Serve with what `server_of` made, in the main thread, until SIGINT or SIGTERM, then return: being told to stop is no failure."""

    def stop(*_: object) -> None:
        server.should_exit = True

    # uvicorn has handlers of its own while it runs, and raises the signal anew, for these, when it has stopped.
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run(sockets=[listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class BackgroundServer:
    """
    The app in a thread of a process that does other things; as a context manager it serves while it is open.

    Attributes:
        url: of the page, on this machine.
    """

    def __init__(self, app: Application, listener: socket.socket) -> None:
        self.url = page_address(listener)
        self._listener = listener
        self._server = server_of(app)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, name="queue-metrics-http", daemon=True)

    def start(self, timeout: float = 10.0) -> None:
        """
        Begin to serve.

        Raises:
            TimeoutError: it did not begin within `timeout` seconds.
        """
        self._thread.start()
        deadline = time.monotonic() + timeout
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise TimeoutError("the HTTP server did not start")
            time.sleep(0.01)

    def stop(self, timeout: float = 5.0) -> None:
        """Stop, within `timeout` seconds."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._listener.close()

    def __enter__(self) -> Self:
        if not self._server.started:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def server_of(app: Application) -> Any:
    """
    The server of an app, not started yet.

    Raises:
        MissingDependency: uvicorn is not installed.
    """
    try:
        import uvicorn

        from queue_metrics.http.protocol import Bounded, Protocol
    except ImportError as error:
        raise MissingDependency('serving needs uvicorn: pip install "job-queue-metrics[http]"') from error
    within = Bounded(app)
    server = uvicorn.Server(
        uvicorn.Config(
            within,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # who asks is who connects: nothing here believes X-Forwarded-For
            http=Protocol,  # by h11, which bounds the head of a request; the C parser does not
            ws="none",
            h11_max_incomplete_event_size=16_384,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=3,
        )
    )
    within.state = server.server_state
    return server
