"""The commands that read, over real stores: their numbers as counted by hand, their JSON, their exit codes, and how they fit a screen."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from queue_metrics.cli.terminal import Screen, rows_that_fit, shortened, spark
from queue_metrics.model import Baseline
from queue_metrics.storage import baselines
from queue_metrics.storage.manager import StorageManager
from tests.cli.counted import COLLECT, counted_fleet, filled
from tests.http.asking import app_of, ask, hostile_fleet, small_fleet
from tests.support.fleet import HOSTILE, NOW, Fleet, minute
from tests.support.servers import RedisServer

READING = ("status", "queues", "tasks", "workers", "servers", "baselines")


pytestmark = pytest.mark.usefixtures("of_the_fleets")


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/metrics.db"
    else:
        with RedisServer(tmp_path) as server:
            yield f"redis://127.0.0.1:{server.port}/0"


def test_lists_show_what_was_stored(url: str, said: Any) -> None:
    filled(url, counted_fleet())
    code, tasks, _ = said("tasks", "--store", url)
    assert code == 0
    assert re.search(r"^  app.send · default +100 % +4 +0 % ", tasks, re.MULTILINE)
    code, queues, _ = said("queues", "--store", url)
    assert re.search(r"^  mail · grows +\w+ \d+ +390 ", queues, re.MULTILINE)
    assert re.search(r"^  default · broker +healthy 100 +7 +1.25 s ", queues, re.MULTILINE)
    _, workers, _ = said("workers", "--store", url)
    assert re.search(r"^  web-1:11 · worker +busy +app.send ", workers, re.MULTILINE)
    _, servers, _ = said("servers", "--store", url)
    assert re.search(r"^  web-1 +unknown .* 2 +50.0 % ", servers, re.MULTILINE)


def test_one_in_full_has_its_numbers(url: str, said: Any) -> None:
    filled(url, counted_fleet())
    code, task, _ = said("tasks", "app.send", "--store", url)
    assert code == 0
    assert re.search(r"outcomes +3 succeeded, 1 retried\n +discarded +1 revoked, 2 expired, 3 rejected, 4 skipped, 5 unknown\n", task)
    assert re.search(r"failed +0 % of 3 ", task)
    _, queue, _ = said("queues", "broker", "default", "--store", url)
    assert re.search(r"ready +7 \(asked", queue)
    assert re.search(r"oldest +1.25 s", queue)
    _, worker, _ = said("workers", "web-1:11", "--store", url)
    assert re.search(r"now +app.send for \d", worker)
    assert re.search(r"job +j-1", worker)
    _, server, _ = said("servers", "web-1", "--store", url)
    assert re.search(r"executions +4 in the window, .* mean 2 s; 4 ever, 25.0 % of\s+them\s+failed", server)


def test_a_trend_is_drawn_and_its_numbers_said(url: str, said: Any) -> None:
    filled(url, counted_fleet())
    code, told, _ = said("trend", "depth", "grows", "mail", "--period", "1800", "--store", url)
    assert code == 0
    assert "depth of mail · grows, last 30 min 00 s: " in told
    drawn = re.search("[▁▂▃▄▅▆▇█]+", told)
    assert drawn
    assert list(drawn[0]) == sorted(drawn[0])
    assert re.search(r"jobs +390 now, .* to 390\n", told)
    code, told, _ = said("trend", "throughput", "grows", "mail", "--period", "1800", "--json", "--store", url)
    assert (code, json.loads(told)["statistics"]["total_jobs"]) == (0, 300)
    begin = ("--start", str(minute(20)), "--end", str(minute(10)))
    code, told, _ = said("trend", "throughput", "grows", "mail", *begin, "--json", "--store", url)
    assert (code, json.loads(told)["statistics"]["total_jobs"]) == (0, 100)
    code, told, _ = said("trend", "depth", "grows", "mail", *begin, "--store", url)
    assert re.search(r"grows, 20\S+ \S+ UTC to 20", told)
    assert re.search(r"jobs +\d+ at last, ", told)
    code, told, _ = said("trend", "efficiency", "--json", "--store", url)
    assert (code, json.loads(told)["available"]) == (1, False)


def test_baselines_are_listed_and_told_one_by_one(url: str, said: Any) -> None:
    driver = StorageManager().open(url)
    small_fleet().store(driver)
    baselines.write(driver, [Baseline("broker", "default", "app.send", 0.25, 0.5, 1048576.0, 200, 0.9, NOW - 60, deviates=False)])
    driver.close()
    code, told, _ = said("baselines", "--store", url)
    assert code == 0
    assert re.search(r"^  app.send · default +250 ms +50.0 % +1.00 MiB +200 +0.90 ", told, re.MULTILINE)
    code, told, _ = said("baselines", "broker", "default", "app.send", "--store", url)
    assert code == 0
    assert re.search(r"made of +200 executions, confidence 0.90: reliable", told)
    code, told, _ = said("baselines", "broker", "mail", "--store", url)
    assert code == 1
    assert "calculate-baselines" in " ".join(told.split())


PATHS = {
    ("queues",): ("/v1/queues", "queues"),
    ("tasks",): ("/v1/tasks", "tasks"),
    ("servers",): ("/v1/servers", "servers"),
    ("workers",): ("/v1/workers", "workers"),
    ("baselines",): ("/v1/baselines", "baselines"),
    ("queues", "broker", "default"): ("/v1/queues/{connection}/{queue}", None),
    ("tasks", "app.send"): ("/v1/tasks/{task}", None),
    ("servers", "web-1"): ("/v1/servers/{hostname}", None),
    ("baselines", "broker", "default"): ("/v1/baselines/{connection}/{queue}", None),
    ("trend", "depth", "broker", "default"): ("/v1/trends/depth/{connection}/{queue}", None),
}


@pytest.mark.parametrize("command", PATHS, ids=" ".join)
def test_json_is_as_the_interface_has_it(command: tuple[str, ...], file_url: str, said: Any) -> None:
    """One value, nothing else, held to the schema of its route."""
    filled(file_url, counted_fleet())
    code, out, err = said(*command, "--json", "--store", file_url)
    path, listed = PATHS[command]
    assert (code in (0, 1), COLLECT in err) == (True, listed is not None)
    interface = ask(app_of(), "/openapi.json").json()
    reply = interface["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    known = reply["oneOf"][0] if "oneOf" in reply else reply  # the trend that is asked for is known
    schema = interface["components"]["schemas"][known["$ref"].rpartition("/")[2]]
    told = json.loads(out)
    about = {"window", "stale", "stale_seconds"} & set(schema["properties"])
    if listed is not None:
        assert isinstance(told, list)
        wanted = schema["properties"][listed]
    else:
        wanted = {**schema, "required": [each for each in schema["required"] if each not in about]}
    jsonschema.validate(told, {**wanted, "components": interface["components"]})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("queues", "broker", "defualt"), "did you mean 'default'?"),
        (("tasks", "app.sent"), "did you mean 'app.send'?"),
        (("workers", "web-1:11:78"), "did you mean 'web-1:11:77'"),
        (("servers", "web-2"), "did you mean 'web-1'?"),
        (("baselines", "broker", "default", "app.sent"), "did you mean 'app.send'?"),
        (("trend", "depth", "broker", "defualt"), "did you mean 'default'?"),
        (("trend", "depth", "default", "broker"), "the connection comes first: 'broker' 'default'"),
        (("queues", "default", "broker"), "the connection comes first: 'broker' 'default'"),
        (("trend", "throughput", "borker", "default"), "it was recorded on 'broker'"),
    ],
)
def test_a_name_that_nobody_recorded_is_1_and_says_which_was_meant(
    arguments: tuple[str, ...], words: str, file_url: str, said: Any
) -> None:
    filled(file_url, small_fleet())
    code, out, err = said(*arguments, "--store", file_url)
    assert (code, out) == (1, "")
    assert words in err
    code, out, _ = said(*arguments, "--json", "--store", file_url)
    assert code == 1
    assert words in json.loads(out)["error"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("queues", "broker"),
        ("baselines", "broker"),
        ("tasks", "--queue", "mail"),
        ("trend",),
        ("trend", "depth"),
        ("trend", "efficiency", "broker", "mail"),
        ("trend", "depth", "a", "b", "--period", "59"),
        ("trend", "depth", "a", "b", "--interval", "14401"),
        ("trend", "efficiency", "--period", "60", "--start", "2026-01-31"),
        ("trend", "efficiency", "--end", "2026-01-31"),
        ("tasks", "--minutes", "5", "--start", "1000"),
        ("tasks", "--end", "2026-01-31"),
        ("tasks", "--start", "yesterday"),
        ("tasks", "--start", "nan"),
        ("workers", "--minutes", "5"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_2_and_asks_no_store(arguments: tuple[str, ...], said: Any) -> None:
    code, out, err = said(*arguments, "--store", "redis://127.0.0.1:1/0")
    assert (code, out) == (2, "")
    assert "usage: queue-metrics" in err


@pytest.mark.parametrize("command", [*READING, "trend"])
def test_a_store_that_is_away_is_3_and_its_password_stays_here(command: str, said: Any) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    more = ("efficiency",) if command == "trend" else ()
    code, out, err = said(command, *more, "--json", "--store", f"redis://user:hunter2@127.0.0.1:{port}")
    assert code == 3
    assert set(json.loads(out)) == {"error"}
    assert "hunter2" not in out + err


@pytest.mark.parametrize("command", READING)
def test_an_empty_store_is_no_error(command: str, file_url: str, said: Any) -> None:
    code, out, err = said(command, "--store", file_url)
    assert (code, err) == (0, "")
    assert out.strip()


def crowd() -> Fleet:
    """Hundreds of queues and tasks, a third of them with a backlog, and as many workers, some lost."""
    fleet = Fleet()
    asked = int((NOW - 5) * 1e6)
    one_of_four = {"arrivals": 4, "started": 4, "succeeded": 3, "failed": 1}  # may be luck of a queue, and is none of all
    for number in range(300):
        queue = ("redis", f"a-queue-with-a-rather-long-name-{number}")
        fleet.queue(queue, minute(0), counts=one_of_four, gauges={0: [(asked, 5000 if number % 3 == 0 else 1)]})
        fleet.task((*queue, f"app.tasks.some_task_{number}"), minute(1), counts=one_of_four, measures={0: [1000]})
        fleet.worker(pid=1000 + number, host=f"host-{number}.example.internal", state="lost" if number % 50 == 0 else "idle")
    return fleet


@pytest.mark.parametrize("fleet", [crowd, hostile_fleet, small_fleet, Fleet])
def test_status_fits_a_screen_of_80_by_24(fleet: Any, file_url: str, said: Any) -> None:
    _, out, _ = said("status", "--store", filled(file_url, fleet()))
    lines = out.splitlines()
    assert len(lines) <= 23, "one line is the prompt's"
    assert [line for line in lines[1:] if len(line) > 80 and "store" not in line] == []


def test_status_of_a_crowd_says_first_what_is_wrong_and_how_much_it_does_not_show(file_url: str, said: Any) -> None:
    filled(file_url, crowd())
    code, out, _ = said("status", "--store", file_url)
    lines = out.splitlines()
    assert (code, lines[0].split()[1]) == (1, "critical")
    told = " ".join(out.split())
    assert re.search(r"! Queue a-queue\S+: 5,000 jobs are waiting. So it is with 99 more. ! 6 workers were lost. ! 25.0 % of all", told)
    for what in ("QUEUE", "TASK", "WORKER"):
        assert re.search(rf"^  {what}, \d+ of 300 ", out, re.MULTILINE)


@pytest.mark.parametrize("columns", ["60", "40"])
@pytest.mark.parametrize("command", READING)
def test_nothing_is_wider_than_a_narrow_screen(
    columns: str, command: str, file_url: str, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers are left out before names become unreadable."""
    monkeypatch.setenv("COLUMNS", columns)
    _, out, _ = said(command, "--store", filled(file_url, crowd()))
    lines = [line for line in out.splitlines() if not line.startswith("  store ")]
    assert [line for line in lines if len(line) > int(columns)] == []


