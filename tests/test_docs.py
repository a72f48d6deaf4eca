"""What the pages say, held against the code: links, blocks of code, commands, curl lines, and the tables that list what the code has."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import redis

import queue_metrics as qm
from benches.registry import BENCHES
from queue_metrics.cli import EXAMPLES, _parser
from queue_metrics.cli.reference import with_commands
from queue_metrics.config import reference
from queue_metrics.errors import StoreRefused
from queue_metrics.http.parameters import LONGEST_QUERY, Number
from queue_metrics.http.routes import Table
from queue_metrics.insights import Metrics
from queue_metrics.storage import RedisStorageDriver
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.sql.addresses import MYSQL_OPTIONS, POSTGRESQL_OPTIONS
from queue_metrics.storage.urls import REDIS_OPTIONS, REDIS_SCHEMES
from tests.http.asking import ROUTES, app_of, ask, hostile_fleet
from tests.storage.batches import A, everything, ones, send, series, starts
from tests.support.patience import PATIENCE
from tests.support.servers import RedisServer

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TOKEN = "correct-horse-battery-staple"


def page(name: str) -> str:
    return (ROOT / name).read_text()


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line it begins at."""

    language: str
    text: str
    line: int


def blocks(text: str, *languages: str) -> list[Block]:
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(each[1], each[2], text.count("\n", 0, each.start()) + 2) for each in found if each[1] in languages]


def code(text: str) -> str:
    """What is set as code, in blocks and in lines; prose may use the same words for other things."""
    spans = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    return "\n".join([*(block.text for block in blocks(text, "shell", "text", "")), *spans])


def table(text: str, head: str) -> list[list[str]]:
    """The cells of the one table whose first cell is `head`."""
    (found,) = re.findall(rf"^\| {re.escape(head)} \|.*\n\|[-:| ]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in found.splitlines()]


def named(cell: str) -> list[str]:
    """The words that a cell sets as code."""
    return " ".join(re.findall(r"`([^`]+)`", cell)).split()


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("QUEUE_METRICS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("QUEUE_METRICS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT / "python"), str(ROOT))))
    monkeypatch.chdir(tmp_path)


# Links and names of files


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    broken = []
    prose = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match("https?://", link):
            continue
        file, _, place = link.partition("#")
        target = path.parent / file if file else path
        anchors = [anchor(heading) for heading in re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)] if target.exists() else []
        if not target.exists() or (place and place not in anchors):
            broken.append(link)
    assert broken == []


def test_the_readme_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+)", page("README.md")))
    assert linked == {str(path.relative_to(ROOT)) for path in PAGES if path.parent.name == "docs"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_file_and_every_test_that_a_page_names_exists(path: Path) -> None:
    text = " ".join(path.read_text().split())
    named = re.findall(r"`((?:tests|benches|rust|python|tools)/[\w./-]+)`", text)
    missing = [name for name in named if not (ROOT / name).exists() and not name.startswith("benches/out/")]  # that folder is made
    for file, claim in re.findall(r"`(tests/[\w/]+\.py)`, \"([^\"]+)\"", text):
        if re.sub(r"\W+", "_", claim) not in (ROOT / file).read_text():
            missing.append(f"{file}: {claim}")
    assert missing == []


# Commands


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_that_a_page_names_exists(path: Path) -> None:
    said = code(path.read_text())
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)", said)) <= targets
    assert set(re.findall(r"\bqueue-metrics ([a-z]+(?:-[a-z]+)*)", said)) <= set(EXAMPLES)
    lines = [line for block in blocks(path.read_text(), "shell") for line in block.text.splitlines() if line.startswith("queue-metrics ")]
    calls = [shlex.split(line, comments=True)[1:] for line in lines]
    calls += [["demo", *shlex.split(words)] for words in re.findall(r'make demo ARGS="([^"]+)"', said)]
    for call in calls:
        _parser(call).parse_args(call)  # leaves with an error for what it does not know
    benches = " ".join(quoted or word for quoted, word in re.findall(r'make bench ARGS=(?:"([^"]*)"|(\S+))', said)).split()
    assert {word for word in benches if not word.startswith("--")} <= set(BENCHES)


