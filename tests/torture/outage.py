"""
A thousand jobs a second while the store is away: none fails, the spool stays small, and soon after its return every one is counted.

The workers are one process with forked children, as those of a job library, whose jobs write what they did by themselves. Run as a
process of its own: `python -m tests.torture.outage DIRECTORY SECONDS` prints one JSON object; `... DIRECTORY work` is the worker, until
its standard input ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import queue_metrics as qm
from queue_metrics.config import load_settings
from queue_metrics.demo.ledger import OK, RAISED, Ledger
from tests.flow.checks import Claim, nothing_missing, steps_agree
from tests.recording.tools import counts, environment, eventually
from tests.support.aside import Aside
from tests.support.servers import RedisServer

RATE = 1_000
CHILDREN = 2
"""As Celery has by default on two cores. Each has an open segment of 1 MiB beside the full ones: with four the spool took 80.05 MB."""
WHOLE_SECONDS = 600.0
"""The length of the outage for which the spool has a bound; a shorter one has a part of it."""
SPOOL_BYTES = 80_000_000
SHORTEST_BYTES = 8_000_000
"""Each process has a segment of 1 MiB, and perhaps one more, whatever is in them."""
CAUGHT_UP_SECONDS = 60.0
NAMESPACE = "outage"
ENOUGH = "enough"


def outage(directory: Path, seconds: float) -> dict[str, Any]:
    """The counts of one outage, and the claims about them."""
    directory.mkdir(parents=True)
    server = RedisServer(directory)
    settings = load_settings(environ={}, config=os.devnull, store=server.url, state_dir=directory / "state", namespace=NAMESPACE)
    variables = {
        "QUEUE_METRICS_STORE": settings.store,
        "QUEUE_METRICS_STATE_DIR": os.fspath(settings.state_dir),
        "QUEUE_METRICS_NAMESPACE": NAMESPACE,
    }
    ledger = Ledger(directory / "ledger")
    words = [sys.executable, "-m", "tests.torture.outage", os.fspath(directory), "work"]
    with (directory / "worker.log").open("wb") as log:
        worker = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment() | variables)
    assert worker.stdin is not None
    try:
        eventually(lambda: ledger.count("begun"), "the first job runs", 60)
        until, largest = time.monotonic() + seconds, 0
        while (left := until - time.monotonic()) > 0:
            assert worker.poll() is None, "the worker ended"
            time.sleep(min(1.0, left))
            largest = max(largest, taken(settings.spool))
        ran = ledger.count("begun")
        with server:
            begin = time.monotonic()
            eventually(lambda: counts(settings.store)["succeeded"] >= ran, "what waited is counted", 300)
            caught_up = time.monotonic() - begin
            worker.stdin.close()
            status = worker.wait(60)
            found = counts(settings.store)
            claims = [*steps_agree(settings.store), *nothing_missing(settings.store)]
    finally:
        worker.kill()
        worker.wait()
    begun, ended, failed = ledger.count("begun"), ledger.ends()[OK], ledger.ends()[RAISED]
    bound = max(SHORTEST_BYTES, round(SPOOL_BYTES * seconds / WHOLE_SECONDS))
    claims += [
        Claim("a thousand jobs a second ran", f"{ran} in {seconds:g} s", ran >= 0.99 * RATE * seconds),
        Claim("no job failed", f"{failed} failed, exit code {status}", failed == 0 and status == 0),
        Claim(
            "begun = ended = started = succeeded", f"{begun}, {ended}, {found}", begun == ended == found["started"] == found["succeeded"]
        ),
        Claim("the spool stays within its bound", f"{largest:,} <= {bound:,} bytes", largest <= bound),
        Claim("caught up soon", f"{caught_up:.1f} < {CAUGHT_UP_SECONDS:g} s", caught_up < CAUGHT_UP_SECONDS),
    ]
    answer = {"seconds": seconds, "waited": ran, "begun": begun, "succeeded": found["succeeded"], "failed": failed}
    return {"answer": {**answer, "spool_bytes": largest, "caught_up_seconds": round(caught_up, 1)}, "claims": claims}


def taken(spool: Path) -> int:
    """Bytes of the disk that a spool takes; a file may be deleted meanwhile."""
    total = 0
    for path in spool.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


def work(directory: Path) -> int:
    """A main process and its children, which execute jobs until standard input ends; the exit code says whether all went well."""
    ledger = Ledger(directory / "ledger")

    @qm.track(task="work", queue="outage")
    def job(number: int) -> int:
        ledger.begun()
        ledger.ended(OK)
        return number

    job(0)  # the main process reports from now on
    children = []
    for _ in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            os._exit(_execute(job, ledger, directory / ENOUGH))
        children.append(pid)
    sys.stdin.read()
    (directory / ENOUGH).touch()
    return max(abs(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])) for pid in children)


def _execute(job: Callable[[int], int], ledger: Ledger, enough: Path) -> int:
    """A child's share of the jobs, in time; it makes good what it was late with."""
    begin, done, main = time.monotonic(), 0, os.getppid()
    while not enough.exists() and os.getppid() == main:
        for _ in range(int((time.monotonic() - begin) * RATE / CHILDREN) - done):
            done += 1
            try:
                answered = job(done)
            except BaseException:
                answered = -1
            if answered != done:
                ledger.ended(RAISED)
        time.sleep(0.01)
    return 0


class Outage(Aside):
    """An outage beside other tests."""

    def __init__(self, directory: Path, seconds: float) -> None:
        words = (os.fspath(directory), str(seconds))
        log = directory.with_name(f"{directory.name}.err")
        super().__init__("1,000 jobs a second without a store", "tests.torture.outage", *words, log=log, seconds=seconds + 600.0)


def main() -> int:
    directory, what = Path(sys.argv[1]), sys.argv[2]
    if what == "work":
        return work(directory)
    print(json.dumps(outage(directory, float(what))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
