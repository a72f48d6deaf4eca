"""The app on a real socket."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing

import pytest

from queue_metrics.errors import ConfigurationError
from queue_metrics.http import protocol
from queue_metrics.http.guard import SECURITY_HEADERS
from queue_metrics.http.server import BackgroundServer, bound, page_address
from tests.http.asking import TOKEN, app_of, small_fleet
from tests.support.patience import PATIENCE


def test_a_real_server_answers_as_the_app_does() -> None:
    with BackgroundServer(app_of(small_fleet(), token=TOKEN), bound("127.0.0.1", 0)) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:

            def get(path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
                connection.request("GET", path, headers=headers)
                response = connection.getresponse()
                return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()

            status, headers, _ = get("/v1/tasks")
            assert status == 401
            assert "server" not in headers
            status, headers, body = get("/v1/tasks", Authorization=f"Bearer {TOKEN}")
            assert (status, json.loads(body)["total"]) == (200, 2)
            assert get("/ready")[0] == 200
            assert get("/ready", Host="evil.example")[0] == 421
            assert get("/v1%2Ftasks", Authorization=f"Bearer {TOKEN}")[0] == 404
            assert get("/v1/tasks", Authorization=f"Bearer {TOKEN}", **{"If-None-Match": headers["etag"]})[0] in (200, 304)


def test_examples_of_the_index_name_the_port_that_is_served() -> None:
    with BackgroundServer(app_of(small_fleet()), bound("127.0.0.1", 0)) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            connection.request("GET", "/")
            examples = json.loads(connection.getresponse().read())["examples"]
        assert examples["is it well"] == f"curl {server.url}health"


def test_the_head_of_a_request_is_bounded() -> None:
    with BackgroundServer(app_of(small_fleet()), bound("127.0.0.1", 0)) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
        with closing(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)) as raw:
            raw.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 65536)
            assert raw.recv(64).startswith((b"HTTP/1.1 400", b"HTTP/1.1 431", b""))
            assert b"200" not in raw.recv(64)


HEADERS = (*SECURITY_HEADERS.items(), ("Content-Type", "application/problem+json"), ("Connection", "close"))


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /ready HTTP/1.1\r\n\r\n", 400),
        (b"GET /ready HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /a b c HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET /ready HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 65536, 431),
    ],
)
def test_what_is_no_request_is_refused_with_the_headers_of_every_answer(request_: bytes, status: int) -> None:
    with BackgroundServer(app_of(small_fleet()), bound("127.0.0.1", 0)) as server:
        with closing(connected(server)) as raw:
            raw.sendall(request_)
            response = answer_of(raw)
        assert response.status == status
        assert [(name, response.getheader(name)) for name, _ in HEADERS] == list(HEADERS)
        told = json.loads(response.read())
        assert (told["status"], set(told)) == (status, {"type", "title", "status", "detail"})


def test_who_comes_when_all_connections_are_taken_is_told_so_with_the_same_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 1)
    with BackgroundServer(app_of(small_fleet()), bound("127.0.0.1", 0)) as server, closing(connected(server)) as first:
        first.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer_of(first).status == 200
        with closing(connected(server)) as second:
            second.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            response = answer_of(second)
        assert (response.status, response.getheader("Retry-After")) == (503, "5")
        assert [(name, response.getheader(name)) for name, _ in HEADERS] == list(HEADERS)


def connected(server: BackgroundServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.url.rstrip("/").rpartition(":")[2])), timeout=PATIENCE)


def answer_of(raw: socket.socket) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(raw)
    response.begin()
    return response


def test_the_next_free_port_is_taken_only_when_asked_for() -> None:
    with closing(bound("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} is taken"):
            bound("127.0.0.1", port)
        with closing(bound("127.0.0.1", port, search=True)) as next_one:
            assert next_one.getsockname()[1] > port
            assert page_address(next_one) == f"http://127.0.0.1:{next_one.getsockname()[1]}/"


def test_an_address_of_another_machine_is_refused_in_words() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot listen at 192\.0\.2\.1"):
        bound("192.0.2.1", 0)
