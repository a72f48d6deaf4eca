"""The write side of a spool: what is recorded, by threads and forked children, is what an independent reader reads."""

from __future__ import annotations

import os
import signal
import stat
import threading
from pathlib import Path

import pytest

from queue_metrics import _core
from tests.core.writing import in_child, of_kind, open_keys, outcomes, run_once, whole
from tests.support.journal_oracle import NO_TIME, NO_U64, hash64, job_hash, label_list, read_segment, read_spool


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "state" / "spool"


@pytest.fixture
def recorder(spool: Path, way: str) -> _core.Recorder:
    return _core.Recorder(str(spool), "host-1", journal=way)


def task(recorder: _core.Recorder, clock: int = _core.CLOCK_PROCESS, name: str = "app.send") -> int:
    return recorder.series("broker", "default", name, clock)


def test_nothing_is_on_disk_before_the_first_record(spool: Path, recorder: _core.Recorder) -> None:
    task(recorder)
    recorder.describe(_core.MAIN, "celery", "broker", "default")
    assert recorder.status() == {
        "spool": str(spool),
        "segment": None,
        "page": False,
        "way": None,
        "way_reason": None,
        "records": 0,
        "running": 0,
        "drops": {},
        "hook_errors": 0,
        "last_error": None,
        "pid": os.getpid(),
        "exact_peak": False,
    }
    assert recorder.heartbeat()
    assert not spool.parent.exists()


def test_every_kind_of_record_says_what_it_was_told(spool: Path, recorder: _core.Recorder) -> None:
    task_id = hash64(label_list(1, "broker", "default", "app.send"))
    recorder.describe(_core.MAIN, "celery", "broker", "default")
    handle = task(recorder)
    before = _core.clock_us()
    recorder.arrived(handle, "job-1", 0, before + 5_000_000)
    slot = recorder.started(handle, "job-1", 70_000, before)
    assert recorder.status()["running"] == 1
    recorder.finished(slot, _core.RETRIED, "ValueError", _core.RETRY_FOLLOWS)
    recorder.discarded(handle, "job-2", _core.EXPIRED)
    recorder.hinted("job-3", _core.TIMED_OUT, "Killed")
    recorder.gauge("broker", "default", 12, None, 3, None, 1_500_000)
    recorder.stopped()
    after = _core.clock_us()
    records = {record.kind: record for record in read_spool(spool) if record.kind != "DEF"}
    assert all(before <= record.at <= after for record in records.values())

    worker, arrive, start, end = (records[kind] for kind in ("WORKER", "ARRIVE", "START", "END"))
    assert (worker.flags, worker.pid, worker.parent, worker.worker) == (_core.MAIN, os.getpid(), os.getppid(), recorder.worker_key)
    assert recorder.worker_id == f"host-1:{os.getpid()}:{worker.start_ticks}"
    assert worker.identity == hash64(label_list(4, *recorder.worker_id.split(":")))
    assert (arrive.small, arrive.task, arrive.job, arrive.ready_at) == (0, task_id, job_hash("job-1"), before + 5_000_000)
    assert (start.small, start.task, start.job, start.ready_at, start.worker) == (65_535, task_id, job_hash("job-1"), before, worker.worker)
    assert (end.small, end.flags, end.key, end.worker) == (_core.RETRIED, _core.RETRY_FOLLOWS, start.key, worker.worker)
    assert end.exception == hash64(label_list(7, "ValueError"))
    assert 0 < end.cpu < 10**9
    assert 0 < end.runtime < 10**10
    assert 1_000 < end.rss_peak < 2**31
    discard, hint, gauge = records["DISCARD"], records["HINT"], records["GAUGE"]
    assert (discard.small, discard.task, discard.job) == (_core.EXPIRED, task_id, job_hash("job-2"))
    assert (hint.small, hint.job, hint.worker) == (_core.TIMED_OUT, job_hash("job-3"), worker.worker)
    assert hint.exception == hash64(label_list(7, "Killed"))
    assert (gauge.flags, gauge.queue) == (0b10101, hash64(label_list(2, "broker", "default")))
    assert (gauge.ready, gauge.scheduled, gauge.age) == (12, 3, 1_500_000)
    assert records["STOP"].worker == worker.worker
    assert recorder.status()["records"] == 7


