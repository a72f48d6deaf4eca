"""CPU time is a difference of the kernel's counters in its units. Busy is measured by the busy one's own clock, so load changes nothing."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from queue_metrics import _core
from tests.core.writing import of_kind, until
from tests.sampling.living import burn, living, sampled, whole_tree

MS = 1_000_000
BURNS_A_SECOND = [sys.executable, "-c", "import time\nwhile time.process_time() < 1: sum(range(1000))"]

FAMILY = """
import subprocess, sys, time
grandchild = "import sys; print('ready', flush=True); sys.stdin.readline()"
child = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdin=sys.stdin).wait()"
for _ in range(2):
    subprocess.Popen([sys.executable, "-c", child, grandchild], stdin=subprocess.PIPE, stdout=subprocess.PIPE).stdout.readline()
"""


def hot_cpu(sampler: _core.ProcessSampler) -> int:
    sample = sampler.hot()
    assert sample.cpu_user_ns is not None
    assert sample.cpu_system_ns is not None
    return sample.cpu_user_ns + sample.cpu_system_ns


def cost(job: Callable[[], object], clock: int, spool: Path) -> tuple[int, int, int]:
    """CPU time and run time of one execution as its record says, and its CPU time between two hot samples, ns."""
    recorder, sampler = _core.Recorder(str(spool), "host-1"), _core.ProcessSampler()
    handle = recorder.series("broker", "default", "app.job", clock)
    recorder.finished(recorder.started(handle, "first", 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)
    before = hot_cpu(sampler)
    slot = recorder.started(handle, "job", 0, _core.clock_us() - 10_000_000)
    job()
    recorder.finished(slot, _core.SUCCEEDED, None, 0)
    between = hot_cpu(sampler) - before
    end = of_kind(spool, "END")[1]
    return end.cpu, end.runtime, between


@pytest.mark.parametrize("clock", [_core.CLOCK_PROCESS, _core.CLOCK_THREAD])
def test_l2_a_sleep_of_150_ms_costs_less_than_20_ms_of_cpu(clock: int, tmp_path: Path) -> None:
    """L2: CPU was a percentage times the duration, so a sleep showed a whole core."""
    cpu, runtime, between = cost(lambda: time.sleep(0.15), clock, tmp_path / "spool")
    assert cpu < 20 * MS
    assert between < 20 * MS
    assert runtime >= 150 * MS


@pytest.mark.parametrize("clock", [_core.CLOCK_PROCESS, _core.CLOCK_THREAD])
def test_l3_a_busy_loop_of_100_ms_costs_90_to_110_ms_of_cpu(clock: int, tmp_path: Path) -> None:
    """L3: ticks were called milliseconds, ten times too few and in steps of 10 ms."""
    own = time.process_time if clock == _core.CLOCK_PROCESS else time.thread_time
    cpu, _, between = cost(lambda: burn(own, 0.1), clock, tmp_path / "spool")
    assert 90 * MS <= cpu <= 110 * MS
    assert 90 * MS <= between <= 110 * MS


def test_l1_the_run_time_begins_when_the_job_runs_and_not_when_it_was_sent(tmp_path: Path) -> None:
    """L1: the duration held the wait. The job could run 10 s before it started."""
    inside: list[float] = []

    def job() -> None:
        begin = time.monotonic()
        time.sleep(0.1)
        inside.append(time.monotonic() - begin)

    begin = time.monotonic()
    _, runtime, _ = cost(job, _core.CLOCK_PROCESS, tmp_path / "spool")
    assert inside[0] <= runtime / 1e9 <= time.monotonic() - begin < 10
    start = of_kind(tmp_path / "spool", "START")[1]
    assert (start.at - start.ready_at) / 1e6 == pytest.approx(10, abs=1)


def test_l3_cpu_of_another_process_is_in_time_and_not_in_ticks() -> None:
    """By ticks to within two of them; by the process's clock to the µs."""
    with living("import time\nwhile time.process_time() < 0.5: sum(range(1000))") as pid:
        tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
        peer, ours = psutil.Process(pid).cpu_times(), sampled(pid)
        ticks = ours["cpu_user_ns"] + ours["cpu_system_ns"]
        assert ticks == round((peer.user + peer.system) * 1e9)
        assert ours["cpu_ns"] >= 500 * MS
        assert abs(ours["cpu_ns"] - ticks) <= 2 * tick


