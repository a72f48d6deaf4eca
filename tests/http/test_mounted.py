"""The app inside real frameworks, by the very code of docs/http.md, over real sockets; and as a thread of a program."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

import queue_metrics as qm
from queue_metrics.errors import ConfigurationError
from queue_metrics.http.server import BackgroundServer, bound
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.http.asking import app_of, ask, small_fleet
from tests.support.patience import PATIENCE
from tests.test_docs import ROOT, blocks, page

DOCUMENTED = "sqlite:////var/lib/shop/metrics.db"
TOKEN = "at-least-16-characters"
AT = "/metrics-of-jobs"
FRAMEWORKS = ("fastapi", "starlette", "django")

SERVE = """
import socket
import uvicorn
from site_of_shop import site

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(site, log_level="warning")).run(sockets=[listener])
"""

DJANGO = """
from django.http import HttpResponse
from django.urls import path

SECRET_KEY = "of a test"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "shop.settings"
urlpatterns = [path("shop", lambda request: HttpResponse("the shop"))]
"""


def code_of(framework: str) -> str:
    """The block of the page that is about it."""
    of_others = {"starlette": ("fastapi", "django")}
    (found,) = (
        block.text
        for block in blocks(page("docs/http.md"), "python")
        if f"from {framework}" in block.text and not any(f"from {each}" in block.text for each in of_others.get(framework, ()))
    )
    assert DOCUMENTED in found
    return found


def filled(folder: Path) -> str:
    """A store with the small fleet, and a queue whose name has a slash."""
    url = f"sqlite:///{folder}/metrics.db"
    fleet = small_fleet()
    now = time.time()  # the process that serves it reads by the real clock, in which the fleet's own moments are long gone
    fleet.queue(("broker", "a/b"), int(now) // 60 * 60, gauges={0: [(int(now * 1e6), 3)]})
    driver = StorageManager().open(url)
    fleet.store(driver)
    driver.close()
    return url


@contextmanager
def served(framework: str, folder: Path) -> Iterator[int]:
    """The port at which a process serves the code of the page."""
    (folder / "site_of_shop.py").write_text(code_of(framework).replace(DOCUMENTED, filled(folder)))
    (folder / "shop").mkdir()
    (folder / "shop" / "settings.py").write_text(DJANGO)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT / "python")))}
    with subprocess.Popen([sys.executable, "-c", SERVE], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def get(port: int, path: str, *, token: str | None = TOKEN, method: str = "GET") -> tuple[int, str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request(method, path, headers={} if token is None else {"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return response.status, response.read().decode()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_app_works_inside(framework: str, tmp_path: Path) -> None:
    with served(framework, tmp_path) as port:
        status, text = get(port, f"{AT}/queues/all")
        assert (status, set(json.loads(text)["data"])) == (200, {"broker:default", "broker:mail", "broker:a/b"})
        status, text = get(port, f"{AT}/queues/broker/a%2Fb/depth")
        assert (status, json.loads(text)["data"]["pending_jobs"]) == (200, 3)
        status, text = get(port, f"{AT}/jobs/app.send")
        assert (status, json.loads(text)["data"]["total_executions"]) == (200, 3)
        assert get(port, f"{AT}/workers/detect-stale", method="POST")[0] == 200
        assert get(port, f"{AT}/metrics")[0] == 200
        status, text = get(port, f"{AT}/")
        assert (status, json.loads(text)["endpoints"]["jobs"]["list"]["url"]) == (200, f"{AT}/jobs")
        assert get(port, f"{AT}/jobs", token=None)[0] == 401
        assert get(port, "/jobs")[0] == 404
        if framework == "django":
            assert get(port, "/shop") == (200, "the shop")
        if framework == "fastapi":
            assert "metrics-of-jobs" not in get(port, "/openapi.json")[1], "the app tells its own interface"
            assert json.loads(get(port, f"{AT}/openapi.json")[1])["info"]["title"] == "queue-metrics"


@pytest.mark.parametrize("root", ["/jobs:metrics", "/m@1", "/q(1)", "/a+b", "/of/all;jobs", "/a b", "/größe", "/50%", "/jobs"])
def test_it_may_be_mounted_at_any_path_however_that_is_encoded(root: str) -> None:
    """What may stand in a path as it is may also be encoded, and the app is told the path where it is mounted decoded."""
    driver = MemoryStorageDriver()
    small_fleet().store(driver)
    site = Starlette(routes=[Mount(root, app=qm.asgi_app(driver, token=TOKEN))])
    with BackgroundServer(site, bound("127.0.0.1", 0)) as server:  # type: ignore[arg-type]
        port = int(server.url.rstrip("/").rpartition(":")[2])
        every = "/".join("".join(f"%{byte:02x}" for byte in part.encode()) for part in root.split("/"))
        for at in (quote(root), quote(root, safe="/:@!$&'()*+,;=~"), every):
            assert get(port, f"{at}/queues") == (200, '{"data":["default","mail"]}'), at
            assert get(port, f"{at}/queues/broker/mail/depth")[0] == 200
        status, text = get(port, f"{quote(root)}/")
        assert (status, json.loads(text)["endpoints"]["jobs"]["list"]["url"]) == (200, f"{quote(root)}/jobs")


@pytest.mark.parametrize("root", ["/metrics", "/metrics/a" + "/A" * 4000])
@pytest.mark.parametrize("path", ["/metrics%2Fa" + "/%41" * 8000, "/metrics" + "/%61" * 8000])
def test_no_path_is_decoded_more_than_once_however_long_it_is(monkeypatch: pytest.MonkeyPatch, root: str, path: str) -> None:
    """It is done for everybody, before a token is looked at."""
    decoded: list[str] = []

    def decoding(text: str) -> str:
        decoded.append(text)
        return unquote(text)

    monkeypatch.setattr("queue_metrics.http.app.unquote", decoding)
    assert ask(app_of(token=TOKEN), path, root=root).status == 401
    assert sum(map(len, decoded)) <= len(path)


def test_a_program_serves_in_a_thread_until_it_stops() -> None:
    driver = MemoryStorageDriver()
    small_fleet().store(driver)
    with qm.serve_in_thread(driver, port=0) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
        status, text = get(port, "/queues", token=None)
        assert (status, json.loads(text)) == (200, {"data": ["default", "mail"]})
        assert any(thread.name == "queue-metrics-http" and thread.daemon for thread in threading.enumerate())
    assert not any(thread.name == "queue-metrics-http" for thread in threading.enumerate())
    with pytest.raises(OSError):
        get(port, "/queues", token=None)


def test_a_thread_takes_the_next_free_port_and_opens_no_door_without_a_token() -> None:
    with qm.serve_in_thread(MemoryStorageDriver(), port=0) as first:
        port = int(first.url.rstrip("/").rpartition(":")[2])
        with qm.serve_in_thread(MemoryStorageDriver(), port=port) as second:
            assert second.url != first.url
    with pytest.raises(ConfigurationError, match="give a token"):
        qm.serve_in_thread(MemoryStorageDriver(), host="0.0.0.0", port=0)