def test_the_commands_of_the_page_are_those_of_the_code() -> None:
    assert page("docs/cli.md") == with_commands(page("docs/cli.md")), "python -m queue_metrics.cli.reference docs/cli.md writes them anew"


# Blocks of Python and TOML

RUNNER = """
import json, sys
from celery import Celery
from huey import SqliteHuey

space = {"__name__": "docs", "huey": SqliteHuey("mail", filename="huey.db"), "app": Celery("shop", broker="memory://")}
for text, line in json.load(sys.stdin):
    exec(compile("\\n" * (line - 1) + text, sys.argv[1], "exec"), space)
"""


@pytest.mark.parametrize("name", [str(path.relative_to(ROOT)) for path in PAGES if blocks(path.read_text(), "python")])
def test_every_block_of_python_runs(name: str, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "settings.py").write_text("SECRET_KEY = 'of a test'\n")
    found = json.dumps([(block.text, block.line) for block in blocks(page(name), "python")])
    run = [sys.executable, "-c", RUNNER, str(ROOT / name)]
    done = subprocess.run(run, input=found, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    if name == "docs/hooks.md":
        (counted,) = [task.counts for task in qm.connect().tasks() if task.task == "import"]
        assert (counted.started, counted.ended) == (1, 1)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_block_of_toml_is_a_configuration(number: int, tmp_path: Path) -> None:
    found = blocks(page("docs/configuration.md"), "toml")
    assert len(found) == 3
    file = tmp_path / ("pyproject.toml" if "[tool." in found[number].text else "queue-metrics.toml")
    file.write_text(found[number].text.replace('"metrics"', '"root"'))  # a group of every machine
    settings = qm.load_settings()
    assert settings.namespace == "shop"
    assert sorted(settings.connections) == (["mail", "shop"] if "[connections." in found[number].text else [])
    assert (settings.shared_group is None) == ("shared_group" not in found[number].text)


def test_the_error_of_the_configuration_page_is_what_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from queue_metrics.cli import main

    command, told = next(block.text for block in blocks(page("docs/configuration.md"), "text") if block.text.startswith("$ ")).splitlines()
    variable, value = command.split()[1].split("=")
    monkeypatch.setenv(variable, value)
    assert main(shlex.split(command)[3:]) == 2
    assert capsys.readouterr().err.splitlines() == [told]


# Tables of the configuration


def test_the_tables_of_the_configuration_are_those_of_the_code() -> None:
    assert page("docs/configuration.md") == reference.with_tables(page("docs/configuration.md"))


def test_the_default_store_and_the_spool_lie_where_the_page_says(tmp_path: Path) -> None:
    settings = qm.load_settings(namespace="shop")
    base = tmp_path / "state" / "queue-metrics"
    assert settings.store == f"sqlite:///{base}/metrics.db"
    assert re.fullmatch(rf"{re.escape(str(base))}/shop-[0-9a-f]{{16}}", str(settings.spool))


# Tables of HTTP


def test_the_table_of_routes_is_that_of_the_app() -> None:
    rows = {named(row[0])[0]: (row[1], named(row[2])) for row in table(page("docs/http.md"), "path")}
    assert rows == {path: (route.access.value, [each.name for each in route.parameters]) for path, route in ROUTES.items()}


def test_the_table_of_methods_is_that_of_the_front_door() -> None:
    told = [name for row in table(page("docs/reading.md"), "method") for name in re.findall(r"`(\w+)\(", row[0])]
    assert sorted(told) == sorted(name for name in vars(Metrics) if not name.startswith("_") and name not in ("close", "store"))


def test_the_table_of_parameters_is_that_of_the_app() -> None:
    told = {
        (path, name): (int(row[2].split(" to ")[0]), int(row[2].split(" to ")[1]), int(row[3]))
        for row in table(page("docs/http.md"), "parameter")
        for name in named(row[0])
        for path in (word.strip(",") for word in named(row[1]))
    }
    assert told == {
        (path, each.name): (each.low, each.high, each.default)
        for path, route in ROUTES.items()
        for each in route.parameters
        if isinstance(each, Number)
    }
    assert f"at most {LONGEST_QUERY:,} bytes" in page("docs/http.md")


def test_the_tables_of_fields_are_those_of_the_answers() -> None:
    text, app = page("docs/http.md"), app_of(hostile_fleet())

    def fields(head: str) -> set[str]:
        return {word for row in table(text, head) for word in named(row[0])}

    bare = {"stale", "stale_seconds", "collector"}
    every = {"window", *bare}
    overview = ask(app, "/v1/overview").json()
    assert fields("of `window`") == set(overview["window"])
    assert fields("of `/v1/overview`") | every == set(overview)
    for name in ("tasks", "queues", "workers"):
        answer = ask(app, f"/v1/{name}").json()
        assert set(answer) == {*every, name, "total"}
        assert fields(f"of `/v1/{name}`, each of `{name}`") == set(answer[name][0])
    queue = ask(app, "/v1/queues/broker/default").json()
    task = ask(app, "/v1/tasks/app.send").json()
    assert fields("of `/v1/queues/{connection}/{queue}`, further") | fields("of `/v1/queues`, each of `queues`") | every == set(queue)
    assert fields("of `/v1/tasks/{task}`, further") | fields("of `/v1/tasks`, each of `tasks`") | every == set(task)
    server = ask(app, "/v1/servers").json()["servers"][0]
    assert fields("of `/v1/servers`, each of `servers`") == set(server)
    assert fields("of `/v1/baselines`, each of `baselines`") | bare == set(ask(app, "/v1/baselines/broker/default").json())
    for path in ("depth/broker/default", "throughput/broker/default", "efficiency"):
        assert fields("of `/v1/trends/depth/{connection}/{queue}`") | bare == set(ask(app, f"/v1/trends/{path}").json())
    series = ask(app, "/v1/series?connection=broker&queue=default").json()
    assert set(series) == {*every, *["kind", "labels", "n", "points"]}
    told = " ".join(text.split())
    for words in (series["points"][0], ask(app, "/v1/footprint").json()["footprint"], server["workers"], server["processes"]):
        assert f"`{' '.join(words)}`" in told
    parts = {row[0]: re.findall(r"`([^`]+)`", row[1]) for row in table(text, "part")}
    counts, health = overview["counts"], overview["health"]
    assert [words.split() for words in parts["counts"]] == [list(counts), ["discarded"], list(counts["discarded"])]
    assert parts["distribution"][0] == " ".join(overview["runtime_seconds"])
    assert parts["failure"] == [" ".join(overview["failure"])]
    assert parts["health"] == [" ".join(health), " ".join(health["reasons"][0])]
    queue, task = (ask(app, f"/v1/{name}").json()[name][0]["history"] for name in ("queues", "tasks"))
    assert f"by step: `{' '.join(queue)}`" in text
    assert f"by step: `{' '.join(task)}`" in text
    assert set(overview["workers"]) == {"starting", "idle", "busy", "stopped", "stale", "lost", "live"}
    assert f"`/health` answers `{' '.join(ask(app, '/health').json())}`" in " ".join(text.split())


def test_the_table_of_health_codes_is_that_of_the_code() -> None:
    sources = "".join(page(f"python/queue_metrics/{name}") for name in ("insights/health.py", "http/answers.py"))
    # Written where a reason is made, or named by a constant.
    written, named_codes = re.findall(r'Reason\([^"]*?"(\w+)",', sources), re.findall(r'^[A-Z_]+, [A-Z_]+_POINTS = "(\w+)"', sources, re.M)
    codes = {*written, *named_codes}
    assert {word.strip(",") for row in table(page("docs/http.md"), "code") for word in named(row[0])} == codes


# A real server

FILL = """
import queue_metrics as qm

for number in range(5):
    with qm.track(task="import", queue="nightly"):
        pass
"""


@contextmanager
def served(**environment: str) -> Iterator[str]:
    """The place of `queue-metrics serve` over the store of this test."""
    command = [sys.executable, "-m", "queue_metrics", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}) as server:
        try:
            assert server.stderr is not None
            said = server.stderr.readline()
            found = re.search(r"http://(127\.0\.0\.1:\d+)/", said)
            assert found, said + server.stderr.read()
            yield found[1]
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE)


