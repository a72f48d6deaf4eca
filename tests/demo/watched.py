"""
The demo as somebody watches it for three real minutes, and what every surface then says of its trends and of its collector.

Real workers, producer and collector, in the processes of `queue-metrics demo`; asked from outside, over HTTP, by commands and by the
front door. Run as a process of its own: `python -m tests.demo.watched DIRECTORY LIBRARY SECONDS` prints one JSON object.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import queue_metrics as qm
from queue_metrics.demo.ledger import Ledger
from queue_metrics.demo.work import KINDS, QUEUES
from queue_metrics.insights import Metrics
from queue_metrics.model import TrendAnswer
from tests.demo.running import line_with, started
from tests.flow.checks import Claim
from tests.recording.tools import environment
from tests.support.aside import Aside
from tests.support.patience import PATIENCE

SECONDS = 180.0
"""What issue and tutorial promise: after so long each trend has an answer."""
MORE_THAN_ENOUGH = 240.0
TICK = 0.5
WORKERS = 2
LACKING = "queue-metrics record-trends"
"""What every surface names where no collector runs."""


def watched(directory: Path, library: str, seconds: float) -> dict[str, Any]:
    """Run the demo for so long, then ask for everything; the counts, and the claims about them."""
    kept, temporary = directory / "kept", directory / "temporary"
    temporary.mkdir(parents=True)
    begin = time.monotonic()
    with started(temporary, "--library", library, "--port", "0", "--workers", str(WORKERS), "--keep", os.fspath(kept)) as demo:
        address = line_with(demo, "page").split()[1].rstrip("/")
        store = line_with(demo, "store").split()[1]
        while time.monotonic() < begin + seconds:
            time.sleep(TICK)
            assert demo.poll() is None, "the demo ended"
        answers = Answers(address, store)
        claims = [*answers.names(library), *answers.trends(), *answers.collects()]
        ended = sum(Ledger(kept / "ledger").ends().values())
        counted = answers.counted
        claims.append(Claim("no more is counted than ended", f"0 < {counted} <= {ended}", 0 < counted <= ended))
        demo.send_signal(signal.SIGINT)
        status = demo.wait(PATIENCE)
        claims.append(Claim("it ends well", f"exit code {status}", status == 0))
    answer = {"seconds": round(time.monotonic() - begin), "trends": answers.asked, "ended": ended, "counted": counted}
    return {"answer": answer, "claims": claims}


class Answers:
    """Everything that is asked of a demo that runs."""

    def __init__(self, address: str, store: str) -> None:
        self.asked = 0
        """Trends."""
        self._address = address
        self._store = store
        self._queues = [(each["connection"], each["queue"]) for each in self._get("/v1/queues")["queues"]]
        self._tasks = [(each["connection"], each["queue"], each["task"]) for each in self._get("/v1/tasks")["tasks"]]
        self.counted = sum(self._get(f"/v1/trends/throughput/{_path(*queue)}")["statistics"]["total_jobs"] for queue in self._queues)

    def names(self, library: str) -> Iterator[Claim]:
        """Every queue and task of the demo is there, so that none of them escapes the questions."""
        queues, tasks = {queue for _, queue in self._queues}, {task for *_, task in self._tasks}
        wanted = set(QUEUES) if library == "celery" else {"shop"}  # a Huey has one
        yield Claim("every queue is there", f"{sorted(queues)}", queues == wanted)
        serving = [each["workers"] for each in self._get("/v1/queues")["queues"]]
        yield Claim("every worker serves every queue", f"{serving}", serving == [WORKERS] * len(queues))
        yield Claim("every task is there", f"{sorted(tasks)}", tasks == {kind.name for kind in KINDS})

    def trends(self) -> Iterator[Claim]:
        """Each trend, of each queue and of all, wherever it is told."""
        for name, answer in self._every_trend():
            self.asked += 1
            points = answer["data_points"]
            yield Claim(f"{name} is available", str(answer.get("message")), answer["available"] is True)
            yield Claim(f"{name} has points", str(points), points >= 2)
        with contextlib.closing(qm.connect(self._store)) as metrics:
            yield from self._series(metrics)

    def _every_trend(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The quick surfaces first: of commands each is a process, for which a busy machine takes its time."""
        paths = [
            f"{path}{_path(*queue)}"
            for queue in self._queues
            for path in ("/v1/trends/depth/", "/v1/trends/throughput/", "/trends/queue-depth/", "/trends/throughput/")
        ]
        for path in (*paths, "/v1/trends/efficiency", "/trends/worker-efficiency"):
            yield path, self._get(path)
        with contextlib.closing(qm.connect(self._store)) as metrics:
            for queue in self._queues:
                yield f"trend({_path(*queue)})", _told(metrics.trend(*queue))
                yield f"throughput({_path(*queue)})", _told(metrics.throughput(*queue))
            yield "efficiency()", _told(metrics.efficiency())
        for queue in self._queues:
            for kind in ("depth", "throughput"):
                yield f"trend {kind} {_path(*queue)}", self._command("trend", kind, *queue)
        yield "trend efficiency", self._command("trend", "efficiency")

    def _series(self, metrics: Metrics) -> Iterator[Claim]:
        """What a trend of a task is drawn from: its minutes."""
        for task in self._tasks:
            points = len(metrics.series("task", *task).points)
            yield Claim(f"the minutes of {_path(*task)} are there", str(points), points >= 2)

    def collects(self) -> Iterator[Claim]:
        """No surface misses a collector; baselines, which it makes, are there."""
        status = self._command("status")
        yield Claim(
            "status says a collector runs", str(status["overview"]["collector"]), status["overview"]["collector"]["running"] is True
        )
        codes = [reason["code"] for reason in self._get("/health")["reasons"]]
        yield Claim("health misses nobody", str(codes), "no_collector" not in codes)
        yield Claim("queue_metrics_collector_up is 1", "", "\nqueue_metrics_collector_up 1\n" in self._text("/metrics"))
        shown = {"the page": self._text("/", "text/html"), "the whole overview": self._text("/overview?full=1")}
        shown |= {f"`{command}`": self._printed(command) for command in ("status", "workers", "servers", "baselines")}
        for name, text in shown.items():
            yield Claim(f"{name} names no command to start a collector", f"{len(text)} letters", text != "" and LACKING not in text)
        baselines = self._get("/v1/baselines")
        yield Claim("there are baselines", str(baselines["message"]), baselines["total"] > 0 and baselines["message"] is None)

    def _get(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._text(path))
        return found

    def _text(self, path: str, accept: str = "application/json") -> str:
        with urllib.request.urlopen(urllib.request.Request(self._address + path, headers={"Accept": accept}), timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    def _command(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._printed(*words, "--json"))
        return found

    def _printed(self, *words: str) -> str:
        command = [sys.executable, "-m", "queue_metrics", *words, "--store", self._store]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.stdout, done.stderr
        return done.stdout


def _told(answer: TrendAnswer) -> dict[str, Any]:
    return {"available": answer.available, "data_points": answer.data_points, "message": answer.message}


def _path(*names: str) -> str:
    return "/".join(quote(name, safe="") for name in names)


class Watched(Aside):
    """The demo beside other tests."""

    def __init__(self, directory: Path, library: str) -> None:
        words = (os.fspath(directory), library, str(SECONDS))
        name = f"trends after {SECONDS:g} s of demo with {library}"
        super().__init__(name, "tests.demo.watched", *words, log=directory / "watched.err", seconds=SECONDS + MORE_THAN_ENOUGH)


def main() -> int:
    directory, library, seconds = sys.argv[1:]
    print(json.dumps(watched(Path(directory), library, float(seconds))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
