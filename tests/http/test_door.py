"""Who is let in, and what every answer carries: the security checklist, line by line."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest

from queue_metrics.errors import ConfigurationError
from queue_metrics.http.app import Application
from queue_metrics.http.guard import is_loopback
from queue_metrics.http.parameters import LONGEST_QUERY
from queue_metrics.http.routes import Access
from tests.http.asking import HTML, ROUTES, TOKEN, app_of, ask, path_of, small_fleet
from tests.support.fleet import NOW

EVERYWHERE = [*ROUTES, "/nothing", "/v1/nothing"]


@pytest.fixture(scope="module")
def app() -> Application:
    return app_of(small_fleet())


@pytest.fixture(scope="module")
def guarded() -> Application:
    return app_of(small_fleet(), token=TOKEN)


def bearer(token: str) -> tuple[bytes, bytes]:
    return (b"authorization", b"Bearer " + token.encode())


def basic(credentials: str) -> tuple[bytes, bytes]:
    return (b"authorization", b"Basic " + base64.b64encode(credentials.encode()))


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize(
    "host",
    [
        [],
        [(b"host", b"evil.example")],
        [(b"host", b"evil.example:8787")],
        [(b"host", b"localhost.evil.example")],
        [(b"host", b"evil.example"), (b"host", b"localhost")],
        [(b"host", b"localhost"), (b"host", b"localhost")],
        [(b"host", b"10.0.0.7")],
        [(b"host", b"localhost:80:80")],
        [(b"host", b"localhost:x")],
        [(b"host", b"[::1")],
        [(b"host", b"[::1]x")],
        [(b"host", b"user@localhost")],
        [(b"host", b"")],
        [(b"host", b"\xff\xfe")],
    ],
)
def test_a_wrong_host_is_refused_on_every_route_before_anything_else(
    guarded: Application, path: str, host: list[tuple[bytes, bytes]]
) -> None:
    answer = ask(guarded, path, bearer(TOKEN), host=host)
    assert answer.status == 421
    assert answer["content-type"] == "application/problem+json"
    assert ask(guarded, path, host=host, method="POST").status == 421


@pytest.mark.parametrize(
    "host", [b"localhost", b"LOCALHOST:1", b"localhost.", b"127.0.0.1", b"127.8.9.1:80", b"[::1]", b"[::1]:8787", b"[::ffff:127.0.0.1]"]
)
def test_loopback_names_are_answered(app: Application, host: bytes) -> None:
    assert ask(app, "/ready", host=[(b"host", host)]).status == 200


def test_names_addresses_and_networks_can_be_allowed() -> None:
    app = app_of(allowed_hosts=["Metrics.Example", "10.0.0.0/8", "192.168.1.5", "[fd00::1]"])
    allowed = ["metrics.example", "metrics.example:443", "10.1.2.3", "[::ffff:10.1.2.3]", "192.168.1.5", "[fd00::1]:1"]
    refused = ["example", "x.metrics.example", "11.0.0.1", "192.168.1.6", "[fd00::2]"]
    assert {host: ask(app, "/ready", host=[(b"host", host.encode())]).status for host in allowed} == dict.fromkeys(allowed, 200)
    assert {host: ask(app, "/ready", host=[(b"host", host.encode())]).status for host in refused} == dict.fromkeys(refused, 421)


@pytest.mark.parametrize("path", [path for path in EVERYWHERE if path not in ROUTES or ROUTES[path].access is Access.TOKEN])
@pytest.mark.parametrize(
    "header",
    [
        None,
        bearer(""),
        bearer("wrong"),
        bearer(TOKEN + "x"),
        bearer(TOKEN[:-1]),
        (b"authorization", TOKEN.encode()),
        basic("user:wrong"),
        (b"authorization", b"Basic !!!"),
        (b"authorization", b"Digest " + TOKEN.encode()),
    ],
)
def test_without_the_token_nothing_is_told(guarded: Application, path: str, header: tuple[bytes, bytes] | None) -> None:
    answer = ask(guarded, path, *([] if header is None else [header]))
    assert answer.status == 401
    assert answer["content-type"] == "application/problem+json"
    assert [value.partition(" ")[0] for name, value in answer.headers if name == "www-authenticate"] == ["Bearer", "Basic"]
    assert TOKEN not in answer.text


def test_two_authorizations_are_none(guarded: Application) -> None:
    assert ask(guarded, "/v1/tasks", bearer("wrong"), bearer(TOKEN)).status == 401


def test_a_token_in_the_url_is_not_taken(guarded: Application) -> None:
    assert ask(guarded, f"/v1/tasks?token={TOKEN}").status == 401


@pytest.mark.parametrize(
    "header",
    [
        bearer(TOKEN),
        (b"authorization", b"bEARER  " + TOKEN.encode()),
        basic(f"any:{TOKEN}"),
    ],
)
def test_the_token_opens_everything_also_as_a_password(guarded: Application, header: tuple[bytes, bytes]) -> None:
    found = {path: ask(guarded, path_of(path), header, method=route.method).status for path, route in ROUTES.items()}
    # A browser sends a password along with whatever any page asks for: what is a duty takes a token only.
    refused = {path for path, route in ROUTES.items() if route.method == "POST" and header[1].startswith(b"Basic")}
    assert found == {path: 403 if path in refused else 200 for path in ROUTES}


def test_health_says_one_word_without_the_token_and_reasons_with_it(guarded: Application) -> None:
    assert ask(guarded, "/health").json() == {"status": "healthy", "timestamp": int(NOW)}
    assert "reasons" in ask(guarded, "/health", bearer(TOKEN)).json()
    assert ask(guarded, "/ready").json() == {"status": "ready"}


def test_without_a_token_reasons_are_for_this_machine(app: Application) -> None:
    assert "reasons" in ask(app, "/health").json()
    assert ask(app, "/health", client="192.0.2.1").json() == {"status": "healthy", "timestamp": int(NOW)}


def test_a_token_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 16 characters") as caught:
        app_of(token="short")
    assert "'short'" not in str(caught.value)


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize("header", [(), (HTML,), ((b"origin", b"https://evil.example"),)])
def test_every_answer_has_the_security_headers_and_none_opens_another_origin(
    app: Application, path: str, header: tuple[tuple[bytes, bytes], ...]
) -> None:
    for answer in (
        ask(app, path, *header),
        ask(app, path, *header, method="POST"),
        ask(app, path + "?bad=1", *header),
        ask(app, path, *header, host=[(b"host", b"evil.example")]),
    ):
        policy = dict(part.strip().partition(" ")[::2] for part in answer["content-security-policy"].split(";"))
        assert policy == {
            "default-src": "'none'",
            "style-src": "'self'",
            "img-src": "'self'",
            "frame-ancestors": "'none'",
            "base-uri": "'none'",
            "form-action": "'none'",
        }
        assert (answer["x-content-type-options"], answer["x-frame-options"]) == ("nosniff", "DENY")
        assert (answer["referrer-policy"], answer["cache-control"]) == ("no-referrer", "no-store")
        assert not [name for name, _ in answer.headers if name.startswith("access-control") or name in ("set-cookie", "server")]


READ = [path_of(path) for path, route in ROUTES.items() if route.method == "GET"]


@pytest.mark.parametrize("path", READ)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "HEAD "])
def test_everything_is_only_read(app: Application, path: str, method: str) -> None:
    answer = ask(app, path, method=method)
    assert (answer.status, answer["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", [path_of(path) for path, route in ROUTES.items() if route.method == "POST"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_a_duty_is_only_done(app: Application, path: str, method: str) -> None:
    answer = ask(app, path, method=method)
    assert (answer.status, answer["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", READ)
def test_head_is_get_without_the_body(app: Application, path: str) -> None:
    got, head = ask(app, path), ask(app, path, method="HEAD")
    assert (head.status, head.body) == (got.status, b"")
    assert head["content-length"] == str(len(got.body))


@pytest.mark.parametrize("path", ["/v1%2Ftasks", "/v1/tasks/", "//v1/tasks", "/V1/tasks", "/v1/../v1/tasks", "/%76%31/tasks", "/ready%00"])
def test_paths_are_matched_as_they_were_sent(app: Application, path: str) -> None:
    assert ask(app, path).status == 404


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("/v1/tasks?minutes=0", "minutes must be a whole number from 1 to 576000"),
        ("/v1/tasks?minutes=576001", "from 1 to 576000"),
        ("/v1/tasks?minutes=-5", "from 1 to 576000"),
        ("/v1/tasks?minutes=1.5", "from 1 to 576000"),
        ("/v1/tasks?minutes=1e3", "from 1 to 576000"),
        ("/v1/tasks?minutes=", "from 1 to 576000"),
        ("/v1/tasks?minutes=%D9%A1", "from 1 to 576000"),
        ("/v1/tasks?minutes=" + "9" * 1000, "from 1 to 576000"),
        ("/v1/tasks?minutes=5&minutes=6", "minutes may be given once"),
        ("/v1/tasks?limit=10001", "limit must be a whole number from 1 to 10000"),
        ("/v1/tasks?sort=name", "not known here"),
        ("/v1/overview?limit=5", "not known here"),
        ("/metrics?minutes=5", "not known here"),
        ("/ready?x", "not known here"),
        ("/?refresh=3601", "refresh must be a whole number from 0 to 3600"),
        ("/?refresh=0.01", "refresh must be a whole number"),
        ("/v1/tasks?" + "x" * (LONGEST_QUERY + 1), "longer than 2048 bytes"),
    ],
)
def test_parameters_are_typed_and_bounded(app: Application, query: str, told: str) -> None:
    answer = ask(app, query, HTML)
    assert (answer.status, answer["content-type"]) == (422, "application/problem+json")
    assert told in answer.json()["detail"]


def test_a_bad_value_is_not_repeated(app: Application) -> None:
    answer = ask(app, "/v1/tasks?minutes=%3Cscript%3E")
    assert "script" not in answer.text
    assert (answer.json()["minimum"], answer.json()["maximum"], answer.json()["parameter"]) == (1, 576000, "minutes")


def test_addresses_of_this_machine() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.3.2.1", "::1", "[::1]", "localhost", "::ffff:127.0.0.1"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "example.com", "", "localhost.example.com", "::ffff:10.0.0.1"]))


def test_without_starlette_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['starlette'] = None\n"
        "import queue_metrics.http as http\n"
        "try: http.asgi_app('memory://')\n"
        "except ImportError as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}, check=True)
    assert done.stdout.strip() == 'MissingDependency the HTTP surface needs Starlette: pip install "job-queue-metrics[http]"'