@pytest.mark.parametrize("arguments", [*((command,) for command in READING), ("tasks", HOSTILE[4]), ("queues", HOSTILE[6], HOSTILE[6])])
def test_hostile_names_are_text_on_every_screen(arguments: tuple[str, ...], file_url: str, said: Any) -> None:
    _, out, err = said(*arguments, "--store", filled(file_url, hostile_fleet()))
    assert err == ""
    assert out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", out)


# Settings


def test_config_tells_every_setting_with_its_source_and_no_secret(tmp_path: Path, said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "queue-metrics.toml").write_text(
        'port = 9001\nlost_seconds = 400\n[ttl]\nraw = 7200\n[connections.shop]\nlibrary = "celery"\nbroker = "redis://me:hunter2@db/1"\n'
    )
    (tmp_path / "token").write_text("a-token-of-sixteen\n")
    monkeypatch.setenv("QUEUE_METRICS_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("QUEUE_METRICS_PORT", "9002")
    store = "postgresql://me:hunt?er2@db/shop"
    code, out, _ = said("config", "--json", "--store", store)
    told = {each["name"]: each for each in json.loads(out)}
    assert code == 0
    assert (told["port"]["value"], told["port"]["source"], told["port"]["from"]) == (9002, "environment", "QUEUE_METRICS_PORT")
    assert (told["token"]["value"], told["token"]["from"]) == ("***", "QUEUE_METRICS_TOKEN_FILE")
    assert (told["lost_seconds"]["value"], told["lost_seconds"]["from"]) == (400.0, "queue-metrics.toml")
    assert (told["ttl.raw"]["value"], told["ttl.raw"]["source"]) == (7200, "file")
    assert (told["store"]["value"], told["store"]["source"]) == ("postgresql://me:***@db/shop", "argument")
    assert (told["stale_seconds"]["source"], told["stale_seconds"]["from"]) == ("default", None)
    assert told["connections"]["value"] == {"shop": {"library": "celery", "broker": "redis://me:***@db/1"}}
    _, shown, _ = said("config", "--store", store)
    assert re.search(r"^port +9002 +\(environment QUEUE_METRICS_PORT\)$", shown, re.MULTILINE)
    for secret in ("hunt", "er2", "a-token"):
        assert secret not in out + shown


def test_config_of_a_wrong_setting_is_2(said: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_METRICS_PROT", "1")
    code, out, err = said("config")
    assert (code, out) == (2, "")
    assert "did you mean 'QUEUE_METRICS_PORT'" in err


def test_the_reference_is_the_table_of_the_page(said: Any) -> None:
    code, out, _ = said("config", "--reference")
    assert code == 0
    assert out in (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    _, out, _ = said("config", "--reference", "--json")
    assert {each["name"]: each["default"] for each in json.loads(out)}["port"] == 8787


def test_the_interface_is_that_of_the_app(said: Any) -> None:
    code, out, _ = said("openapi")
    assert (code, json.loads(out)) == (0, ask(app_of(), "/openapi.json").json())
    assert (Path(__file__).parents[2] / "docs" / "openapi.json").read_text() == out
    code, out, _ = said("openapi", "--json")
    assert len(out.splitlines()) == 1


# The terminal


def test_a_name_that_is_too_long_keeps_its_end() -> None:
    assert shortened("a-long-name-1 · redis", 21) == "a-long-name-1 · redis"
    assert shortened("a-long-name-17", 9) == "a-lo…e-17"
    assert shortened("任务任务任务", 6) == "任…务"


def test_tables_share_the_lines_that_there_are() -> None:
    assert rows_that_fit([300, 300, 300], 15) == [3, 3, 3]
    assert rows_that_fit([1, 300, 0], 15) == [1, 10, 0]
    assert rows_that_fit([300, 300, 300], 5) == [3, 0, 0]
    assert rows_that_fit([300], 2) == [0]


def test_a_curve_rises_to_its_greatest_value() -> None:
    assert spark([0, 1, 2, 3, 4, 5, 6, 7], 80) == "▁▂▃▄▅▆▇█"
    assert spark([0, 9, 0, 0], 2) == "█▁"
    assert spark([5, 5], 80) == "▁▁"
    assert spark([], 80) == ""


def test_a_paragraph_ends_its_lines_between_words_and_keeps_a_unit_with_its_number(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "24")
    Screen().paragraph("waits for 4.43 s or more, " + "x" * 30)
    assert capsys.readouterr().out.splitlines() == ["  waits for 4.43 s or", "  more,", "  " + "x" * 22, "  " + "x" * 8]
