"""The command `queue-metrics doctor`: sees what is wrong, says what to do, changes nothing."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from queue_metrics import _core
from queue_metrics.cli import doctor, main
from queue_metrics.recording.runtime import Runtime
from tests.recording.tools import Program, eventually, settings_for
from tests.support.journal_oracle import read_spool
from tests.support.servers import RedisServer, free_port


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("QUEUE_METRICS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("QUEUE_METRICS_STATE_DIR", os.fspath(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def examine(capsys: pytest.CaptureFixture[str], store: str, code: int) -> dict[str, Any]:
    capsys.readouterr()
    assert doctor.run(argparse.Namespace(store=store, namespace="test", json=True)) == code
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    assert found["ok"] is (code == 0)
    assert doctor.run(argparse.Namespace(store=store, namespace="test", json=False)) == code
    text = capsys.readouterr().out
    assert found["store"]["url"] in text
    assert all(problem["what"] in text and problem["advice"] in text for problem in found["problems"])
    return found


def record(runtime: Runtime, jobs: int = 10) -> None:
    handle = runtime.recorder.series("c", "q", "t", _core.CLOCK_THREAD)
    for number in range(jobs):
        runtime.recorder.finished(runtime.recorder.started(handle, number, 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)


def contents(path: Path) -> dict[str, tuple[int, int]]:
    return {str(each): (each.stat().st_size, each.stat().st_mtime_ns) for each in sorted(path.rglob("*"))}


def test_before_anything_was_recorded_there_is_no_problem_and_nothing_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = examine(capsys, settings_for(tmp_path).store, 0)
    assert found["spools"] == []
    assert list(tmp_path.iterdir()) == []
    assert found["not_verified"]


def test_a_healthy_worker_is_shown_with_who_drains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_for(tmp_path)
    with Program(tmp_path, settings.store, jobs=10) as program:
        program.ready()
        assert program.ask("flush", "flushed")
        eventually((settings.spool / "report-drainer.json").exists, "a report")
        assert program.ask("flush", "flushed")
        found = examine(capsys, settings.store, 0)
        (spool,) = found["spools"]
        assert spool["drainer_pid"] == program.pid
        assert spool["waiting"] == 0
        assert spool["agent_pid"] is None
        assert (spool["way"], spool["way_reason"]) == _core.journal_way(spool["file_system"], "auto")
        assert spool["last_drain"]["drain"]["duplicates"] == 0
        assert found["store"]["schema"] == 2
        assert program.ask("draining", "draining"), "the doctor took nothing from the drainer"


def test_records_that_nobody_drains_are_a_problem_and_nothing_is_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_for(tmp_path)
    runtime = Runtime(settings)
    record(runtime)
    before = contents(settings.spool)
    found = examine(capsys, settings.store, 1)
    assert found["spools"][0]["waiting"] == _records(settings.spool)
    assert "nobody drains it" in found["problems"][0]["what"]
    assert "agent" in found["problems"][0]["advice"]
    assert contents(settings.spool) == before
    assert runtime.flush(30)
    runtime.stop()
    assert examine(capsys, settings.store, 0)["spools"][0]["waiting"] == 0


def test_an_error_inside_track_is_shown_though_no_hook_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_for(tmp_path)
    runtime = Runtime(settings)
    runtime.on_main()
    runtime.recorder.hook_error()
    record(runtime)
    eventually((settings.spool / "report-custom.json").exists, "a report")
    assert runtime.flush(30)
    runtime.stop()
    found = examine(capsys, settings.store, 1)
    assert "errors inside the hook of custom" in found["problems"][0]["what"]


def test_what_only_the_pages_of_workers_tell_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a full disk there is no room for a report, and a store that is away hears of nothing."""
    settings = settings_for(tmp_path, f"redis://127.0.0.1:{free_port()}/0")
    runtimes = [Runtime(settings), Runtime(settings)]
    for runtime, counters in zip(runtimes, ({0: 4, 1: 30, 15: 2}, {1: 5, 15: 1}), strict=True):
        record(runtime)
        with (settings.spool / f"{runtime.recorder.worker_key:016x}.wrk").open("r+b") as page:
            for index, count in counters.items():
                page.seek(3_584 + 8 * index)
                page.write(count.to_bytes(8, "little"))
    (settings.spool / f"{1:016x}.wrk").write_bytes(b"QMWORKER\2".ljust(4_096, b"\1"))
    (settings.spool / f"{2:016x}.wrk").write_bytes(b"QMWORKER\1")
    problems = [problem["what"] for problem in examine(capsys, settings.store, 3)["problems"]]
    assert f"4 records were dropped in {settings.spool}: disk_full" in problems
    assert f"35 records were dropped in {settings.spool}: spool_full" in problems
    assert f"3 errors inside hooks of workers that left no report ({settings.spool.name})" in problems
    assert sum("records were dropped" in problem for problem in problems) == 2


def _records(spool: Path) -> int:
    return len(read_spool(spool))


@pytest.mark.parametrize("place", ["/proc/queue-metrics/store.db", "/dev/null/store.db"])
def test_a_file_that_can_never_be_made_is_no_store_that_is_not_there_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    assert main(["status", "--store", f"sqlite:///{place}"]) == 3
    assert place.split("/")[1] in capsys.readouterr().err
    found = examine(capsys, f"sqlite:///{place}", 3)
    assert found["store"]["reachable"] is False
    assert "none can be made" in found["problems"][0]["what"]
    assert not Path(place).exists()


