"""The way of records into the store, while that is there, away, mute, refusing, empty again; and what the owner is told."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.errors import SchemaMismatch
from queue_metrics.recording import trouble
from queue_metrics.recording.runtime import Runtime
from queue_metrics.recording.spool import read_reports
from queue_metrics.storage.forks import Forking
from queue_metrics.storage.spools import spool_reports
from tests.recording.tools import Program, beats, counts, eventually, settings_for
from tests.support.servers import RedisServer, free_port


def record(runtime: Runtime, jobs: int, task: str = "t") -> None:
    handle = runtime.recorder.series("c", "q", task, _core.CLOCK_THREAD)
    for number in range(jobs):
        runtime.recorder.finished(runtime.recorder.started(handle, number, 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What the owner is told, with no minute of an earlier test running."""
    monkeypatch.setattr(trouble.warner, "_said", {})
    caplog.set_level(logging.WARNING, "queue_metrics")
    return caplog


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    found = Runtime(settings_for(tmp_path))
    yield found
    found.stop()


def test_what_is_recorded_is_counted_once(runtime: Runtime) -> None:
    runtime.on_main()
    for _ in range(3):
        record(runtime, 100)
        assert runtime.flush(30)
    assert counts(runtime.settings.store)["succeeded"] == counts(runtime.settings.store)["started"] == 300
    assert runtime.flush(30)
    assert counts(runtime.settings.store)["started"] == 300


def test_nothing_runs_and_nothing_is_made_before_the_process_is_told_what_it_is(runtime: Runtime, tmp_path: Path) -> None:
    assert not runtime.reporter.running
    assert list(tmp_path.iterdir()) == []


def test_drops_of_before_there_was_a_page_are_told_once_and_said_in_the_log(
    runtime: Runtime, tmp_path: Path, warned: pytest.LogCaptureFixture
) -> None:
    def told() -> int:
        return sum(sum(report.drops.values()) for report in spool_reports(runtime.store.read_heartbeats()))

    (tmp_path / "state").write_text("no directory")
    runtime.on_main()
    record(runtime, 5)
    lost = sum(runtime.recorder.status()["drops"].values())
    assert lost >= 10
    eventually(lambda: told() == lost, "the store is told")
    eventually(lambda: "records are dropped" in warned.text, "the log says so")
    (tmp_path / "state").unlink()

    def written() -> bool:
        record(runtime, 1)
        return runtime.recorder.status()["segment"] is not None

    eventually(written, "records are written again")
    lost = sum(runtime.recorder.status()["drops"].values())
    eventually(lambda: told() == lost, "the page has taken the count over")


def test_drops_and_errors_are_said_while_the_store_is_away(tmp_path: Path, warned: pytest.LogCaptureFixture) -> None:
    """A spool fills up while the store is away, so then, most of all, the log and the reports for `doctor` must tell of it."""
    runtime = Runtime(settings_for(tmp_path, f"redis://127.0.0.1:{free_port()}/0"))
    try:
        runtime.on_main()
        eventually(lambda: runtime.reporter.status()["failing_seconds"], "the store is known to be away")
        handle = runtime.recorder.series("c", "q", "t", _core.CLOCK_NONE)
        for number in range(4_096 + 3):
            runtime.recorder.started(handle, number, 0, _core.NO_TIME)
        runtime.recorder.hook_error()

        def told() -> bool:
            reports = read_reports(runtime.spool)
            return (
                reports.get("custom", {}).get("hook_errors") == 1
                and reports.get("drainer", {}).get("drain", {}).get("drops") == {"overflow": 3}
                and "records are dropped, so numbers will be too low (overflow 3" in warned.text
            )

        eventually(told, "the log and both reports tell")
        assert runtime.reporter.status()["failing_seconds"]
    finally:
        runtime.stop()


def test_a_short_program_says_what_it_dropped_though_the_store_is_away(tmp_path: Path, warned: pytest.LogCaptureFixture) -> None:
    """It has no page and no report file, and the store hears nothing of it: its log is all there is."""
    (tmp_path / "state").write_text("no directory")
    runtime = Runtime(settings_for(tmp_path, f"redis://127.0.0.1:{free_port()}/0", heartbeat_seconds=600, flush_seconds=600))
    runtime.on_main()
    eventually(lambda: runtime.reporter.status()["failing_seconds"], "the store is known to be away")
    record(runtime, 5)
    runtime.stop(30)
    assert "records are dropped, so numbers will be too low (not_writable 1" in warned.text


