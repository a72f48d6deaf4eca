"""The command: help, exit codes, one screen, one JSON object, and a server that refuses open doors."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.cli import EXAMPLES, main
from queue_metrics.cli.terminal import fitted, shown
from queue_metrics.storage.manager import StorageManager
from tests.http.asking import hostile_fleet, small_fleet
from tests.support.fleet import Fleet, minute
from tests.support.patience import PATIENCE

COMMAND = [sys.executable, "-c", "import sys; from queue_metrics.cli import main; sys.exit(main())"]


pytestmark = pytest.mark.usefixtures("of_the_fleets")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/metrics.db"


def filled(url: str, fleet: Fleet) -> str:
    driver = StorageManager().open(url)
    fleet.store(driver)
    driver.close()
    return url


def test_help_names_every_command_and_each_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert set(EXAMPLES) <= set(re.findall(r"^    ([a-z-]+)", told, re.MULTILINE))
    for name, example in EXAMPLES.items():
        assert main([name, "--help"]) == 0
        told = capsys.readouterr().out
        assert f"usage: queue-metrics {name}" in told
        assert example in " ".join(told.split())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"queue-metrics {_core.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["stats"], ["status", "--minutes", "0"], ["status", "--nothing"], ["serve", "--port", "70000"], ["--nothing"]]
)
def test_wrong_use_is_2_with_the_right_one(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage: queue-metrics" in capsys.readouterr().err


def test_without_a_command_it_is_said_where_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "`queue-metrics --help` lists them" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "record-trends" in capsys.readouterr().out


@pytest.mark.parametrize(("typed", "meant"), [("stauts", "status"), ("docter", "doctor"), ("server", "servers"), ("srve", "serve")])
def test_a_command_that_is_not_quite_one_is_told_which_was_meant(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([typed]) == 2
    assert f"unknown command {typed!r}; did you mean {meant!r}?" in capsys.readouterr().err


@pytest.mark.parametrize("store", ["nonsense://x", "sqlite", "redis://[bad"])
def test_a_malformed_store_is_2_in_one_line(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("status", "serve"):
        assert main([command, "--store", store]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("queue-metrics: ")
        assert "Traceback" not in told.err


def test_a_store_that_is_not_there_is_3_without_its_password(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert main(["status", "--json", "--store", f"redis://user:hunter2@127.0.0.1:{port}"]) == 3
    told = capsys.readouterr()
    assert json.loads(told.out) == {"error": told.err.removeprefix("queue-metrics: ").strip()}
    assert "hunter2" not in told.err
    assert "Traceback" not in told.err
    assert "`queue-metrics doctor` says what to do" in told.err


def test_what_a_database_says_over_several_lines_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """PostgreSQL asks back whether the server runs, in a second line."""
    assert main(["status", "--store", "postgresql://shop@127.0.0.1:1/db"]) == 3
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "\t" not in told
    assert told.endswith("connections? `queue-metrics doctor` says what to do\n")


def test_status_is_one_screen_with_what_is_wrong_first(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    filled(url, hostile_fleet())
    assert main(["status", "--store", url]) == 1
    told = capsys.readouterr().out
    lines = told.splitlines()
    assert lines[0].startswith("✗ critical")
    assert "Records were dropped" in lines[1]
    assert "app.send" in told
    assert "\x1b" not in told  # neither colour without a terminal, nor what names would do to one


def test_status_of_a_fleet_that_is_well_is_0(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--store", filled(url, small_fleet())]) == 0
    assert capsys.readouterr().out.startswith("✓ healthy 100")


def test_status_of_an_empty_store_says_what_to_do(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--store", url]) == 0
    told = capsys.readouterr().out
    assert "Nothing was ever recorded in this store." in told
    assert "qm.instrument(app)" in told
    assert "metrics.db" in told


def test_the_rate_is_that_of_the_time_that_is_named(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet()
    fleet.task(("b", "q", "t"), minute(2), counts={"started": 300, "succeeded": 300}, measures={0: [1000] * 300})
    assert main(["status", "--store", filled(url, fleet)]) in (0, 1)
    line = next(line for line in capsys.readouterr().out.splitlines() if "ended" in line)
    found = re.match(r"  last (\d+) min (\d\d) s, nothing recorded before: 300 ended, ([\d.]+) / min,", line)
    assert found, line
    assert float(found[3]) == pytest.approx(300 / (int(found[1]) + int(found[2]) / 60), rel=0.01)


@pytest.mark.parametrize("role", ["agent", "producer"])
def test_a_store_that_only_knows_of_an_agent_is_not_healthy_but_unknown(role: str, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = Fleet()
    fleet.worker(role=role)
    assert main(["status", "--store", filled(url, fleet)]) == 0
    told = capsys.readouterr().out
    assert told.startswith("? unknown\n  ? Nothing was ever recorded")
    assert "qm.instrument(app)" in told
    assert f"web-1:100 · {role}" in told


def test_json_is_one_object_and_nothing_else(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json", "--minutes", "15", "--store", filled(url, small_fleet())]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"store", "window", "overview", "tasks", "queues", "workers"}
    assert told["overview"]["counts"]["started"] == 5
    assert [task["task"] for task in told["tasks"]] == ["app.send", "app.bounce"]


def test_a_reader_that_goes_away_leaves_no_traceback(url: str) -> None:
    filled(url, hostile_fleet())
    done = subprocess.run(
        f"{sys.executable} -c 'import sys; from queue_metrics.cli import main; sys.exit(main())' status --json --store {url} | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    assert (done.stdout, done.stderr) == ("{", "")


def test_a_command_imports_only_its_own_module() -> None:
    code = (
        "import sys; from queue_metrics.cli import main; main(['status', '--help'])\n"
        "print([name for name in ('queue_metrics.cli.demo', 'queue_metrics.cli.agent', 'uvicorn', 'starlette') if name in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "metrics.example"])
def test_nobody_listens_to_a_network_without_a_token(host: str, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", host, "--store", url]) == 2
    told = capsys.readouterr().err
    assert f"listening at {host}" in told
    assert "QUEUE_METRICS_TOKEN" in told


def test_a_port_that_was_named_and_is_taken_is_2(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port), "--store", url]) == 2
    assert f"port {port} is taken" in capsys.readouterr().err


def test_without_its_server_serve_names_the_extra_and_prints_no_address(url: str, tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ImportError")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([*COMMAND, "serve", "--store", url], capture_output=True, text=True, env=env, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'queue-metrics: serving needs uvicorn: pip install "job-queue-metrics[http]"\n'


def lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stderr is not None
    while line := process.stderr.readline():
        yield line.rstrip("\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_where_it_is_and_ends_when_told(url: str, number: signal.Signals, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "QUEUE_METRICS_TOKEN": "a-token-of-sixteen"}
    arguments = ["serve", "--store", filled(url, small_fleet()), "--port", "0"]
    process = subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True, env=env)
    try:
        told = lines_of(process)
        address = re.search(r"http://127\.0\.0\.1:\d+/", next(told))
        assert address
        assert next(told) == f"store {url}"
        assert next(told).startswith(f"spool {tmp_path}/state/")
        request = urllib.request.Request(f"{address[0]}v1/tasks", headers={"Authorization": "Bearer a-token-of-sixteen"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            assert json.load(response)["total"] == 2
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
        assert "Traceback" not in "\n".join(told)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("allowed", "told", "reached"),
    [
        ([], "add --allow-host NAME", False),
        (["metrics.example", "10.0.0.0/8"], "from other machines http://metrics.example:{port}/", True),
        (["10.0.0.0/8"], "from other machines by an address in 10.0.0.0/8, port {port}", False),
    ],
)
def test_serve_at_every_address_says_how_others_reach_it(allowed: list[str], told: str, reached: bool, url: str) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "QUEUE_METRICS_TOKEN": "a-token-of-sixteen"}
    names = [word for name in allowed for word in ("--allow-host", name)]
    arguments = ["serve", "--store", url, "--port", "0", "--host", "0.0.0.0", *names]
    process = subprocess.Popen([*COMMAND, *arguments], stderr=subprocess.PIPE, text=True, env=env)
    try:
        lines = lines_of(process)
        address = re.search(r"http://127\.0\.0\.1:(\d+)/", next(lines))
        assert address, "the address that is printed is one that can be opened"
        assert told.format(port=address[1]) in next(lines)

        def status(host: str | None) -> tuple[int, str]:
            asked = urllib.request.Request(f"{address[0]}ready", headers={} if host is None else {"Host": host})
            try:
                with urllib.request.urlopen(asked, timeout=PATIENCE) as response:
                    return response.status, ""
            except urllib.error.HTTPError as error:
                return error.code, json.load(error)["detail"]

        assert status(None)[0] == 200
        code, detail = status(f"metrics.example:{address[1]}")
        assert (code == 200) is reached
        assert reached or ("--allow-host NAME" in detail and "allowed_hosts" in detail)
    finally:
        process.kill()
        process.wait()


def test_serve_asks_the_brokers_that_the_configuration_names(url: str, tmp_path: Path) -> None:
    """No worker runs, so nobody else could tell that a job waits."""
    (tmp_path / "shop_app.py").write_text(
        "import huey\nshop = huey.SqliteHuey('shop', filename='huey.db')\n@shop.task()\ndef f():\n    pass\nf()\n"
    )
    (tmp_path / "queue-metrics.toml").write_text('depth_seconds = 0.1\n[connections.shop]\nlibrary = "huey"\napp = "shop_app:shop"\n')
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([*COMMAND, "serve", "--store", url, "--port", "0"], stderr=subprocess.PIPE, text=True, env=env, cwd=tmp_path)
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+/", next(lines_of(process)))
        assert address
        found: object = None
        deadline = time.monotonic() + PATIENCE
        while found != [("shop", 1)] and time.monotonic() < deadline:
            with urllib.request.urlopen(f"{address[0]}v1/queues", timeout=PATIENCE) as response:
                found = [(queue["connection"], queue["ready"]) for queue in json.load(response)["queues"]]
            time.sleep(0.1)
        assert found == [("shop", 1)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def test_colour_is_for_terminals_that_want_it(url: str) -> None:
    """On a real terminal there is colour, with NO_COLOR none; no line is wider than the screen."""
    import pty

    filled(url, hostile_fleet())
    outputs = {}
    for wish in ("", "1"):
        leader, follower = pty.openpty()
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NO_COLOR": wish, "COLUMNS": "80", "TERM": "xterm"}
        process = subprocess.Popen([*COMMAND, "status", "--store", url], stdout=follower, stderr=subprocess.STDOUT, env=env)
        os.close(follower)
        read = b""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                part = os.read(leader, 65536)
            except OSError:  # how Linux says that the other side has closed
                break
            if not part:
                break
            read += part
        os.close(leader)
        assert process.wait(PATIENCE) == 1
        outputs[wish] = read.decode()
    assert "\x1b[31;1m✗ critical" in outputs[""]
    assert "\x1b" not in outputs["1"]
    assert all(len(line) <= 80 for line in outputs["1"].replace("\r", "").splitlines())


def test_what_does_not_fit_is_cut_by_columns_not_by_letters() -> None:
    assert fitted("任务任务", 5) == "任务…"
    assert fitted("abc", 3) == "abc"
    assert fitted("abcd", 3) == "ab…"
    assert shown("\x1b[2Jx") == "␛[2Jx"
