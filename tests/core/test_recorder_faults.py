"""What the write side does when the disk, the spool or the program around it misbehaves: jobs run on, drops are counted."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import queue_metrics
from queue_metrics import _core
from tests.core.writing import in_child, of_kind, open_keys, outcomes, run_once, until, whole
from tests.support.journal_oracle import NO_TIME, hash64, job_hash, label_list, read_spool
from tests.support.patience import PATIENCE


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def recorder(spool: Path, way: str) -> _core.Recorder:
    return _core.Recorder(str(spool), "host", journal=way)


def task(recorder: _core.Recorder) -> int:
    return recorder.series("broker", "default", "task", _core.CLOCK_PROCESS)


@pytest.mark.parametrize("limit", [1_024, 64])
def test_a_task_that_closes_all_descriptors_loses_nothing_and_no_file_of_its_own_is_written(
    tmp_path: Path, spool: Path, recorder: _core.Recorder, limit: int, way: str
) -> None:
    """With the usual limit our numbers are out of reach; with a low one the kernel is asked whose file a number is. A map needs none."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")

    def child() -> None:
        os.closerange(3, 65_536)  # what other tests left open would count against the limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        handle = task(recorder)
        run_once(recorder, handle, "before")
        slot = recorder.started(handle, "job", 0, NO_TIME)
        os.closerange(3, 65_536)
        files = [os.open(victim, os.O_WRONLY | os.O_APPEND) for _ in range(40)]
        recorder.finished(slot, _core.SUCCEEDED, None, 0)
        run_once(recorder, handle, "after")
        for file in files:
            os.close(file)
        assert recorder.status()["drops"] == {}

    assert in_child(child) == 0
    assert victim.read_bytes() == b"mine"
    assert len(list(spool.glob("*.seg"))) == (2 if way == "write" else 1)
    records = whole(spool)
    assert open_keys(records) == set()
    assert {record.job for record in records if record.kind == "START"} == {job_hash("before"), job_hash("job"), job_hash("after")}
    assert of_kind(spool, "END")[-1].rss_peak < 2**31


def test_two_recorders_whose_descriptors_were_closed_never_write_into_each_others_segment(tmp_path: Path, way: str) -> None:
    recorders = [_core.Recorder(str(tmp_path / name), "host", journal=way) for name in "ab"]

    def child() -> None:
        for turn in range(3):
            for recorder in recorders if turn % 2 else reversed(recorders):
                run_once(recorder, task(recorder))
            os.closerange(3, 65_536)

    assert in_child(child) == 0
    for name in "ab":
        assert outcomes(whole(tmp_path / name)) == {_core.SUCCEEDED: 3}


def test_a_task_that_changes_directory_still_writes_to_the_same_spool(tmp_path: Path) -> None:
    def child() -> None:
        os.chdir(tmp_path)
        recorder = _core.Recorder("relative/spool", "host")
        os.chdir("/")
        run_once(recorder, task(recorder))

    assert in_child(child) == 0
    assert outcomes(read_spool(tmp_path / "relative" / "spool")) == {_core.SUCCEEDED: 1}


def test_a_spool_that_was_deleted_is_made_again(spool: Path, recorder: _core.Recorder) -> None:
    handle = task(recorder)
    run_once(recorder, handle)
    shutil.rmtree(spool)

    def is_there_again() -> bool:
        run_once(recorder, handle)
        return spool.exists()

    until(is_there_again)
    for _ in range(20):
        run_once(recorder, handle)
    assert outcomes(whole(spool))[_core.SUCCEEDED] >= 20
    assert (spool / f"{recorder.worker_key:016x}.wrk").exists()
    assert (spool / "spool.id").exists()
    assert recorder.status()["drops"] == {}


def test_a_file_in_the_place_of_the_spool_drops_records_until_it_is_gone(spool: Path, recorder: _core.Recorder) -> None:
    spool.write_bytes(b"")
    handle = task(recorder)
    for _ in range(3):
        run_once(recorder, handle)
    recorder.arrived(handle, "job", 0, NO_TIME)
    status = recorder.status()
    assert status["drops"] == {"not_writable": 7}
    assert str(spool) in status["last_error"]
    assert _core.decode_heartbeat(recorder.heartbeat())["finished"] == 3
    spool.unlink()

    def is_written() -> bool:
        recorder.arrived(handle, "job", 0, NO_TIME)
        return spool.exists()

    until(is_written)
    run_once(recorder, handle)
    assert open_keys(read_spool(spool)) == set()
    page = (spool / f"{recorder.worker_key:016x}.wrk").read_bytes()
    dropped = recorder.status()["drops"]["not_writable"]
    assert int.from_bytes(page[3_584 + 16 : 3_584 + 24], "little") == dropped >= 7