def test_every_curl_line_answers_as_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([sys.executable, "-c", FILL], check=True, timeout=PATIENCE)
    lines = [line for block in blocks(page("docs/http.md"), "shell") for line in block.text.splitlines() if line.startswith("curl ")]
    asked = {re.sub(r"\?.*", "", path) for line in lines for path in re.findall(r":8787(/[^\s']*)", line)}
    found = {route[0].path for path in asked if (route := Table(ROUTES.values()).find(path)) is not None}
    assert {path for path in ROUTES if not path.endswith((".css", ".svg"))} <= found
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    second = page("docs/http.md").index("With a token")
    wrong = []
    with served() as open_place, served(QUEUE_METRICS_TOKEN=TOKEN) as guarded_place:
        for line in lines:
            command, _, expected = line.rpartition("# ")
            status, _, words = expected.partition(" ")
            guarded = page("docs/http.md").index(line) > second
            command = command.replace("127.0.0.1:8787", guarded_place if guarded else open_place)
            environment = {**os.environ, "QUEUE_METRICS_TOKEN": TOKEN}
            got = subprocess.run(
                ["bash", "-c", command], capture_output=True, text=True, env=environment, timeout=PATIENCE, check=False
            ).stdout
            if not got.startswith(f"HTTP/1.1 {status} ") or words.lower() not in got.lower():
                wrong.append((line, got))
    assert wrong == []


