"""What others do to the file of a map never reaches the job: the process lives, and records go elsewhere."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.recording.runtime import Runtime
from tests.core.writing import in_child, of_kind, run_once, until
from tests.recording.tools import settings_for
from tests.support.journal_oracle import read_segment, read_spool
from tests.support.patience import PATIENCE

WORKER = """
import faulthandler, sys
from queue_metrics import _core
spool, wish = sys.argv[1:3]
if wish == "before":
    faulthandler.enable()
recorder = _core.Recorder(spool, "host", journal="map")
handle = recorder.series("broker", "default", "task", _core.CLOCK_PROCESS)

def run(job):
    recorder.finished(recorder.started(handle, job, 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)

run("first")
if wish == "after":
    faulthandler.enable()
assert recorder.status()["way"] == "map", recorder.status()
print("ready", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        run("more")
    print(recorder.status()["drops"], flush=True)
print(recorder.status()["way"])
"""


class Worker:
    """A process of its own that runs jobs when it is told."""

    def __init__(self, spool: Path, faulthandler: str = "never") -> None:
        words = [sys.executable, "-c", WORKER, str(spool), faulthandler]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.line() == "ready"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def run(self, jobs: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{jobs}\n")
        self.process.stdin.flush()
        assert self.line() == "{}", self.process.stderr.read() if self.process.stderr is not None else ""

    def end(self) -> str:
        out, err = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, err
        return out.strip()


def cut_to_nothing(spool: Path) -> None:
    for path in (*spool.glob("*.seg"), *spool.glob("*.wrk")):
        os.truncate(path, 0)


def cut_to_a_page(spool: Path) -> None:
    for path in spool.glob("*.seg"):
        os.truncate(path, 4096)


def cut_and_grown(spool: Path) -> None:
    for path in spool.glob("*.seg"):
        size = path.stat().st_size
        os.truncate(path, 0)
        os.truncate(path, size)


def grown(spool: Path) -> None:
    for path in spool.glob("*.seg"):
        os.truncate(path, path.stat().st_size + 100_000)


def replaced(spool: Path) -> None:
    for path in spool.glob("*.seg"):
        copy = path.with_suffix(".copy")
        shutil.copy(path, copy)
        copy.rename(path)


def delete(spool: Path) -> None:
    for path in spool.glob("*.seg"):
        path.unlink()


def move(spool: Path) -> None:
    for path in spool.glob("*.seg"):
        path.rename(path.with_suffix(".moved"))


def remove_everything(spool: Path) -> None:
    shutil.rmtree(spool, ignore_errors=True)


@pytest.mark.parametrize("trouble", [cut_to_nothing, cut_to_a_page, cut_and_grown, grown, replaced, delete, move, remove_everything])
def test_what_another_process_does_to_the_files_costs_a_second_of_records_at_most(tmp_path: Path, trouble: Callable[[Path], None]) -> None:
    spool = tmp_path / "spool"
    worker = Worker(spool)
    for _ in range(3):
        worker.run(100)
        trouble(spool)
        worker.run(10)

    def is_recorded_again() -> bool:
        worker.run(1)
        return bool(of_kind(spool, "END"))

    until(is_recorded_again)
    time.sleep(1.1)  # by then it has looked at the file, whose time this is
    worker.run(1)
    before = len(of_kind(spool, "END"))
    worker.run(200)
    assert len(of_kind(spool, "END")) == before + 200
    assert worker.end() in ("map", "write")


@pytest.mark.parametrize("faulthandler", ["never", "before", "after"])
def test_a_cut_file_kills_nobody_with_faulthandler_below_or_above_our_handler(tmp_path: Path, faulthandler: str) -> None:
    worker = Worker(tmp_path, faulthandler)
    cut_to_nothing(tmp_path)
    worker.run(50)
    assert len(of_kind(tmp_path, "END")) == 50
    worker.end()


SIGNALLED = """
import os, signal, sys, time
from queue_metrics import _core

before, after = sys.argv[2:4]
seen = []
choices = {"default": signal.SIG_DFL, "ignored": signal.SIG_IGN, "handled": lambda number, frame: seen.append(number)}
signal.signal(signal.SIGBUS, choices[before])
recorder = _core.Recorder(sys.argv[1], "host", journal="map")
handle = recorder.series("b", "q", "t", _core.CLOCK_PROCESS)

def run():
    recorder.finished(recorder.started(handle, "job", 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)

run()
assert recorder.status()["way"] == "map", recorder.status()
if after:
    signal.signal(signal.SIGBUS, choices[after])
    time.sleep(1.1)
    run()
    assert recorder.status()["way"] == "write", recorder.status()
    assert "SIGBUS" in recorder.status()["way_reason"], recorder.status()
    assert signal.getsignal(signal.SIGBUS) == choices[after]
os.kill(os.getpid(), signal.SIGBUS)
assert len(seen) == (before == "handled")
run()
"""


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("default", "", -signal.SIGBUS),
        ("ignored", "", 0),
        ("handled", "", 0),
        ("default", "ignored", 0),
        ("ignored", "default", -signal.SIGBUS),
    ],
)
def test_a_signal_that_is_not_ours_goes_where_it_went_before(tmp_path: Path, before: str, after: str, code: int) -> None:
    """And what a program sets later stands; then nothing is mapped any more."""
    done = subprocess.run([sys.executable, "-c", SIGNALLED, str(tmp_path), before, after], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr


def test_children_share_a_segment_that_is_changed_before_a_fork_and_make_none(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, journal="map")
    runtime = Runtime(settings)
    handle = runtime.recorder.series("b", "q", "t", _core.CLOCK_PROCESS)

    def twenty() -> None:
        for _ in range(20):
            run_once(runtime.recorder, handle)

    run_once(runtime.recorder, handle)
    for _ in range(60):
        assert in_child(twenty) == 0
    segments = list(settings.spool.glob("*.seg"))
    makers = {path: int.from_bytes(path.read_bytes()[72:76], "little") for path in segments}
    assert set(makers.values()) == {os.getpid()}
    assert len(segments) == 2, "the first, of 960 records, and one of 1 MiB"
    assert len(of_kind(settings.spool, "END")) == 1_201
    assert max(len(list(read_segment(path))) for path in segments) < 2_500
    assert read_spool(settings.spool)


def test_the_way_can_be_chosen_and_the_reason_is_told(tmp_path: Path) -> None:
    def status(wish: str) -> dict[str, object]:
        recorder = _core.Recorder(str(tmp_path / wish), "host", journal=wish)
        run_once(recorder, recorder.series("b", "q", "t", _core.CLOCK_PROCESS))
        return recorder.status()

    assert [status("write")[name] for name in ("way", "way_reason")] == ["write", "configured"]
    assert [status("map")[name] for name in ("way", "way_reason")] == ["map", "configured"]
    found = status("auto")
    assert (found["way"], found["way_reason"]) == _core.journal_way(_core.file_system(str(tmp_path)), "auto")
    assert _core.journal_way("tmpfs", "auto")[0] == "map"
    assert _core.journal_way("overlay", "auto")[0] == "write"
    with pytest.raises(ValueError, match=r"auto, write or map, not .mmap"):
        _core.Recorder(str(tmp_path), "host", journal="mmap")
    with pytest.raises(ValueError, match="auto, write or map"):
        _core.journal_way("ext4", "")
