"""The cadence behind shares of the CPU: started by who asks, gone in a child, ended when told. And a file system that hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from queue_metrics import _core
from queue_metrics.errors import ConfigurationError
from queue_metrics.recording.host import HostWatch
from tests.core.writing import until
from tests.support.patience import PATIENCE

MOUNTING = Path(__file__).with_name("mounting.py")


def mounting(*arguments: str) -> Any:
    """What a host with mounts of its own says of itself."""
    done = subprocess.run([sys.executable, str(MOUNTING), *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_nothing_runs_before_it_is_asked_for_and_nothing_after_it_was_stopped() -> None:
    watch = HostWatch(0.2)
    assert "queue-metrics-host" not in threads()
    assert (watch.running, watch.latest) == (False, None)
    watch.start()
    watch.start()
    assert threads().count("queue-metrics-host") == 1
    until(lambda: watch.latest is not None and watch.latest["interval_seconds"] is not None)
    watch.stop()
    assert "queue-metrics-host" not in threads()
    assert watch.latest is not None


def test_a_forked_child_has_no_sample_and_no_thread_until_it_starts_its_own() -> None:
    watch = HostWatch(0.2)
    watch.start()
    until(lambda: watch.latest is not None)
    child = os.fork()
    if child == 0:
        before = (watch.running, watch.latest) == (False, None)
        watch.start()
        until(lambda: watch.latest is not None)
        os._exit(0 if before and watch.running else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert watch.running
    watch.stop()


def test_a_period_too_short_for_two_samples_is_refused() -> None:
    for period in (0.1, float("nan")):
        with pytest.raises(ValueError, match=r"0\.2 at least"):
            HostWatch(period)


def test_the_source_is_that_of_the_configuration_unless_it_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The setting did nothing: whatever it said, `/proc` was read."""

    def source(*, given: str | None = None) -> str:
        watch = HostWatch(0.2, source=given)
        watch.start()
        until(lambda: watch.latest is not None)
        watch.stop()
        assert watch.latest is not None
        return watch.latest["source"]

    monkeypatch.chdir(tmp_path)
    assert source() == "proc"
    monkeypatch.setenv("QUEUE_METRICS_SAMPLING_SOURCE", "sysinfo")
    assert source() == "sysinfo"
    assert source(given="proc") == "proc"
    monkeypatch.delenv("QUEUE_METRICS_SAMPLING_SOURCE")
    (tmp_path / "queue-metrics.toml").write_text('sampling_source = "sysinfo"\n')
    assert source() == "sysinfo"
    monkeypatch.setenv("QUEUE_METRICS_SAMPLING_SOURCE", "psutil")
    with pytest.raises(ConfigurationError, match="psutil"):
        HostWatch(0.2)


def test_a_file_system_that_hangs_is_none_with_the_reason_and_holds_one_thread(tmp_path: Path) -> None:
    """A real one: a FUSE mount whose server does not answer. Only the first sample waits; the others ask nobody again."""
    samples = mounting("hung", str(tmp_path))
    assert len(samples) == 10
    for sample in samples:
        assert sample["disk"]["filesystem"] == "fuse.hung"
        assert {sample["disk"][name] for name in ("total_bytes", "used_bytes", "available_bytes", "usage_percent")} == {None}
        assert sample["reason"].startswith("statvfs: no answer for ")
        assert sample["others"]
        assert None not in sample["others"]
    waited = [int(sample["reason"].split()[-2]) for sample in samples]
    assert waited[0] >= 200
    assert waited == sorted(waited), "one question, open since the first sample"
    assert samples[-1]["threads"] == 1


def test_where_proc_cannot_be_read_sysinfo_is_chosen_and_zeros_are_not_told() -> None:
    found = mounting("hidden")
    assert found["chosen"] == "sysinfo"
    sample, by_proc = found["sample"], found["proc"]
    assert (sample["source"], sample["host"]["name"]) == ("sysinfo", os.uname().nodename)
    assert sample["memory"]["total_bytes"] is None
    assert sample["cpu"]["count"] is None
    assert by_proc["memory"]["total_bytes"] is None
    assert by_proc["unread"]["memory"] == "/proc/meminfo: no such file"


def test_a_living_process_is_never_called_gone_where_proc_is_hidden() -> None:
    """None would say that there is no such process; files that were opened before go on."""
    found = mounting("hidden")
    answers = found["answers"]
    assert len(answers) == 7
    for question, answer in answers.items():
        assert answer.startswith("OSError: "), (question, answer)
    assert answers["process_sample()"] == "OSError: /proc/self/stat: no such file"
    assert answers["sysinfo.process"] == "OSError: sysinfo: it knows not even this process"
    assert found["opened"] == [True, True]


def test_a_job_that_closes_all_descriptors_costs_no_sample() -> None:
    """The kept files are opened again, and nobody else's file under their number is read or closed."""
    sampler = _core.HostSampler()
    sampler.sample()

    def whole() -> bool:
        """A new process asks for the room on `/` in a thread, for 0.2 s at a time: longer on a busy machine."""
        return any(None not in sampler.hot() for _ in range(50))

    assert whole()
    child = os.fork()
    if child == 0:
        begun = whole()
        os.closerange(3, 65_536)
        others = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
        good = begun and whole() and whole()
        good = good and all(os.path.samestat(os.fstat(other), os.stat("/dev/null")) for other in others)
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
