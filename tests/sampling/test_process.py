"""What is read of real processes is what the kernel and psutil say of them, and never what another process does."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from queue_metrics import _core
from tests.core.writing import in_child, until
from tests.sampling.living import burn, living, sampled

MIB = 1 << 20

BUSY_ONCE = """
import os, sys, threading
ballast = bytearray(64 << 20)
files = [open(os.devnull) for _ in range(20)]
for _ in range(3):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
end = os.times()[0] + 0.2
while os.times()[0] < end:
    sum(range(1000))
"""


def test_another_process_agrees_with_psutil() -> None:
    """Exactly, where the process stands still; start time within the second that psutil's boot time is rounded to."""
    with living(BUSY_ONCE) as pid:
        peer = psutil.Process(pid)
        ours, theirs = sampled(pid), peer.as_dict()
        assert ours["rss_bytes"] == theirs["memory_info"].rss
        assert ours["virtual_bytes"] == theirs["memory_info"].vms
        assert ours["threads"] == theirs["num_threads"] == 4
        assert ours["open_descriptors"] == theirs["num_fds"]
        assert ours["parent_pid"] == theirs["ppid"] == os.getpid()
        assert ours["name"] == theirs["name"]
        assert ours["cpu_user_ns"] == round(theirs["cpu_times"].user * 1e9)
        assert ours["cpu_system_ns"] == round(theirs["cpu_times"].system * 1e9)
        assert ours["state"] == "S"
        assert ours["started_us"] / 1e6 == pytest.approx(theirs["create_time"], abs=1.1)
        assert ours["unread"] == {}


def test_context_switches_agree_with_psutil_for_one_thread_and_are_summed_over_more() -> None:
    """psutil reads those of the first thread."""
    with living("") as pid:
        theirs = psutil.Process(pid).num_ctx_switches()
        ours = sampled(pid)
        assert (ours["voluntary_switches"], ours["involuntary_switches"]) == (theirs.voluntary, theirs.involuntary)
    naps = "import threading, time\nnap = lambda: [time.sleep(0.001) for _ in range(100)] and threading.Event().wait()\n"
    naps += "threading.Thread(target=nap, daemon=True).start()\n"
    with living(naps) as pid:
        until(lambda: (sampled(pid)["voluntary_switches"] or 0) >= 100)
        assert psutil.Process(pid).num_ctx_switches().voluntary < 100


def test_this_process_agrees_with_the_kernels_calls() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF)
    ours = sampled()
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert round(before.ru_utime * 1e9) <= ours["cpu_user_ns"] <= round(after.ru_utime * 1e9)
    assert before.ru_nvcsw <= (ours["voluntary_switches"] or 0) <= after.ru_nvcsw
    assert ours["threads"] == psutil.Process().num_threads()  # more than Python knows of, once numpy has been used
    assert ours["parent_pid"] == os.getppid()
    assert (ours["peak_rss_bytes"] or 0) >= (ours["rss_bytes"] or 0) > 10 * MIB
    assert ours["cpu_ns"] == pytest.approx(time.process_time_ns(), abs=100_000_000)


def test_proportional_memory_is_read_only_when_asked_for() -> None:
    with living("ballast = bytearray(64 << 20)") as pid:
        assert sampled(pid)["pss_bytes"] is None
        ours = sampled(pid, pss=True)["pss_bytes"]
        assert ours == pytest.approx(psutil.Process(pid).memory_full_info().pss, abs=MIB)
        assert ours is not None
        assert ours > 64 * MIB


def test_a_process_may_be_named_like_the_text_around_its_name() -> None:
    name = "import ctypes\nctypes.CDLL(None).prctl(15, b'a b) (c d', 0, 0, 0)\n"
    with living(name) as pid:
        ours = sampled(pid)
        assert ours["name"] == "a b) (c d"
        assert (ours["parent_pid"], ours["threads"], ours["state"]) == (os.getpid(), 1, "S")
        assert ours["start_ticks"] == _core.ProcessWatch(pid).start_ticks


def test_a_process_that_ended_is_a_zombie_until_it_is_reaped_and_then_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    until(lambda: sampled(child.pid)["state"] == "Z")
    ours = sampled(child.pid)
    assert (ours["rss_bytes"], ours["peak_rss_bytes"]) == (0, None)
    assert "ended" in ours["unread"]["peak_rss_bytes"]
    child.wait()
    assert _core.process_sample(child.pid) is None


def test_l20_a_pid_with_another_start_time_is_another_process() -> None:
    """L20: a new process with the pid of an old one inherited its counters."""
    with living("") as pid:
        start = sampled(pid)["start_ticks"]
        watch = _core.ProcessWatch(pid, start)
        assert watch.hot() is not None
        assert _core.process_sample(pid, start_ticks=start) is not None
        assert _core.process_sample(pid, start_ticks=start - 1) is None
        with pytest.raises(ProcessLookupError):
            _core.ProcessWatch(pid, start - 1)
    assert watch.hot() is None
    with pytest.raises(ProcessLookupError):
        _core.ProcessWatch(pid)


