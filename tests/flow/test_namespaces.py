"""Worker and drainer in pid namespaces of their own, where the pid of one means nothing, or another process, to the other."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.apart import JOBS
from tests.flow.shown import Place
from tests.recording.tools import counts, environment, eventually

UNCERTAIN = "1 open executions belong to workers nobody here can judge"
APART = ("unshare", "--map-root-user", "--pid", "--fork", "--kill-child")
"""A pid namespace of its own, which root and unprivileged users may have; it dies with the process in front."""


@contextlib.contextmanager
def process(role: str, place: Place, *before: str) -> Iterator[subprocess.Popen[str]]:
    """A process of `apart.py` that is ready; killed at the end."""
    words = (*before, sys.executable, "-m", "tests.flow.apart", role, place.store, os.fspath(place.state))
    variables = environment() | {"QUEUE_METRICS_JOURNAL": "auto"}
    errors = place.directory / f"{role}.log"
    with errors.open("wb") as log, subprocess.Popen(words, env=variables, stdout=subprocess.PIPE, stderr=log, text=True) as running:
        try:
            assert running.stdout is not None
            word, pid, _ = running.stdout.readline().split(" ") or ("", "", "")
            assert word == "ready", errors.read_text()
            assert not before or int(pid) < 10, "it has a pid of its own namespace"
            yield running
        finally:
            running.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("proc", ["own proc", "proc of the host"])
@pytest.mark.parametrize("inside", ["work", "drain"])
def test_a_worker_of_another_namespace_is_never_lost_while_it_lives_and_always_when_it_is_dead(
    tmp_path: Path, inside: str, proc: str
) -> None:
    """As long as it lives nobody can tell, and the doctor says so; its lock tells of its death."""
    place = Place(tmp_path, f"sqlite:///{tmp_path}/metrics.db", tmp_path / "state")
    apart = (*APART, *(["--mount-proc"] if proc == "own proc" else []))
    before = {role: apart if role == inside else () for role in ("work", "drain")}
    with process("work", place, *before["work"]) as worker, process("drain", place, *before["drain"]) as drainer:
        eventually(lambda: counts(place.store)["lost"] == 1, "the neighbour of who drains is lost")
        eventually(lambda: UNCERTAIN in place.problems(), "the doctor says that nobody knows of the other")
        found = counts(place.store)
        assert (found["started"], found["succeeded"], found["lost"]) == (2 * JOBS + 2, 2 * JOBS, 1)
        worker.kill()
        worker.wait()
        eventually(lambda: counts(place.store)["lost"] == 2, "its death is seen by its lock")
        eventually(lambda: "nobody here can judge" not in place.problems(), "the doctor has nothing to say any more")
        found = counts(place.store)
        assert (found["started"], found["succeeded"], found["lost"]) == (2 * JOBS + 2, 2 * JOBS, 2)
        assert drainer.poll() is None
