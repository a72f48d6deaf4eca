"""
Kills by the thousand: children that append to one segment die at any instruction, while an agent drains, and dies now and then too.

No job library, since its processes take a hundred times as long to start.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from queue_metrics import _core
from queue_metrics.config import Settings, load_settings
from queue_metrics.demo.ledger import OK, Ledger
from queue_metrics.demo.processes import Group
from queue_metrics.recording.runtime import Runtime
from tests.flow.checks import Claim, steps_agree
from tests.recording.tools import counts, eventually

CHILDREN = 6
NAMESPACE = "storm"
LONGEST_LIFE = 0.02
PAUSE = 0.0005
"""Seconds between two jobs of a child: the spool must hold them all."""


def storm(directory: Path, seconds: float, kills: int, chance: random.Random) -> dict[str, Any]:
    """Kill until so many are dead or the time is over; the counts and the claims about them."""
    directory.mkdir(parents=True)
    settings = load_settings(
        environ={}, config=os.devnull, store=f"sqlite:///{directory}/metrics.db", state_dir=directory / "state", namespace=NAMESPACE
    )
    (directory / "queue-metrics.toml").write_text(f"state_dir = {json.dumps(os.fspath(settings.state_dir))}\n")
    recorder = _core.Recorder(os.fspath(settings.spool), "storm")
    ledger = Ledger(directory / "ledger")
    # Before the first fork, so that the children go on in this segment.
    handle = recorder.series("storm", "storm", "storm", _core.CLOCK_PROCESS)
    _job(recorder, handle, ledger, "first")
    deaths = agents = 0
    agent: Group | None = None
    agent_dies = 0.0
    children: list[int] = []
    until = time.monotonic() + seconds
    try:
        while deaths < kills and (now := time.monotonic()) < until:
            if now >= agent_dies:
                if agent is not None:
                    agent.stop(signal.SIGKILL, 0.0)
                agent, agents = _agent(settings, directory), agents + 1
                agent_dies = now + chance.uniform(2.0, 8.0)
            while len(children) < CHILDREN:
                children.append(_child(recorder, handle, ledger))
            time.sleep(chance.uniform(0.0, LONGEST_LIFE / CHILDREN))
            _kill(children.pop(chance.randrange(len(children))))
            deaths += 1
    finally:
        for pid in children:
            _kill(pid)
            deaths += 1
        if agent is not None:
            agent.stop(signal.SIGKILL, 0.0)
    status = _drained(settings)
    return _compared(settings, ledger, deaths, agents, status)


def _child(recorder: _core.Recorder, handle: int, ledger: Ledger) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            number = 0
            while True:
                _job(recorder, handle, ledger, number)
                number += 1
                time.sleep(PAUSE)
        finally:
            os._exit(1)
    return pid


def _job(recorder: _core.Recorder, handle: int, ledger: Ledger, job: object) -> None:
    slot = recorder.started(handle, job, 0, _core.NO_TIME)
    ledger.begun()
    ledger.ended(OK)
    recorder.finished(slot, _core.SUCCEEDED, None, 0)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _agent(settings: Settings, directory: Path) -> Group:
    words = ["--store", settings.store, "--namespace", NAMESPACE]
    return Group("agent", [sys.executable, "-m", "queue_metrics", "agent", *words], directory)


def _drained(settings: Settings) -> dict[str, Any]:
    """Drain what is left, here; the state of the spool then."""
    runtime = Runtime(settings, grace=0.5)  # no END is still on its way: every writer is dead
    try:
        eventually(lambda: runtime.flush(5.0) and runtime.drain.elected and runtime.drain.status()["open"] == 0, "all is closed", 120)
        return runtime.drain.status()
    finally:
        runtime.stop(10.0)


def _compared(settings: Settings, ledger: Ledger, deaths: int, agents: int, status: dict[str, Any]) -> dict[str, Any]:
    found = counts(settings.store)
    started, succeeded, lost = found["started"], found["succeeded"], found["lost"]
    begun, ended = ledger.count("begun"), ledger.ends()[OK]
    damaged = {name: status[name] for name in ("damaged", "duplicates", "undefined", "set_aside", "uncertain", "drops") if status[name]}
    claims = [
        Claim("started = succeeded + lost", f"{started} = {succeeded} + {lost}", started == succeeded + lost),
        Claim("begun <= started <= begun + lost", f"{begun} <= {started} <= {begun} + {lost}", begun <= started <= begun + lost),
        Claim(
            "succeeded <= ended <= succeeded + lost",
            f"{succeeded} <= {ended} <= {succeeded} + {lost}",
            succeeded <= ended <= succeeded + lost,
        ),
        Claim("0 < lost <= kills", f"0 < {lost} <= {deaths}", 0 < lost <= deaths),
        Claim("no record is damaged, doubled or dropped", str(damaged or "none"), not damaged),
        *steps_agree(settings.store),
    ]
    answer = {"begun": begun, "ended": ended, "started": started, "succeeded": succeeded, "lost": lost, "kills": deaths, "agents": agents}
    return {"answer": answer, "claims": claims}