def test_a_state_directory_that_is_a_file_is_called_that_and_nobody_is_told_to_start_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").write_text("no directory")
    found = examine(capsys, f"sqlite:///{tmp_path}/state/queue-metrics/metrics.db", 3)
    assert all(f"{tmp_path}/state is no directory" in problem["what"] for problem in found["problems"])
    assert [problem["advice"].split()[0] for problem in found["problems"]] == ["mend", "set"]


def test_what_doctor_prints_are_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_for(tmp_path)
    runtime = Runtime(settings)
    record(runtime)
    assert runtime.flush(30)
    runtime.stop()
    doctor.run(argparse.Namespace(store=settings.store, namespace="test", json=False))
    text = capsys.readouterr().out
    assert "(namespace test)" in text
    assert "survives a restart; exact" in text
    assert not [word for word in ("True", "False", "None", "{", "'") if word in text]
    away = f"redis://127.0.0.1:{free_port()}/0"
    runtime = Runtime(settings_for(tmp_path, away))
    record(runtime)
    doctor.run(argparse.Namespace(store=away, namespace="test", json=False))
    text = capsys.readouterr().out
    assert "how many records wait is not known" in text
    (line,) = [line for line in text.splitlines() if "cannot be reached" in line]
    assert line.count(away) == 1


def test_a_store_that_is_away_is_exit_3_with_its_url_but_not_its_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"redis://me:hunter2@127.0.0.1:{free_port()}/0"
    assert doctor.run(argparse.Namespace(store=url, namespace="test", json=False)) == 3
    text = capsys.readouterr().out
    assert "NOT REACHABLE" in text
    assert "hunter2" not in text
    assert "QUEUE_METRICS_STORE" in text


def test_a_library_that_lacks_what_it_needs_is_said_with_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As redis-py without async_timeout: it is installed, and cannot be imported."""
    monkeypatch.setitem(sys.modules, "redis.backoff", None)
    for command in ("doctor", "status"):
        assert main([command, "--store", f"redis://127.0.0.1:{free_port()}/0"]) == 2
        said = capsys.readouterr().err
        assert "redis.backoff" in said
        assert 'pip install "job-queue-metrics[redis]"' in said


def test_a_redis_store_is_shown_with_what_it_can_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RedisServer(tmp_path) as server:
        found = examine(capsys, server.url, 0)
        assert found["store"]["capabilities"]["name"]
        assert found["store"]["bytes"] is not None


def test_spools_of_other_stores_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Runtime(settings_for(tmp_path, f"sqlite:///{tmp_path}/other.db"))
    record(other)
    assert examine(capsys, settings_for(tmp_path).store, 0)["other_spools"] == [os.fspath(other.spool)]


def test_a_spool_that_others_can_read_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_for(tmp_path)
    runtime = Runtime(settings)
    record(runtime)
    assert runtime.flush(30)
    runtime.stop()
    settings.spool.chmod(0o755)
    assert "chmod 700" in examine(capsys, settings.store, 1)["problems"][0]["advice"]


def test_damaged_segments_and_errors_of_hooks_are_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_for(tmp_path)
    runtime = Runtime(settings)
    record(runtime)
    (settings.spool / ("ab" * 16 + ".seg")).write_bytes(b"\x13" * 8192)
    runtime.flush(5)
    eventually(lambda: runtime.drain.status().get("set_aside") == 1, "it is set aside")
    path = settings.spool / "report-drainer.json"
    eventually(lambda: path.exists() and json.loads(path.read_text())["drain"]["set_aside"] == 1, "it is reported")
    runtime.stop()
    (settings.spool / "report-celery.json").write_text('{"pid": 1, "hook_errors": 3, "last_error": "boom", "findings": ["f"], "depth": {}}')
    (settings.spool / "report-broken.json").write_text("{")
    problems = [problem["what"] for problem in examine(capsys, settings.store, 1)["problems"]]
    assert any("set aside" in problem for problem in problems)
    assert any("3 errors inside the hook of celery" in problem and "boom" in problem for problem in problems)


def test_pages_of_a_newer_version_and_damaged_ones_are_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_for(tmp_path)
    runtime = Runtime(settings)
    record(runtime)
    newer = settings.spool / f"{1:016x}.wrk"
    newer.write_bytes(b"QMWORKER\2".ljust(4096, b"\0"))
    (settings.spool / f"{2:016x}.wrk").write_bytes(b"QMWORKER")
    runtime.flush(5)
    path = settings.spool / "report-drainer.json"
    eventually(lambda: path.exists() and json.loads(path.read_text())["drain"].get("newer_pages") == 1, "it is reported")
    runtime.stop()
    problems = {problem["what"]: problem["advice"] for problem in examine(capsys, settings.store, 1)["problems"]}
    assert any("1 workers are of a newer version" in what and "upgrade" in advice for what, advice in problems.items())
    assert any("1 pages of workers cannot be read" in what for what in problems)
    assert newer.stat().st_size == 4096
