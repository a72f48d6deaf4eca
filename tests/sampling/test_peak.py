"""Peak and change of memory answer two questions; the true peak is seen by those who ask for it."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from queue_metrics import _core
from tests.core.writing import in_child, of_kind
from tests.support.patience import PATIENCE

MIB = 1 << 20
KIB_OF_200_MB = 200 << 10


def take(megabytes: int) -> None:
    """Take memory, touch it and give it back."""
    assert len(bytearray(b"x") * (megabytes * MIB)) == megabytes * MIB


def record(recorder: _core.Recorder, job: Callable[[], object]) -> None:
    handle = recorder.series("broker", "default", "app.job", _core.CLOCK_PROCESS)
    slot = recorder.started(handle, "job", 0, _core.NO_TIME)
    job()
    recorder.finished(slot, _core.SUCCEEDED, None, 0)


def resident_kib() -> int:
    rss = _core.ProcessSampler().hot().rss_bytes
    assert rss is not None
    return rss >> 10


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.mark.parametrize("exact", [False, True])
def test_l4_a_job_that_sleeps_has_the_peak_of_its_process_and_no_increment(spool: Path, exact: bool) -> None:
    """L4: an increment was taken for what a worker costs, and 165 of them were put where 20 fit."""

    def child() -> None:
        recorder = _core.Recorder(str(spool), "host-1", memory_every=0, exact_peak=exact)
        record(recorder, lambda: None)
        record(recorder, lambda: time.sleep(0.05))

    assert in_child(child) == 0
    end = of_kind(spool, "END")[1]
    assert end.rss_peak == pytest.approx(resident_kib(), rel=0.5)
    assert abs(end.rss_change) < 4 << 10


@pytest.mark.parametrize("exact", [False, True])
def test_l4_a_job_that_keeps_200_mb_has_an_increment_of_200_mb(spool: Path, exact: bool) -> None:
    kept: list[bytearray] = []

    def child() -> None:
        recorder = _core.Recorder(str(spool), "host-1", memory_every=0, exact_peak=exact)
        record(recorder, lambda: kept.append(bytearray(b"x") * (200 * MIB)))

    assert in_child(child) == 0
    end = of_kind(spool, "END")[0]
    assert end.rss_change == pytest.approx(KIB_OF_200_MB, rel=0.05)
    assert end.rss_peak > KIB_OF_200_MB


def test_l5_200_mb_taken_and_given_back_inside_a_job_are_seen_when_asked_for(spool: Path, tmp_path: Path) -> None:
    """L5: the larger of two samples was called the peak, so what came and went in between was never seen."""

    def child(exact: bool, where: Path) -> None:
        recorder = _core.Recorder(str(where), "host-1", memory_every=0, exact_peak=exact)
        for megabytes in (0, 200, 0):
            record(recorder, partial(take, megabytes))
        assert recorder.status()["exact_peak"] is exact

    assert in_child(lambda: child(True, spool)) == 0
    idle, large, after = of_kind(spool, "END")
    assert large.rss_peak > idle.rss_peak + KIB_OF_200_MB * 0.95
    assert abs(large.rss_change) < 16 << 10
    assert after.rss_peak < large.rss_peak - KIB_OF_200_MB * 0.9, "the next job does not inherit it"
    other = tmp_path / "two-readings"
    assert in_child(lambda: child(False, other)) == 0
    assert all(end.rss_peak < idle.rss_peak + KIB_OF_200_MB * 0.5 for end in of_kind(other, "END"))


def test_l5_also_in_a_small_process_that_a_large_one_executed(tmp_path: Path) -> None:
    """There `ru_maxrss` never falls below what the large one held, and only the printed mark tells."""
    program = """
import json, sys
from tests.sampling.test_peak import measured
held = bytearray(b"x") * (300 << 20)
print(json.dumps(measured(sys.argv[1])))
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=PATIENCE)
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["ru_maxrss"] > 300 << 10, "the mark of the small process is stuck where the large one was"
    assert 90 << 10 < found["peak"] < 250 << 10
    assert found["idle"] < 90 << 10


def measured(directory: str) -> dict[str, Any]:
    """What a small process says, started by this one in the way that shares its memory until it is executed."""
    program = """
import json, resource, sys
from pathlib import Path
from queue_metrics import _core
from tests.core.writing import of_kind
from tests.sampling.test_peak import record, take
recorder = _core.Recorder(sys.argv[1], "host-1", memory_every=0, exact_peak=True)
record(recorder, lambda: None)
record(recorder, lambda: take(90))
idle, end = of_kind(Path(sys.argv[1]), "END")
print(json.dumps({"idle": idle.rss_peak, "peak": end.rss_peak, "ru_maxrss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""
    spool = str(Path(directory) / "spool")
    done = subprocess.run([sys.executable, "-c", program, spool], capture_output=True, text=True, check=True, timeout=PATIENCE)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_heartbeat_tells_the_peak_of_the_life_of_the_process(spool: Path) -> None:
    def child() -> None:
        recorder = _core.Recorder(str(spool), "host-1", memory_every=0, exact_peak=True)
        base = resident_kib() * 1024  # the process of the whole suite is large
        record(recorder, lambda: take(200))
        record(recorder, lambda: None)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < base + 100 * MIB, "the mark was reset"
        assert _core.decode_heartbeat(recorder.heartbeat())["rss_peak"] > base + 190 * MIB

    assert in_child(child) == 0


def test_a_refusal_leaves_the_mark_alone_and_is_inherited(spool: Path) -> None:
    recorder = _core.Recorder(str(spool), "host-1", memory_every=0, exact_peak=True)
    recorder.refuse_exact_peak("a limit reads it")

    def child() -> None:
        base = resident_kib() * 1024  # the process of the whole suite is large
        take(200)
        record(recorder, lambda: None)
        assert recorder.status()["exact_peak"] == "a limit reads it"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > base + 190 * MIB
        assert of_kind(spool, "END")[0].rss_peak * 1024 < base + 100 * MIB

    assert in_child(child) == 0


def test_executions_that_run_beside_each_other_leave_the_mark_alone(spool: Path) -> None:
    def child() -> None:
        recorder = _core.Recorder(str(spool), "host-1", memory_every=0, exact_peak=True)
        handle = recorder.series("broker", "default", "app.job", _core.CLOCK_PROCESS)
        slot = recorder.started(handle, "long", 0, _core.NO_TIME)
        take(200)
        beside = threading.Thread(target=lambda: record(recorder, lambda: None))
        beside.start()
        beside.join()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > KIB_OF_200_MB
        recorder.finished(slot, _core.SUCCEEDED, None, 0)

    assert in_child(child) == 0
    assert all(end.rss_peak == 0xFFFFFFFF for end in of_kind(spool, "END")), "memory of neither can be told"
