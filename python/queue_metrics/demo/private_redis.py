"""A redis-server for one run of the demo: on a free loopback port, nothing on disk, gone with it."""

from __future__ import annotations

import shutil
import signal
import socket
import time
from pathlib import Path

from queue_metrics.demo.processes import Group
from queue_metrics.errors import MissingDependency, StoreUnavailable

START_SECONDS = 10.0


class PrivateRedis:
    """Started by its constructor."""

    def __init__(self, directory: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise MissingDependency(
                "the Celery demo needs a broker: give one with --broker redis://HOST:PORT/DB, or install redis-server "
                "(on Debian: apt-get install -y redis-server)"
            )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}/0"
        words = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(directory)]
        self._group = Group("redis", [program, *words], directory)
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            if self._group.status is not None or time.monotonic() > deadline:
                text = self._group.tail()
                self.stop()
                raise StoreUnavailable(f"the demo's redis-server did not start:\n{text}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        self._group.stop(signal.SIGTERM, 1.0)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
