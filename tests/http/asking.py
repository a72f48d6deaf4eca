"""Asks an ASGI app as a server would, with any bytes as head: a client library would mend what must be refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from queue_metrics.http import asgi_app
from queue_metrics.http.app import Application
from queue_metrics.http.table import routes
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.memory import MemoryStorageDriver
from queue_metrics.storage.spools import spool_beat
from queue_metrics.storage.view import View
from tests.support.fleet import HOSTILE, NOW, Fleet, minute

HOST = (b"host", b"localhost:8787")
HTML = (b"accept", b"text/html,application/xhtml+xml,*/*;q=0.8")
TOKEN = "correct-horse-battery-staple"
ROUTES = routes(scrape_minutes=3, prometheus_namespace="laravel_queue").routes
NAMES = {"class": "app.send", "connection": "broker", "queue": "default", "task": "app.send", "hostname": "web-1", "id": "web-1%3A11%3A77"}
"""Of the small fleet, as they stand in a path."""


def path_of(route: str) -> str:
    """What to ask of a route for an answer about the small fleet."""
    return route.format_map(NAMES) + ("?connection=broker&queue=default" if route == "/v1/series" else "")


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def __getitem__(self, name: str) -> str:
        """The one header of this name."""
        (value,) = (value for key, value in self.headers if key == name.lower())
        return value

    def has(self, name: str) -> bool:
        return any(key == name.lower() for key, _ in self.headers)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    app: Any,
    target: str | bytes,
    *headers: tuple[bytes, bytes],
    method: str = "GET",
    client: str = "127.0.0.1",
    root: str = "",
    host: Sequence[tuple[bytes, bytes]] = (HOST,),
) -> Answer:
    """One request."""
    return asyncio.run(ask_async(app, target, *headers, method=method, client=client, root=root, host=host))


async def ask_async(
    app: Any,
    target: str | bytes,
    *headers: tuple[bytes, bytes],
    method: str = "GET",
    client: str = "127.0.0.1",
    root: str = "",
    host: Sequence[tuple[bytes, bytes]] = (HOST,),
) -> Answer:
    """One request, in a loop that runs."""
    raw, _, query = (target if isinstance(target, bytes) else target.encode("latin-1")).partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": raw.decode("latin-1"),
        "raw_path": raw,
        "root_path": root,
        "query_string": query,
        "headers": [*host, *headers],
        "client": (client, 50000),
        "server": ("127.0.0.1", 8787),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = sent[0]
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Answer(start["status"], [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]], body)


class Flaky(MemoryStorageDriver):
    """A store that fails when told to, with a message that must not get out."""

    error: Exception | None = None
    reads = 0

    def read_view(self, *ranges: Any, **more: Any) -> View:
        self.reads += 1
        self._fail()
        return super().read_view(*ranges, **more)

    def size(self) -> int:
        self._fail()
        return super().size()

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def small_fleet() -> Fleet:
    """Two tasks, two queues, a main process with two workers; all well."""
    fleet = Fleet()
    asked = int((NOW - 5) * 1e6)
    fleet.task(
        ("broker", "default", "app.send"),
        minute(3),
        counts={"started": 4, "succeeded": 3, "retried": 1, "arrivals": 5, "retries_following": 1},
        discarded=[1, 2, 3, 4, 5],
        measures={0: [1_000, 20_000, 300_000, 30_000_000_000], 1: [500, 1_500, 2_500, 3_500], 2: [1_500_000], 3: [2048], 4: [-4096, 96]},
    )
    fleet.task(("broker", "mail", "app.bounce"), minute(1), counts={"started": 1})
    fleet.queue(
        ("broker", "default"),
        minute(0),
        counts={"arrivals": 5, "started": 4},
        gauges={0: [(asked, 7)], 1: [(asked, 1)], 2: [(asked, 0)], 4: [(asked, 1_250_000)]},
    )
    fleet.queue(("broker", "mail"), minute(1), counts={"started": 1})
    fleet.worker(pid=10, role="main")
    fleet.worker(pid=11, parent_pid=10, state="busy", job_started=NOW - 2, task="app.send", job_id="j-1")
    fleet.worker(pid=12, parent_pid=10, state="idle")
    return fleet


def hostile_fleet() -> Fleet:
    """The small fleet, with every hostile name in every place, and records dropped for a hostile reason."""
    fleet = small_fleet()
    for number, name in enumerate(HOSTILE):
        fleet.task((name, name, name), minute(1), counts={"started": 3, "succeeded": 2, "failed": 1}, measures={0: [1000, 5000]})
        fleet.queue((name, name), minute(0), gauges={0: [(int((NOW - 5) * 1e6), 500)]})
        short = name[:80]
        fleet.worker(
            host=short, pid=500 + number, state="busy", job_started=NOW - 3, task=short, job_id=short, connection=short, queue=short
        )
    fleet.beats.append(spool_beat("c" * 32, {"waiting": 1, "drops": {"<b>full</b>": 7}}))
    return fleet


def app_of(fleet: Fleet | None = None, driver: StorageDriver | None = None, **settings: Any) -> Application:
    """The app over a store with a fleet in it."""
    driver = MemoryStorageDriver() if driver is None else driver
    if fleet is not None:
        fleet.store(driver)
    return asgi_app(driver, now=lambda: NOW, **settings)