def test_a_watched_process_shows_what_it_does() -> None:
    with living("") as pid:
        watch = _core.ProcessWatch(pid)
        peer = psutil.Process(pid)
        hot = watch.hot()
        assert hot is not None
        user, system, rss, threads, state = hot
        assert (user, system) == tuple(round(value * 1e9) for value in peer.cpu_times()[:2])
        assert (rss, threads, state) == (peer.memory_info().rss, 1, "S")
        os.kill(pid, signal.SIGSTOP)
        until(lambda: (watch.hot() or (0, 0, 0, 0, ""))[4] == "T")
        os.kill(pid, signal.SIGCONT)


FIELDS = ("cpu_user_ns", "cpu_system_ns", "peak_rss_bytes", "rss_bytes", "open_descriptors", "threads")


class Hot(NamedTuple):
    """A hot sample of which nothing is unknown."""

    cpu_ns: int
    peak_rss_bytes: int
    rss_bytes: int
    open_descriptors: int
    threads: int


def complete(sample: _core.HotSample) -> Hot:
    values = [getattr(sample, field) for field in FIELDS]
    assert None not in values
    return Hot(values[0] + values[1], *values[2:])


def test_the_hot_sample_agrees_with_the_whole_one() -> None:
    sampler = _core.ProcessSampler()
    sampler.hot()
    hot, whole = complete(sampler.hot()), sampled()
    assert (hot.open_descriptors, hot.threads) == (whole["open_descriptors"], whole["threads"])
    assert hot.rss_bytes == pytest.approx(whole["rss_bytes"], abs=MIB)
    assert hot.peak_rss_bytes == pytest.approx(whole["peak_rss_bytes"], abs=MIB)
    assert 0 <= whole["cpu_user_ns"] + whole["cpu_system_ns"] - hot.cpu_ns < 1_000_000_000


def test_the_hot_sample_counts_threads_and_descriptors() -> None:
    sampler = _core.ProcessSampler()
    before = complete(sampler.hot())
    done = threading.Event()
    threads = [threading.Thread(target=done.wait) for _ in range(3)]
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(7)]
    for thread in threads:
        thread.start()
    after = complete(sampler.hot())
    done.set()
    for thread in threads:
        thread.join()
    for file in files:
        os.close(file)
    assert (after.open_descriptors - before.open_descriptors, after.threads - before.threads) == (7, 3)


def statm_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_forked_child_is_not_taken_for_its_parent() -> None:
    """The kept `/proc/self/statm` of a parent goes on showing the parent."""
    sampler = _core.ProcessSampler()
    before = complete(sampler.hot())

    def child() -> None:
        base = statm_bytes()  # less than its parent's: of files only what a child touches is its own
        held = bytearray(96 * MIB)
        hot = complete(sampler.hot())
        assert hot.rss_bytes > base + 80 * MIB, len(held)
        assert abs(hot.rss_bytes - statm_bytes()) < 16 * MIB
        assert hot.cpu_ns < before.cpu_ns, "CPU of a child begins at 0"
        assert hot.threads == 1
        assert hot.open_descriptors == sampled()["open_descriptors"]

    assert in_child(child) == 0
    assert complete(sampler.hot()).rss_bytes < before.rss_bytes + 80 * MIB


def test_a_program_that_closes_all_descriptors_loses_nothing() -> None:
    sampler = _core.ProcessSampler()
    sampler.hot()

    def daemon() -> None:
        os.closerange(3, 100_000)
        files = [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]
        complete(sampler.hot())
        assert complete(sampler.hot()).open_descriptors == len(os.listdir("/proc/self/fd")) - 1, files

    assert in_child(daemon) == 0


def test_threads_sample_at_once() -> None:
    sampler = _core.ProcessSampler()
    found: list[Hot] = []

    def many() -> None:
        found.extend(complete(sampler.hot()) for _ in range(2_000))

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8_000


def test_the_usage_of_a_reaped_child_is_told_in_our_units() -> None:
    pid = os.fork()
    if not pid:
        held = bytearray(96 * MIB)
        burn(time.process_time, 0.2)
        os._exit(len(held) and 0)
    usage = os.wait4(pid, 0)[2]
    ours = _core.usage_of(usage)
    assert ours is not None
    assert ours["cpu_user_ns"] + ours["cpu_system_ns"] == round(usage.ru_utime * 1e9) + round(usage.ru_stime * 1e9)
    assert ours["cpu_user_ns"] + ours["cpu_system_ns"] >= 200_000_000
    assert ours["peak_rss_bytes"] == usage.ru_maxrss * 1024 > 96 * MIB
    assert ours["voluntary_switches"] == usage.ru_nvcsw
    with pytest.raises(AttributeError):
        _core.usage_of(7)


def test_a_number_that_is_no_pid_is_refused_with_what_is_one() -> None:
    for number in (-1, 1 << 32, 1 << 40):
        for question in (_core.process_sample, _core.ProcessWatch, _core.HostSampler().process):
            with pytest.raises(OverflowError, match=rf"^a pid is from 0 to 4294967295, not {number}\b"):
                question(number)
    with pytest.raises(TypeError):
        _core.process_sample("1")  # type: ignore[arg-type]
