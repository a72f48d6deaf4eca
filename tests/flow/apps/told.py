"""What the apps of the job event tests share: the jobs, and listeners that write down what they were told, one line an event."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import queue_metrics as qm
from tests.flow.apps.deeds import begun

DIRECTORY = Path(os.environ["FLOW_DIRECTORY"])
KINDS = ("job_completed", "job_failed", "job_retried", "job_debounced")
kept: list[bytearray] = []


def sleeps() -> None:
    begun("sleeps")
    time.sleep(0.15)


def keeps() -> None:
    """200 MB, for the life of the process."""
    begun("keeps")
    kept.append(bytearray(b"\1") * (200 << 20))


def quiet() -> None:
    begun("quiet")


def fails() -> None:
    begun("fails")
    raise ValueError("é" * 1_001)


def nests() -> None:
    """Code of its own inside, which is part of it."""
    begun("nests")
    with qm.track(task="inner"):
        pass


JOBS: tuple[Callable[[], None], ...] = (sleeps, keeps, quiet, fails, nests)


def write(kind: str, event: Any) -> None:
    descriptor = os.open(DIRECTORY / "told", os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    os.write(descriptor, json.dumps({"kind": kind, "pid": os.getpid(), **asdict(event)}).encode() + b"\n")
    os.close(descriptor)


def torments(event: Any) -> None:
    """Burns half a second, then raises, or dies once."""
    limit = time.process_time() + 0.5
    while time.process_time() < limit:
        sum(range(1_000))
    try:
        os.close(os.open(DIRECTORY / "died", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        raise RuntimeError(event.job_class) from None
    os.kill(os.getpid(), signal.SIGKILL)


def listen() -> None:
    for kind in KINDS:
        qm.on(kind, partial(write, kind))
    if "torment" in os.environ.get("FLOW_WITH", ""):
        qm.on("job_completed", torments)