def test_the_main_process_sees_what_its_children_dropped(spool: Path, recorder: _core.Recorder) -> None:
    spool.write_bytes(b"")
    assert in_child(lambda: run_once(recorder, task(recorder))) == 0
    assert in_child(recorder.hook_error) == 0
    assert recorder.status()["drops"] == {"not_writable": 2}
    assert recorder.status()["hook_errors"] == 1


@pytest.mark.parametrize("wrong", ["link", "owner"])
def test_a_spool_of_somebody_else_is_not_written(tmp_path: Path, spool: Path, recorder: _core.Recorder, wrong: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if wrong == "link":
        spool.symlink_to(elsewhere)
    else:
        spool.mkdir()
        if os.geteuid() == 0:
            os.chown(spool, 12_345, 12_345)
        else:
            spool.chmod(0o500)
    run_once(recorder, task(recorder))
    assert recorder.status()["drops"] == {"not_writable": 2}
    assert list(elsewhere.iterdir()) == []
    assert list(spool.iterdir()) == []


def test_a_limit_of_file_sizes_makes_more_segments_and_loses_nothing(spool: Path, recorder: _core.Recorder) -> None:
    def child() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_010, 10_010))
        handle = task(recorder)
        for turn in range(300):
            run_once(recorder, handle, turn)
        assert recorder.status()["drops"] == {}

    assert in_child(child) == 0
    assert open_keys(read_spool(spool)) == set()
    assert outcomes(read_spool(spool)) == {_core.SUCCEEDED: 300}


def test_a_limit_below_a_header_drops_all_and_leaves_no_litter(spool: Path, recorder: _core.Recorder) -> None:
    def child() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
        run_once(recorder, task(recorder))
        assert recorder.status()["drops"] == {"disk_full": 2}

    assert in_child(child) == 0
    assert [path.name for path in spool.iterdir()] == ["spool.id"]


FULL_DISK = """
import os, sys
from queue_metrics import _core
recorder = _core.Recorder(sys.argv[1] + "/spool", "host")
handle = recorder.series("broker", "default", "task", _core.CLOCK_PROCESS)
def run():
    recorder.finished(recorder.started(handle, "job", 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)
run()
ballast = os.open(sys.argv[1] + "/ballast", os.O_WRONLY | os.O_CREAT)
try:
    while os.write(ballast, bytes(4096)):
        pass
except OSError:
    pass
for _ in range(5_000):
    run()
drops = recorder.status()["drops"]
assert set(drops) == {"disk_full"}, drops
os.truncate(sys.argv[1] + "/ballast", 0)
records = recorder.status()["records"]
while recorder.status()["records"] < records + 10:
    run()
print("written again")
"""


def test_a_full_disk_drops_records_and_kills_nobody(tmp_path: Path) -> None:
    """A file system of 400 KiB in a mount namespace of its own, which root and unprivileged users may have."""
    package = str(Path(queue_metrics.__file__).parent.parent)
    mounted = 'mount -t tmpfs -o size=400k none "$1" && exec "$0" -c "$2" "$1"'
    ran = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted, sys.executable, str(tmp_path), FULL_DISK],
        env=os.environ | {"PYTHONPATH": package},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "written again\n"), ran.stderr


def test_a_full_spool_drops_records_until_there_is_room(spool: Path, way: str) -> None:
    recorder = _core.Recorder(str(spool), "host", segment_bytes=16_384, spool_bytes=40_000, journal=way)
    handle = task(recorder)
    for _ in range(1_000):
        run_once(recorder, handle)
    status = recorder.status()
    assert set(status["drops"]) == {"spool_full"}
    assert sum(path.stat().st_size for path in spool.glob("*.seg")) <= 40_000
    written, dropped = len(of_kind(spool, "START")) + len(of_kind(spool, "END")), status["drops"]["spool_full"]
    assert written + dropped == 2_000
    for segment in spool.glob("*.seg"):
        segment.unlink()

    def is_written() -> bool:
        run_once(recorder, handle)
        return any(spool.glob("*.seg"))

    until(is_written)