def test_memory_is_read_as_often_as_told(spool: Path) -> None:
    never = _core.Recorder(str(spool), "host-1", memory_every=None)
    never.finished(never.started(task(never), "job", 0, NO_TIME), _core.SUCCEEDED, None, 0)
    [end] = of_kind(spool, "END")
    assert end.rss_peak == 2**32 - 1
    assert end.cpu != NO_U64
    assert _core.decode_heartbeat(never.heartbeat())["rss"] > 1 << 20
    each = _core.Recorder(str(spool.with_name("each")), "host-1", memory_every=0)
    slot = each.started(task(each), "job", 0, NO_TIME)
    taken = bytes([1]) * (64 << 20)
    each.finished(slot, _core.SUCCEEDED, None, 0)
    [end] = of_kind(spool.with_name("each"), "END")
    assert end.rss_change > len(taken) >> 11


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_no_number_of_seconds_for_memory_is_refused(spool: Path, value: float) -> None:
    with pytest.raises(ValueError, match="memory_every"):
        _core.Recorder(str(spool), "host-1", memory_every=value)


def test_a_verdict_is_an_end_of_the_drainer(spool: Path, recorder: _core.Recorder) -> None:
    assert recorder.verdict(5, _core.LOST, 0, 1_000, NO_U64, NO_U64, 2**32 - 1, -(2**31))
    (end,) = of_kind(spool, "END")
    assert (end.key, end.small, end.flags, end.at, end.worker) == (5, _core.LOST, 4, 1_000, recorder.worker_key)
    assert (end.runtime, end.cpu, end.rss_peak, end.rss_change) == (NO_U64, NO_U64, 2**32 - 1, -(2**31))


def test_the_spool_and_its_files_are_for_their_owner_only(spool: Path, recorder: _core.Recorder) -> None:
    mask = os.umask(0)
    try:
        run_once(recorder, task(recorder))
    finally:
        os.umask(mask)
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700
    assert sorted(path.suffix for path in spool.iterdir()) == [".id", ".seg", ".wrk"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in spool.iterdir()} == {0o600}
    assert len((spool / "spool.id").read_text()) == 32


def test_cpu_and_memory_that_cannot_be_attributed_are_unknown(spool: Path, recorder: _core.Recorder) -> None:
    first, second = (recorder.started(task(recorder, _core.CLOCK_NONE), "job", 0, NO_TIME) for _ in range(2))
    recorder.finished(first, _core.SUCCEEDED, None, 0)
    recorder.finished(second, _core.SUCCEEDED, None, 0)
    for end in of_kind(spool, "END"):
        assert (end.cpu, end.rss_peak, end.rss_change) == (NO_U64, 2**32 - 1, -(2**31))


def test_process_cpu_is_unknown_when_two_executions_overlap(spool: Path, recorder: _core.Recorder) -> None:
    slot = recorder.started(task(recorder), "outer", 0, NO_TIME)
    other = threading.Thread(target=lambda: run_once(recorder, task(recorder), "beside"))
    other.start()
    other.join()
    recorder.finished(slot, _core.SUCCEEDED, None, 0)
    assert [end.cpu for end in of_kind(spool, "END")] == [NO_U64, NO_U64]


def test_thread_cpu_is_unknown_when_another_thread_says_the_end(spool: Path, recorder: _core.Recorder) -> None:
    handle = task(recorder, _core.CLOCK_THREAD)
    slot = recorder.started(handle, "job", 0, NO_TIME)
    other = threading.Thread(target=recorder.finished, args=(slot, _core.SUCCEEDED, None, 0))
    other.start()
    other.join()
    run_once(recorder, handle)
    elsewhere, here = of_kind(spool, "END")
    assert elsewhere.cpu == NO_U64
    assert here.cpu < 10**9


def test_an_execution_inside_another_of_its_thread_is_part_of_it(spool: Path, recorder: _core.Recorder) -> None:
    handle = task(recorder)
    slot = recorder.started(handle, "outer", 0, NO_TIME)
    inner = recorder.started(handle, "inner", 0, NO_TIME)
    assert inner == -1
    recorder.finished(inner, _core.FAILED, None, 0)
    elsewhere = threading.Thread(target=lambda: run_once(recorder, handle, "other thread"))
    elsewhere.start()
    elsewhere.join()
    recorder.finished(slot, _core.SUCCEEDED, None, 0)
    recorder.finished(slot, _core.FAILED, None, 0)
    assert {record.job for record in of_kind(spool, "START")} == {job_hash("outer"), job_hash("other thread")}
    assert outcomes(read_spool(spool)) == {_core.SUCCEEDED: 2}


def test_two_recorders_in_one_thread_do_not_nest(tmp_path: Path) -> None:
    recorders = [_core.Recorder(str(tmp_path / name), "host") for name in "abcdef"]
    slots = [recorder.started(task(recorder), "job", 0, NO_TIME) for recorder in recorders]
    assert -1 not in slots
    for recorder, slot in zip(recorders, slots, strict=True):
        recorder.finished(slot, _core.SUCCEEDED, None, 0)
    assert [open_keys(read_spool(tmp_path / name)) for name in "abcdef"] == [set()] * 6


