"""Programs that fork in C: Python's hooks are not called, and yet children share the segment of their parent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.core.writing import of_kind, open_keys
from tests.support.journal_oracle import read_spool
from tests.support.patience import PATIENCE

FORKER = """
import ctypes, os, sys, threading
from queue_metrics import _core

spool, before, children, jobs, threads = sys.argv[1], *map(int, sys.argv[2:])
fork = ctypes.PyDLL(None).fork  # the call of the C library; the interpreter lock stays held, as a server in C holds it
recorder = _core.Recorder(spool, "host", journal="map", segment_bytes=1 << 18)
handle = recorder.series("broker", "default", "task", _core.CLOCK_NONE)
seen = []
os.register_at_fork(before=lambda: seen.append("a fork that Python saw"))

def run(count):
    for number in range(count):
        recorder.finished(recorder.started(handle, f"{os.getpid()} {number}", 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)

run(before)
writers = [threading.Thread(target=run, args=(before,)) for _ in range(threads)]
for writer in writers:
    writer.start()
alive = []
for _ in range(children):
    child = fork()
    if not child:
        run(jobs)
        os._exit(recorder.status()["drops"] != {})
    alive.append(child)
    if threads:
        assert os.waitpid(alive.pop(), 0)[1] == 0
for child in alive:
    assert os.waitpid(child, 0)[1] == 0
for writer in writers:
    writer.join()
assert recorder.status()["drops"] == {}, recorder.status()
assert not seen, seen
print(os.getpid())
"""


def forked(spool: Path, *numbers: int) -> int:
    """Runs it; the pid of the parent."""
    words = [sys.executable, "-c", FORKER, str(spool), *map(str, numbers)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def makers(spool: Path) -> list[int]:
    """Pids of the processes that made the segments."""
    return [int.from_bytes(path.read_bytes()[72:76], "little") for path in spool.glob("*.seg")]


@pytest.mark.parametrize(("before", "segments"), [(5, 1), (300, 2)])
def test_a_pool_of_twenty_that_was_forked_in_c_makes_no_segment(tmp_path: Path, before: int, segments: int) -> None:
    """With a segment more than half full the parent changes to a new one as the first of them is forked."""
    parent = forked(tmp_path, before, 20, 8, 0)
    assert makers(tmp_path) == [parent] * segments
    records = read_spool(tmp_path)
    assert open_keys(records) == set()
    assert len(of_kind(tmp_path, "END")) == before + 20 * 8
    workers = {record.worker for record in records if record.kind == "WORKER"}
    assert len(workers) == 21
    assert {record.worker for record in records if record.kind == "START"} == workers


def test_children_forked_in_c_beside_busy_threads_lose_and_double_nothing(tmp_path: Path) -> None:
    """And whoever meets the end of the shared segment goes on in one of its own."""
    forked(tmp_path, 2_000, 20, 500, 2)
    assert open_keys(read_spool(tmp_path)) == set()
    assert len(of_kind(tmp_path, "END")) == 3 * 2_000 + 20 * 500