def test_l2_two_busy_threads_use_about_200_percent_where_two_cores_are_free() -> None:
    """
    L2: more than 100 % was cut. The threads hold no lock of Python, and each stops by its own clock.

    What they used together is known whatever else the machine does; it is 200 % of the time exactly where two cores were free for them.
    """
    spent: list[float] = []

    def busy() -> None:
        begin = time.thread_time()
        while time.thread_time() - begin < 0.3:
            hashlib.pbkdf2_hmac("sha256", b"x", b"y", 2_000)
        spent.append(time.thread_time() - begin)

    sampler = _core.ProcessSampler()
    begin, before = time.monotonic(), hot_cpu(sampler)
    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, used = time.monotonic() - begin, (hot_cpu(sampler) - before) / 1e9
    percent = 100 * used / wall
    assert percent == pytest.approx(100 * sum(spent) / wall, rel=0.1)
    assert used >= 0.6
    assert percent > 180 or wall > 0.3 * 1.1, "two cores were free"


def test_l6_a_child_that_burns_a_second_is_a_second_of_its_parents_children() -> None:
    """L6: children that had ended were not counted."""
    before = sampled()
    child = subprocess.Popen(BURNS_A_SECOND)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    after = sampled()
    cpu = [sample["children_cpu_user_ns"] + sample["children_cpu_system_ns"] for sample in (before, after)]
    assert cpu[1] - cpu[0] == pytest.approx((usage.ru_utime + usage.ru_stime) * 1e9, abs=10_000)
    assert 1_000 * MS <= cpu[1] - cpu[0] <= 1_300 * MS, "a second, and the start of a Python"


def test_l6_the_cost_of_an_execution_holds_that_of_the_children_that_it_waited_for(tmp_path: Path) -> None:
    """L6: 0.6 ms for a job whose child burned a second. A helper that lives adds nothing, nor one that others waited for before."""
    assert subprocess.run(BURNS_A_SECOND, check=False).returncode == 0
    with living("import time\nwhile time.process_time() < 0.5: sum(range(1000))"):
        cpu, _, between = cost(lambda: subprocess.run(BURNS_A_SECOND, check=True), _core.CLOCK_PROCESS, tmp_path / "process")
        assert 1_000 * MS <= cpu <= 1_300 * MS, "a second, and the start of a Python"
        assert between < 100 * MS, "of this process itself"
        assert cost(lambda: time.sleep(0.05), _core.CLOCK_PROCESS, tmp_path / "none")[0] < 20 * MS
    # No thread knows which of the process's children are its own.
    assert cost(lambda: subprocess.run(BURNS_A_SECOND, check=True), _core.CLOCK_THREAD, tmp_path / "thread")[0] < 100 * MS


def test_l6_what_was_waited_for_between_two_executions_is_of_neither(tmp_path: Path) -> None:
    recorder = _core.Recorder(str(tmp_path / "spool"), "host-1")
    handle = recorder.series("broker", "default", "app.job", _core.CLOCK_PROCESS)
    for job in ("first", "second"):
        slot = recorder.started(handle, job, 0, _core.NO_TIME)
        time.sleep(0.01)
        recorder.finished(slot, _core.SUCCEEDED, None, 0)
        assert subprocess.run(BURNS_A_SECOND, check=False).returncode == 0
    assert all(end.cpu < 20 * MS for end in of_kind(tmp_path / "spool", "END"))


def test_l6_a_tree_counts_what_ends_in_it_and_nothing_for_a_helper_that_waits() -> None:
    """L6: children were counted at the end only, so one that was there before was added whole."""

    def whole() -> int:
        tree = whole_tree()
        return tree["cpu_user_ns"] + tree["cpu_system_ns"] + tree["reaped_cpu_user_ns"] + tree["reaped_cpu_system_ns"]

    with living("import time\nwhile time.process_time() < 0.5: sum(range(1000))") as helper:
        before, own = whole(), time.process_time()
        assert subprocess.run(BURNS_A_SECOND, check=False).returncode == 0
        added = whole() - before - round((time.process_time() - own) * 1e9)
        assert helper in whole_tree()["pids"]
    assert 980 * MS <= added <= 1_300 * MS


def test_a_tree_is_every_living_descendant_once() -> None:
    with living(FAMILY) as pid:
        peer = psutil.Process(pid)
        until(lambda: len(peer.children(recursive=True)) == 4)
        tree, family = whole_tree(pid, pss=True), [peer, *peer.children(recursive=True)]
        assert sorted(tree["pids"]) == sorted(member.pid for member in family)
        assert tree["pids"][0] == pid
        assert tree["children"] == 2
        assert tree["rss_bytes"] == pytest.approx(sum(member.memory_info().rss for member in family), abs=1 << 20)
        assert tree["threads"] == 5
        assert tree["open_descriptors"] == sum(member.num_fds() for member in family)
        assert 0 < (tree["pss_bytes"] or 0) < (tree["rss_bytes"] or 0), "what they share counts once"
        assert tree["unread"] == {}
        for member in family[1:]:
            member.kill()