def test_4096_executions_run_at_once_and_one_more_is_counted(spool: Path, recorder: _core.Recorder) -> None:
    handle = task(recorder, _core.CLOCK_NONE)
    slots = [recorder.started(handle, number, 0, NO_TIME) for number in range(4_097)]
    assert slots[-1] == -1
    assert len(set(slots)) == 4_097
    assert recorder.status()["drops"] == {"overflow": 1}
    for slot in slots:
        recorder.finished(slot, _core.SUCCEEDED, None, 0)
    assert recorder.status()["running"] == 0
    assert open_keys(read_spool(spool)) == set()
    assert outcomes(read_spool(spool)) == {_core.SUCCEEDED: 4_096}


def test_threads_lose_nothing(spool: Path, recorder: _core.Recorder) -> None:
    def work(number: int) -> None:
        handle = task(recorder, _core.CLOCK_THREAD, f"task-{number}")
        for turn in range(1_000):
            run_once(recorder, handle, turn)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = whole(spool)
    assert open_keys(records) == set()
    assert outcomes(records) == {_core.SUCCEEDED: 8_000}
    assert recorder.status()["drops"] == {}


def test_what_a_process_uses_in_a_segment_is_defined_there_before(spool: Path, way: str) -> None:
    recorder = _core.Recorder(str(spool), "host", segment_bytes=8_192, journal=way)
    handles = [task(recorder, name=f"task-{number}") for number in range(3)]

    def work() -> None:
        for turn in range(100):
            slot = recorder.started(handles[turn % 3], turn, 0, NO_TIME)
            recorder.finished(slot, _core.FAILED, f"Error{turn % 2}", 0)

    work()
    assert in_child(work) == 0
    segments = list(spool.glob("*.seg"))
    assert len(segments) > 3
    for segment in segments:
        defined: set[int] = set()
        announced: set[int] = set()
        for record in read_segment(segment):
            match record.kind:
                case "DEF":
                    defined.add(record.id)
                case "WORKER":
                    assert record.identity in defined
                    announced.add(record.worker)
                case "START":
                    assert record.task in defined
                    assert record.worker in announced
                case "END":
                    assert record.exception in defined
    assert outcomes(read_spool(spool)) == {_core.FAILED: 200}


def test_a_forked_child_goes_on_in_its_parents_segment_as_a_worker_of_its_own(spool: Path, recorder: _core.Recorder) -> None:
    recorder.describe(_core.MAIN, "celery", "broker", "default")
    handle = task(recorder)
    outer = recorder.started(handle, "outer", 0, NO_TIME)

    def child() -> None:
        assert _core.decode_heartbeat(recorder.heartbeat())["running"] == 0
        recorder.finished(outer, _core.FAILED, None, 0)
        run_once(recorder, handle, "inner")
        grandchild = in_child(lambda: run_once(recorder, handle, "deep"))
        assert grandchild == 0
        assert _core.decode_heartbeat(recorder.heartbeat())["role"] == "child"

    key = recorder.worker_key
    assert in_child(child) == 0
    assert recorder.worker_key == key
    recorder.finished(outer, _core.SUCCEEDED, None, 0)
    assert len(list(spool.glob("*.seg"))) == 1
    assert len(list(spool.glob("*.wrk"))) == 3
    workers = of_kind(spool, "WORKER")
    assert [worker.flags for worker in workers] == [_core.MAIN, _core.CHILD, _core.CHILD]
    assert len({worker.worker for worker in workers}) == 3
    assert [worker.parent for worker in workers[1:]] == [worker.pid for worker in workers[:-1]]
    assert {start.job: start.worker for start in of_kind(spool, "START")} == {
        job_hash(name): worker.worker for name, worker in zip(("outer", "inner", "deep"), workers, strict=True)
    }
    assert outcomes(read_spool(spool)) == {_core.SUCCEEDED: 3}