def test_hostile_names_are_stored_as_the_format_says(spool: Path, recorder: _core.Recorder) -> None:
    names = ["", "a:b/{c}", "line\nbreak", '"quotes"', "nul\0byte", "lone\ud800surrogate\udfff", "é" * 5_000, "x" * 10_000, "x" * 20_000]
    for name in names:
        run_once(recorder, recorder.series(name, name, name, _core.CLOCK_PROCESS), name)
    recorder.gauge("\ud800", "\0", 1, None, None, None, None)
    parts: dict[int, dict[int, bytes]] = {}
    for record in of_kind(spool, "DEF"):
        parts.setdefault(record.id, {})[record.small] = record.part[: record.length - 44 * record.small]
    lists = {key: b"".join(part for _, part in sorted(found.items())) for key, found in parts.items()}
    assert all(hash64(content) == key for key, content in lists.items())
    replaced = [name.replace("\0", "�").replace("\ud800", "�").replace("\udfff", "�") for name in names]
    replaced[-1] = "x" * (16_384 - 17) + f"~{hash64(b'x' * 20_000):016x}"
    stored = {start.job: lists[start.task] for start in of_kind(spool, "START")}
    jobs = [name.replace("\ud800", "�").replace("\udfff", "�") for name in names]
    assert stored == {job_hash(job): label_list(1, *[name] * 3) for job, name in zip(jobs, replaced, strict=True)}
    (gauge,) = of_kind(spool, "GAUGE")
    assert lists[gauge.queue] == label_list(2, "�", "�")
    assert recorder.status()["hook_errors"] == 0


def test_job_ids_are_of_any_type(spool: Path, recorder: _core.Recorder) -> None:
    class Broken:
        def __str__(self) -> str:
            raise ValueError("no text")

    handle = task(recorder)
    ids: list[object] = ["text", 17, None, ("a", 1), b"bytes", 2.5, 10**40, "\ud800", Broken()]
    for job_id in ids:
        run_once(recorder, handle, job_id)
    assert [start.job for start in of_kind(spool, "START")] == [
        job_hash(text) for text in ["text", "17", "None", "('a', 1)", "b'bytes'", "2.5", str(10**40), "�", "<unprintable Broken>"]
    ]
    assert recorder.status()["hook_errors"] == 1


def test_wrong_numbers_never_raise(spool: Path, recorder: _core.Recorder) -> None:
    handle = task(recorder)
    assert recorder.started(-1, "job", 0, NO_TIME) == -1
    assert recorder.started(99, "job", 0, NO_TIME) == -1
    recorder.arrived(handle, "job", -5, 10**30)
    recorder.finished(123_456_789, _core.SUCCEEDED, None, 0)
    recorder.finished(recorder.started(handle, "job", 0, NO_TIME), 77, None, 0)
    recorder.discarded(handle, "job", -1)
    recorder.hinted("job", 0, None)
    recorder.describe(9, "", "", "")
    recorder.gauge("a", "b", -1, 2**70, None, None, 0)
    kinds = [(record.kind, record.small) for record in read_spool(spool) if record.kind not in ("DEF", "WORKER")]
    assert kinds == [("ARRIVE", 0), ("START", 0), ("END", _core.FAILED), ("GAUGE", 0)]
    assert of_kind(spool, "ARRIVE")[0].ready_at == 2**63 - 1
    assert recorder.status()["drops"] == {"too_many_names": 1}
    assert recorder.status()["hook_errors"] == 6


def test_too_many_tasks_are_counted_and_the_known_ones_go_on(spool: Path, recorder: _core.Recorder) -> None:
    first = task(recorder)
    handles = [recorder.series("broker", "default", str(number), _core.CLOCK_NONE) for number in range(65_536)]
    assert handles[-1] == -1
    assert handles.count(-1) == 1
    run_once(recorder, handles[-1])
    slot = recorder.started(first, "job", 0, NO_TIME)
    recorder.finished(slot, _core.FAILED, "NeverSeenBefore", 0)
    (end,) = of_kind(spool, "END")
    assert end.exception == hash64(label_list(7, "NeverSeenBefore"))
    assert end.exception in {record.id for record in of_kind(spool, "DEF")}
    assert recorder.status()["drops"] == {"too_many_names": 1}
