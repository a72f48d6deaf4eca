"""What others do to the file of a worker's page: the process lives, and a second later the page is there again, or nothing maps it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from queue_metrics import _core
from tests.core.writing import of_kind, run_once
from tests.support.patience import PATIENCE


def empty(page: Path) -> None:
    os.truncate(page, 0)


def half(page: Path) -> None:
    os.truncate(page, 100)


def empty_and_grown(page: Path) -> None:
    os.truncate(page, 0)
    os.truncate(page, 4096)


def delete(page: Path) -> None:
    page.unlink()


def replace(page: Path) -> None:
    other = page.with_suffix(".other")
    other.write_bytes(b"?" * 4096)
    other.rename(page)


def put_a_directory(page: Path) -> None:
    page.unlink()
    page.mkdir()


def worker(spool: Path, way: str) -> tuple[_core.Recorder, int, Path]:
    """A recorder that was told of an error of a hook, and its page."""
    recorder = _core.Recorder(str(spool), "host", journal=way)
    handle = recorder.series("broker", "default", "task", _core.CLOCK_NONE)
    run_once(recorder, handle)
    recorder.hook_error()
    return recorder, handle, spool / f"{recorder.worker_key:016x}.wrk"


def shown(spool: Path) -> list[int]:
    """Executions finished, by each page that can be read."""
    beats = _core.Drainer(str(spool)).heartbeats(_core.clock_us())
    return [_core.decode_heartbeat(beat)["finished"] for _, beat in beats]


@pytest.mark.parametrize("trouble", [empty, half, empty_and_grown, delete, replace])
def test_a_page_that_somebody_spoiled_is_there_again_after_a_second(tmp_path: Path, way: str, trouble: Callable[[Path], None]) -> None:
    recorder, handle, page = worker(tmp_path, way)
    trouble(page)
    for _ in range(5):
        run_once(recorder, handle)
    time.sleep(1.1)  # a job looks at the file when the last look is so old
    for _ in range(2):
        run_once(recorder, handle)
    assert shown(tmp_path) == [8]
    assert len(of_kind(tmp_path, "END")) == 8
    recorder.hook_error()
    assert recorder.status()["hook_errors"] in (1, 2), "what stood in a page that was emptied is gone with it"
    page.unlink()


def test_a_page_whose_place_is_taken_costs_no_record_and_counts_on(tmp_path: Path, way: str) -> None:
    recorder, handle, page = worker(tmp_path, way)
    put_a_directory(page)
    time.sleep(1.1)
    for _ in range(5):
        run_once(recorder, handle)
    recorder.hook_error()
    assert shown(tmp_path) == []
    assert len(of_kind(tmp_path, "END")) == 6
    assert (recorder.status()["hook_errors"], recorder.status()["drops"]) == (2, {})


TAKEN_OVER = """
import os, signal, sys, time
from pathlib import Path
from queue_metrics import _core

spool = Path(sys.argv[1])
recorder = _core.Recorder(str(spool), "host", journal=sys.argv[2])
handle = recorder.series("b", "q", "t", _core.CLOCK_NONE)

def run():
    recorder.finished(recorder.started(handle, "job", 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)

run()
recorder.hook_error()
(page,) = spool.glob("*.wrk")
kept = os.open(page, os.O_RDWR)
signal.signal(signal.SIGBUS, signal.SIG_DFL)
time.sleep(1.1)
for _ in range(2):
    run()
os.ftruncate(kept, 0)
for _ in range(3):
    run()
recorder.hook_error()
recorder.stopped()
assert recorder.status()["hook_errors"] == 2, recorder.status()
assert recorder.status()["drops"] == {}, recorder.status()
assert not page.exists()
"""


def test_without_a_guard_no_page_is_mapped(tmp_path: Path, way: str) -> None:
    """A program that takes SIGBUS over is cut a second later: nothing of ours is mapped any more, and the heartbeat goes another way."""
    done = subprocess.run([sys.executable, "-c", TAKEN_OVER, str(tmp_path), way], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert len(of_kind(tmp_path, "END")) == 6


FULL = """
import os, sys
from pathlib import Path
from queue_metrics import _core

spool, way = Path(sys.argv[1]) / "spool", sys.argv[2]
recorder = _core.Recorder(str(spool), "host", journal=way, segment_bytes=16384)
handle = recorder.series("b", "q", "t", _core.CLOCK_NONE)

def run(count):
    for _ in range(count):
        recorder.finished(recorder.started(handle, "job", 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)

run(1)
assert recorder.status()["way"] == way, recorder.status()
ballast = os.open(Path(sys.argv[1]) / "ballast", os.O_WRONLY | os.O_CREAT)
try:
    while os.write(ballast, bytes(4096)):
        pass
except OSError:
    pass
run(1000)
drops = recorder.status()["drops"]
assert set(drops) == {"disk_full"}, drops
page = (spool / f"{recorder.worker_key:016x}.wrk").read_bytes()
assert int.from_bytes(page[3584:3592], "little") == drops["disk_full"]
(beat,) = _core.Drainer(str(spool)).heartbeats(_core.clock_us())
assert _core.decode_heartbeat(beat[1])["finished"] == 1001
"""


def test_on_a_full_disk_a_page_goes_on_since_its_room_was_given_to_it(tmp_path: Path, way: str) -> None:
    """A file system of 200 KiB in a mount namespace of its own, which root and unprivileged users may have."""
    package = str(Path(_core.__file__).parent.parent)
    mounted = 'mount -t tmpfs -o size=200k,mode=700 none "$1" && exec "$0" -c "$2" "$1" "$3"'
    words = ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted, sys.executable, str(tmp_path), FULL, way]
    environment = os.environ | {"PYTHONPATH": package}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