# Stores


def test_every_url_of_the_page_of_stores_opens(tmp_path: Path) -> None:
    urls = [url for row in table(page("docs/stores.md"), "store") for url in re.findall(r"`([^`]+)`", row[1])]
    whole = [re.sub(r"\.\.\.$", "host", url.replace("[", "").replace("]", "")) for url in urls]
    bare = [re.sub(r"\.\.\.$", "host", re.sub(r"\[[^]]*\]", "", url)) for url in urls]
    assert {url.partition("://")[0] for url in bare} == {"sqlite", "memory", "postgresql", "mysql", "mariadb", *REDIS_SCHEMES}
    for url in {*whole, *bare}:
        StorageManager().open(url)


def test_the_options_of_redis_are_those_of_the_code() -> None:
    said = " ".join(page("docs/stores.md").split())
    found = re.search(r"Behind `\?` may stand `([^`]+)`, and for TLS `([^`]+)`", said)
    assert found
    assert {*found[1].split(), *found[2].split()} == REDIS_OPTIONS


def test_the_options_of_sql_servers_are_those_of_the_code() -> None:
    said = " ".join(page("docs/stores.md").split())
    for name, options in (("PostgreSQL", POSTGRESQL_OPTIONS), ("MySQL", MYSQL_OPTIONS)):
        found = re.search(rf"Behind `\?` of {name} may stand `([^`]+)`", said)
        assert found
        assert set(found[1].split()) == options


def test_the_rights_of_the_page_are_enough_and_no_more(tmp_path: Path) -> None:
    rules = [line for block in blocks(page("docs/stores.md"), "text") for line in block.text.splitlines() if line.startswith("ACL ")]
    with RedisServer(tmp_path) as server:
        client: Any = redis.Redis(port=server.port)
        for rule in rules:
            client.execute_command(*shlex.split(rule))
        client.close()
        place = f"127.0.0.1:{server.port}/0"
        worker, reader, doctor = (RedisStorageDriver(f"redis://qm-{name}:SECRET@{place}") for name in ("worker", "reader", "doctor"))
        send(worker, everything(A, ones()))
        worker.heartbeat_many([("w", b"x")], 9)
        assert worker.lease("duty", "me", 9)
        assert worker.capabilities()["expires_itself"] is True  # a drainer asks this each minute
        assert starts(reader, series(A)) == 1
        assert qm.connect(reader).overview() is not None
        with pytest.raises(StoreRefused):
            reader.heartbeat_many([("w", b"x")], 9)
        assert (doctor.capabilities()["exact"], doctor.size() > 0) == (True, True)
        with pytest.raises(StoreRefused):
            doctor.lease("duty", "me", 9)
        for driver in (worker, reader, doctor):
            driver.close()