def test_many_series_go_in_batches_of_at_most_a_hundred(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    apply_batch = runtime.store.apply_batch

    def counting(shard: int, batch: _core.Batch) -> object:
        sizes.append(len({row.series for row in batch.rows}))
        return apply_batch(shard, batch)

    monkeypatch.setattr(runtime.store, "apply_batch", counting)
    for number in range(120):
        record(runtime, 1, f"task {number}")
    assert runtime.flush(30)
    assert len(sizes) > 1
    assert max(sizes) <= 100
    assert counts(runtime.settings.store)["started"] == 120


def test_a_store_that_is_away_from_the_start_gets_everything_later_and_is_warned_of_once_a_minute(
    tmp_path: Path, warned: pytest.LogCaptureFixture
) -> None:
    server = RedisServer(tmp_path)
    runtime = Runtime(settings_for(tmp_path, server.url))
    try:
        runtime.on_main()
        record(runtime, 50)
        assert not runtime.flush(1.5), "there is no store"
        eventually(lambda: runtime.reporter.status()["last_error"], "the failure is known")
        assert len(warned.records) == 1
        text = warned.records[0].getMessage()
        assert server.url in text
        assert "QUEUE_METRICS_STORE" in text
        assert os.fspath(runtime.spool) in text
        with server:
            record(runtime, 50)
            assert runtime.flush(30)
            assert counts(server.url)["succeeded"] == 100
            server.kill()
            record(runtime, 50)
            assert not runtime.flush(1.5)
            server.start()
            assert runtime.flush(30)
            assert counts(server.url)["succeeded"] == counts(server.url)["started"] == 150
        assert len(warned.records) == 1, "the second trouble came within the minute"
    finally:
        runtime.stop()


def test_a_warning_names_the_store_once(tmp_path: Path, warned: pytest.LogCaptureFixture) -> None:
    away = f"redis://127.0.0.1:{free_port()}/0"
    runtime = Runtime(settings_for(tmp_path, away))
    record(runtime, 1)
    assert not runtime.flush(1)
    runtime.stop()
    (text,) = [message for message in warned.messages if "cannot be reached" in message]
    assert text.count(away) == 1


def test_a_mute_store_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        runtime = Runtime(settings_for(tmp_path, server.url))
        try:
            runtime.on_main()
            for _ in range(3):
                record(runtime, 100)
                server.pause()
                record(runtime, 100)
                assert not runtime.flush(0.5)
                server.resume()
            assert runtime.flush(30)
            assert counts(server.url)["started"] == counts(server.url)["succeeded"] == 600
        finally:
            runtime.stop()


def test_a_store_that_was_emptied_is_told_again_what_is_still_kept(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        runtime = Runtime(settings_for(tmp_path, server.url))
        try:
            record(runtime, 100)
            assert runtime.flush(30)
            server.kill()
            server.start(empty=True)
            record(runtime, 1)
            assert runtime.flush(30)
            assert counts(server.url)["succeeded"] == 101
        finally:
            runtime.stop()


def test_a_store_of_a_newer_version_is_warned_of_and_gets_everything_when_it_is_mended(
    runtime: Runtime, warned: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise SchemaMismatch("version 99")

    with monkeypatch.context() as patch:
        patch.setattr(runtime.store, "apply_batch", refuse)
        record(runtime, 10)
        assert not runtime.flush(1.0)
        assert [record.getMessage().count("version 99") for record in warned.records] == [1]
        assert runtime.reporter.status()["failing_seconds"] is not None
    assert runtime.flush(30)
    assert counts(runtime.settings.store)["succeeded"] == 10


def test_an_error_of_our_own_is_counted_and_the_drain_begins_anew(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(runtime.store, "apply_batch", broken)
        record(runtime, 10)
        assert not runtime.flush(0.5)
    assert runtime.flush(30)
    assert counts(runtime.settings.store)["succeeded"] == 10
    assert runtime.recorder.status()["hook_errors"] >= 1


def test_an_answer_that_was_lost_is_asked_for_again_and_counts_once(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    from queue_metrics.errors import StoreUnavailable

    apply_batch, sent = runtime.store.apply_batch, []

    def lose_answers(shard: int, batch: _core.Batch) -> object:
        answer = apply_batch(shard, batch)
        sent.append(batch.sequence)
        if len(sent) == 1:
            raise StoreUnavailable("the answer was lost")
        return answer

    monkeypatch.setattr(runtime.store, "apply_batch", lose_answers)
    record(runtime, 10)
    assert runtime.flush(30)
    assert sent[:2] == [1, 1]
    assert counts(runtime.settings.store)["succeeded"] == 10


def test_a_fork_that_comes_in_between_is_outlasted_at_once_and_in_silence(
    tmp_path: Path, warned: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an hour between two turns, what is done within seconds was done again in the same turn."""
    runtime = Runtime(settings_for(tmp_path, flush_seconds=3600, heartbeat_seconds=3600))
    refused: list[str] = []

    def forking(name: str) -> None:
        call = getattr(runtime.store, name)

        def refuse(*arguments: object) -> object:
            refused.append(name)
            if refused.count(name) <= 3:
                raise Forking("this process is forking; try again")
            return call(*arguments)

        monkeypatch.setattr(runtime.store, name, refuse)

    forking("apply_batch")
    forking("heartbeat_many")
    try:
        record(runtime, 10)
        runtime.on_main()
        eventually(lambda: runtime.recorder.worker_id in beats(runtime.settings.store), "a heartbeat")
        assert counts(runtime.settings.store)["succeeded"] == 10
        assert (refused.count("apply_batch"), refused.count("heartbeat_many")) == (4, 4)
        assert (runtime.reporter.status()["failing_seconds"], runtime.reporter.last_error) == (None, None)
        assert warned.messages == []
    finally:
        runtime.stop()


def test_heartbeats_of_this_process_and_a_report_of_the_spool_reach_the_store(runtime: Runtime) -> None:
    runtime.recorder.describe(_core.MAIN, "test", "c", "q")
    runtime.on_main()
    record(runtime, 3)
    found = eventually(lambda: beats(runtime.settings.store).get(runtime.recorder.worker_id), "a heartbeat")
    assert (found["pid"], found["role"], found["library"]) == (os.getpid(), "main", "test")
    reports = eventually(lambda: spool_reports(runtime.store.read_heartbeats()), "a report")
    assert reports[0].drops == {}


def test_a_main_that_has_recorded_nothing_yet_is_seen(runtime: Runtime) -> None:
    runtime.recorder.describe(_core.MAIN, "test", "c", "q")
    runtime.on_main()
    eventually(lambda: runtime.recorder.worker_id in beats(runtime.settings.store), "a heartbeat")


def test_where_no_spool_can_be_made_jobs_go_on_and_the_drops_are_told_to_the_store(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the directory should be")
    runtime = Runtime(settings_for(tmp_path))
    try:
        runtime.on_main()
        record(runtime, 10)
        reports = eventually(lambda: spool_reports(runtime.store.read_heartbeats()), "a report of the drops")
        assert sum(reports[0].drops.values()) > 0
        assert runtime.recorder.worker_id in beats(runtime.settings.store)
        eventually(lambda: beats(runtime.settings.store)[runtime.recorder.worker_id]["finished"] == 10, "the jobs are seen to run")
    finally:
        runtime.stop()


def test_a_damaged_segment_is_set_aside_and_the_others_are_counted(runtime: Runtime) -> None:
    record(runtime, 10)
    (runtime.spool / ("ab" * 16 + ".seg")).write_bytes(b"\x13" * 8192)
    record(runtime, 10)
    runtime.flush(30)
    eventually(lambda: counts(runtime.settings.store)["succeeded"] == 20, "the readable ones are counted")
    assert runtime.drain.status()["set_aside"] == 1
    assert list((runtime.spool / "damaged").iterdir())
    assert not list(runtime.spool.glob("abab*"))


def test_a_process_that_only_produces_leaves_nothing_behind_when_it_ends(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    with Program(tmp_path, settings.store, role="producer", jobs=25) as program:
        program.hear("done")
        assert program.leave() == 0, program.errors()
    assert counts(settings.store)["arrivals"] == 25


def test_the_exit_of_a_main_flushes_and_says_that_it_stopped(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, flush_seconds=3600)
    with Program(tmp_path, settings.store, jobs=25, settings={"flush_seconds": 3600}) as program:
        program.ready()
        assert program.leave() == 0, program.errors()
    assert counts(settings.store)["succeeded"] == 25
    assert [beat["state"] for beat in beats(settings.store).values()] in ([], ["stopped"])


def test_a_main_that_stops_says_so_itself_where_another_process_drains(tmp_path: Path) -> None:
    """The other one looks at it every heartbeat only, and would show it as idle until then: here for a minute."""
    settings = settings_for(tmp_path)
    slow = {"flush_seconds": 30, "heartbeat_seconds": 600}
    with Program(tmp_path, settings.store, jobs=1, settings=slow) as drainer:
        drainer.ready()
        assert drainer.ask("flush", "flushed")
        with Program(tmp_path, settings.store, jobs=1, settings=slow) as other:
            other.ready()
            assert other.leave() == 0, other.errors()
        assert drainer.ask("draining", "draining")
        states = {beat["pid"]: beat["state"] for beat in beats(settings.store).values()}
        assert states.get(other.pid) == "stopped"


def test_the_exit_of_a_process_does_not_wait_for_a_mute_store(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        with Program(tmp_path, server.url, jobs=25) as program:
            program.ready()
            server.pause()
            assert program.leave() == 0, "it ended while the server was stopped"
        server.resume()
        runtime = Runtime(settings_for(tmp_path, server.url))
        try:
            assert runtime.flush(30)
            assert counts(server.url)["succeeded"] == 25
        finally:
            runtime.stop()


@pytest.mark.parametrize("word", ["close descriptors", "take descriptors"])
def test_a_job_that_closes_our_descriptors_finds_its_files_unharmed_and_another_process_drains(word: str, tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    innocent = tmp_path / "innocent"
    innocent.write_bytes(b"precious" * 1000)
    with Program(tmp_path, settings.store, jobs=25, patience=1, settings={"flush_seconds": 1.0}) as program:
        program.ready()
        eventually(lambda: program.ask("draining", "draining"), "it drains")
        assert program.ask("flush", "flushed")
        assert program.ask(word, "done")
        eventually(lambda: "closed the descriptors of this process" in program.errors(), "it says that it cannot drain any more")
        assert not program.ask("draining", "draining")
        assert not program.ask("flush", "flushed")
        runtime = Runtime(settings)
        try:
            assert runtime.flush(30), "another process drains"
        finally:
            runtime.stop()
        assert program.leave() == 0
    assert innocent.read_bytes() == b"precious" * 1000
    assert counts(settings.store)["succeeded"] == 25