def test_children_forked_beside_busy_threads_never_wait_for_a_lock_of_theirs(spool: Path, way: str) -> None:
    recorder = _core.Recorder(str(spool), "host", segment_bytes=8_192, journal=way)
    stop = threading.Event()

    def work(number: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            handle = task(recorder, _core.CLOCK_THREAD, f"task-{number}-{turn % 500}")
            slot = recorder.started(handle, turn, 0, NO_TIME)
            recorder.finished(slot, _core.FAILED, f"Error{turn % 500}", 0)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        statuses = [in_child(lambda: run_once(recorder, task(recorder, name="child"), "child")) for _ in range(40)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert statuses == [0] * 40
    records = whole(spool)
    assert open_keys(records) == set()
    assert outcomes(records)[_core.SUCCEEDED] == 40


def test_os_exit_leaves_a_start_that_somebody_else_must_close(spool: Path, recorder: _core.Recorder) -> None:
    def child() -> None:
        recorder.started(task(recorder), "job", 0, NO_TIME)
        os._exit(7)

    assert in_child(child) == 7
    assert len(open_keys(read_spool(spool))) == 1


def length(reader: int) -> int:
    """Bytes in a pipe until its end."""
    total = 0
    while chunk := os.read(reader, 4_096):
        total += len(chunk)
    return total


def test_writers_killed_at_random_leave_whole_records_only(tmp_path: Path, way: str) -> None:
    """220 children, 11 at a time on one shared segment, killed while they write."""
    interrupted = 0
    for round_number in range(20):
        spool = tmp_path / str(round_number)
        recorder = _core.Recorder(str(spool), "host", journal=way)
        handle = task(recorder)
        for _ in range(500):  # the first segment is too small for all
            run_once(recorder, handle)
        children = []
        for number in range(11):
            reader, writer = os.pipe()
            child = os.fork()
            if not child:
                for _ in range(300):
                    run_once(recorder, handle, number)
                    os.write(writer, b".")
                signal.pause()
            os.close(writer)
            children.append((child, reader))
        for child, reader in children:
            assert os.read(reader, 1)
            os.kill(child, signal.SIGKILL)
        ran = 500
        for child, reader in children:
            os.waitpid(child, 0)
            mine = 1 + length(reader)
            interrupted += mine < 300
            ran += mine
            os.close(reader)
        records = whole(spool, holes=len(children) if way == "map" else 0)
        lost = open_keys(records)
        workers = [record.worker for record in records if record.kind == "START" and record.key in lost]
        assert len(set(workers)) == len(workers)
        assert ran <= sum(outcomes(records).values()) <= ran + len(children)
        segments = [{record.worker for record in read_segment(path) if record.kind == "WORKER"} for path in spool.glob("*.seg")]
        assert max(map(len, segments)) == 12
    assert interrupted > 0


def test_the_page_of_a_worker_shows_its_running_job(spool: Path, recorder: _core.Recorder) -> None:
    recorder.describe(_core.CHILD, "huey", "broker", "default")
    handle = task(recorder)
    run_once(recorder, handle)

    def page() -> dict[str, object]:
        content = (spool / f"{recorder.worker_key:016x}.wrk").read_bytes()
        assert len(content) == 4_096
        assert content[:8] == b"QMWORKER"
        assert content[16] % 2 == 0
        return _core.decode_heartbeat(content[64 : 64 + int.from_bytes(content[12:16], "little")])

    assert page() | {"task": "", "job_id": ""} == page()
    assert page()["state"] == "idle"
    slot = recorder.started(handle, "é" * 400, 0, NO_TIME)
    shown = page()
    assert (shown["state"], shown["role"], shown["running"], shown["library"]) == ("busy", "child", 1, "huey")
    assert (shown["host"], shown["connection"], shown["queue"], shown["task"]) == ("host-1", "broker", "default", "app.send")
    assert "é" * 100 in str(shown["job_id"])
    assert (shown["worker_key"], shown["pid"], shown["finished"]) == (recorder.worker_key, os.getpid(), 1)
    recorder.finished(slot, _core.FAILED, "ValueError", 0)
    recorder.stopped()
    assert (page()["state"], page()["finished"], page()["failed"]) == ("stopped", 2, 1)


def test_the_heartbeat_has_what_the_kernel_says(recorder: _core.Recorder) -> None:
    first = _core.decode_heartbeat(recorder.heartbeat())
    assert first["state"] == "starting"
    assert first["job_started"] is None
    assert first["process_started"] <= first["written"] <= _core.clock_us()
    assert 10**6 < first["rss"] <= first["rss_peak"]
    assert first["cpu"] > 0
    slot = recorder.started(task(recorder), "job", 0, NO_TIME)
    busy = _core.decode_heartbeat(recorder.heartbeat())
    assert busy["state"] == "busy"
    assert first["written"] <= busy["job_started"] <= busy["written"]
    recorder.finished(slot, _core.SUCCEEDED, None, 0)
    done = _core.decode_heartbeat(recorder.heartbeat())
    assert (done["state"], done["running"], done["finished"], done["failed"]) == ("idle", 0, 1, 0)
    assert done["busy"] > 0
    assert done["idle"] > 0
