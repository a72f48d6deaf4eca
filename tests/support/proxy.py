"""
A TCP proxy that cuts a connection at a chosen point of one exchange. Knows no protocol: an exchange is told by words in the request.

    with CuttingProxy(server.port) as proxy:
        proxy.cut("in the reply", b"EVALSHA")
        driver.apply_batch(...)            # its answer is lost half way
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections import Counter
from types import TracebackType
from typing import Self

POINTS = ("in the request", "before the reply", "in the reply", "after the reply")
"""Of these, all but the first come after the server has done what it was asked."""


class CuttingProxy:
    """
    Passes bytes to a port of the loopback and back.

    Args:
        port: where the server listens.

    Attributes:
        port: where the proxy listens.
        cuts: how many connections were cut, by point.
        turns: how often a client began to ask, since the start or since it was answered: round trips.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.cuts: Counter[str] = Counter()
        self.connections = self.turns = 0
        self._lock = threading.Lock()
        self._armed: tuple[str, bytes] | None = None
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut(self, point: str, words: bytes) -> None:
        """Cut at this point of the next exchange whose request holds the words."""
        assert point in POINTS
        with self._lock:
            self._armed = (point, words)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            links = list(self._open)
        for link in links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as server:
            for link in (client, server):
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            try:
                self._pass(client, server)
            finally:
                with self._lock:
                    self._open -= {client, server}

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        """Until one of them hangs up, or the connection is cut."""
        request = b""  # what was asked since the last answer
        with selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ)
            ready.register(server, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(1 << 20)  # type: ignore[union-attr]  # it is a socket, as registered
                    if not data:
                        return
                    if key.fileobj is client:
                        if not request:
                            with self._lock:
                                self.turns += 1
                        request += data
                        if self._is_time(request, ("in the request",)):
                            server.sendall(data[: len(data) // 2])
                            return
                        server.sendall(data)
                        continue
                    point = self._is_time(request, POINTS[1:])
                    request = b""
                    if point == "before the reply":
                        return
                    client.sendall(data[: (len(data) + 1) // 2] if point == "in the reply" else data)
                    if point is not None:
                        return

    def _is_time(self, request: bytes, points: tuple[str, ...]) -> str | None:
        """The point to cut at, if this is the exchange that it was asked for."""
        with self._lock:
            if self._armed is None or self._armed[0] not in points or self._armed[1] not in request:
                return None
            point, _ = self._armed
            self._armed = None
            self.cuts[point] += 1
            return point
