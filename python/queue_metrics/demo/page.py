"""The page beside the demo: the HTTP app in a thread, on the next free port."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from queue_metrics.errors import ConfigurationError, MissingDependency

if TYPE_CHECKING:
    from queue_metrics.config import Settings

HOST = "127.0.0.1"
PORTS_TRIED = 50


class Page:
    """Served from its construction until `close`."""

    def __init__(self, settings: Settings, port: int) -> None:
        """
        Args:
            settings: of the demo: those of whoever runs it are not asked.
            port: tried first, then the ones after it; 0: any free one.
        """
        try:
            import uvicorn
        except ImportError as error:
            raise MissingDependency('the page needs uvicorn: pip install "job-queue-metrics[http]"') from error
        from queue_metrics.http import application
        from queue_metrics.storage.manager import open_store

        self._socket = _bound(port)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}/"
        config = uvicorn.Config(
            application(open_store(settings), settings),
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="demo-page", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving; open requests get a second."""
        self._server.should_exit = True
        self._thread.join(2.0)
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])


def _bound(port: int) -> socket.socket:
    for candidate in (0,) if port == 0 else range(port, min(port + PORTS_TRIED, 65536)):
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            listening.bind((HOST, candidate))
            listening.listen(128)  # who comes before the server is up waits for it
            return listening
        listening.close()
    raise ConfigurationError(f"no free port between {port} and {port + PORTS_TRIED - 1}; choose another with --port")
