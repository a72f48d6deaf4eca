"""
The demo's run with more trouble in it: its drainers are killed too, its worker as a whole, its store is stopped or goes back.

A process of its own, so that several trials can run side by side: `python -m tests.flow.trial DIRECTORY NAME SECONDS SEED`
prints one JSON object. `Running` is one, seen from outside.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from queue_metrics.config import Settings, load_settings
from queue_metrics.demo.killer import Killer
from queue_metrics.demo.options import NAMESPACE, Options
from queue_metrics.demo.processes import Group, python
from queue_metrics.demo.progress import Progress
from queue_metrics.demo.queues import DemoQueue, open_queue
from queue_metrics.demo.run import TICK_SECONDS, Failed, Run
from tests.flow.checks import Claim, arrivals, nothing_missing, steps_agree, warnings_a_minute
from tests.flow.producer import ENOUGH, SILENT
from tests.support.servers import RedisServer

Trouble = Generator[float, None, None]
"""Yields the seconds until it goes on; closed at the end of the trouble, it puts right what it broke."""


@dataclass(frozen=True)
class Plan:
    """What happens in a trial."""

    library: str
    store: str = "redis"
    kill_every: float | None = None
    """Seconds between two SIGKILLs of children of the pool."""
    agent: bool = False
    """A `queue-metrics agent` drains, and is killed at random."""
    kill_main: bool = False
    """The worker's main process, which drains, is killed at random, and a little later all of its children."""
    outage: str | None = None
    """
    `pause` or `shutdown`: the store is away for the length of the trial, after a beginning; `rollback`: it goes back to an older copy of
    itself at random.
    """


PLANS = {
    "huey, children and agent killed": Plan("huey", store="sqlite", kill_every=0.5, agent=True),
    "celery, children and agent killed": Plan("celery", kill_every=0.7, agent=True),
    "huey, main killed with its children": Plan("huey", store="sqlite", kill_main=True),
    "celery, main killed with its children": Plan("celery", kill_main=True),
    "huey, store mute": Plan("huey", kill_every=1.5, outage="pause"),
    "celery, store shut down": Plan("celery", kill_every=1.5, outage="shutdown"),
    "huey, store goes back": Plan("huey", kill_every=1.0, agent=True, outage="rollback"),
}


class Quiet(Progress):
    """Says nothing; to show a state would ask the store, which may be stopped."""

    @property
    def due(self) -> bool:
        return False

    def say(self, text: str) -> None:
        print(text, file=sys.stderr)


class Trial(Run):
    """One plan, carried out for some seconds."""

    def __init__(
        self, plan: Plan, seconds: float, options: Options, settings: Settings, queue: DemoQueue, server: RedisServer | None
    ) -> None:
        super().__init__(options, settings, queue, Quiet(sys.stderr), threading.Event())
        self.claims: list[Claim] = []
        self._plan = plan
        self._seconds = seconds
        self._server = server
        self._chance = random.Random(options.seed)
        # Not due before somebody says so: kills are one of several troubles here.
        self._killer = self._kills = Killer(options.pool, self._ledger, plan.kill_every or 1e9, self._chance)
        self._agent: Group | None = None
        self._until: float | None = None  # when the trouble is over; None before it began
        self._troubles: dict[Trouble, float] = {}

    def start(self) -> None:
        if self._plan.kill_main:
            # A producer that records drains too, and is never killed: the main process would not be the drainer for long.
            (self._options.root / SILENT).touch()
        if self._plan.agent:
            self._start_agent()
        self._start_worker()
        self._producer = python("tests.flow.producer", self._options.root)

    def close(self) -> None:
        if self._agent is not None:
            self._agent.stop(signal.SIGTERM, 1.0)
        super().close()

    def _turn(self, *, may_kill: bool) -> None:
        time.sleep(TICK_SECONDS)
        for process in (self._producer, self._worker if not self._plan.kill_main else None):
            if process is not None and process.status not in (None, 0):
                raise Failed(f"a process ended with exit code {process.status}:\n{process.tail(60)}")
        now = time.monotonic()
        if self._until is None:
            if self._ledger.count("begun"):
                self._until = now + self._seconds
                self._troubles = dict.fromkeys(self._all_troubles(), now)
        elif now < self._until:
            for trouble, due in self._troubles.items():
                if now >= due:
                    self._troubles[trouble] = now + next(trouble)
        elif self._troubles:
            for trouble in self._troubles:
                trouble.close()
            self._troubles = {}
            (self._options.root / ENOUGH).touch()

    def _all_troubles(self) -> Iterator[Trouble]:
        plan = self._plan
        if plan.kill_every:
            yield self._kill_children()
        if plan.agent:
            yield self._kill_agent()
        if plan.kill_main:
            yield self._kill_main()
        if plan.outage == "rollback":
            yield self._roll_back()
        elif plan.outage:
            yield self._outage()

    def _kill_children(self) -> Trouble:
        while True:
            yield TICK_SECONDS
            if self._worker is not None and self._queue.waiting().ready:
                self._kills.turn(self._worker.pid)

    def _kill_agent(self) -> Trouble:
        killed = 0
        try:
            while True:
                yield self._chance.uniform(0.5, 3.0)
                if self._agent is not None:
                    self._agent.stop(signal.SIGKILL, 0.0)
                    self._agent = None
                    killed += 1
                yield self._chance.uniform(0.0, 1.5)
                self._start_agent()
        finally:
            self.claims.append(Claim("the draining agent was killed", str(killed), killed > 0))
            if self._agent is None:
                self._start_agent()

    def _kill_main(self) -> Trouble:
        killed = 0
        try:
            while True:
                yield self._chance.uniform(2.0, 5.0)
                assert self._worker is not None
                doomed = self._executing()
                os.kill(self._worker.pid, signal.SIGKILL)
                killed += 1
                # Huey's children go on for a while, and drain; Celery's have asked the kernel to die with their parent.
                yield self._chance.choice((0.0, self._chance.uniform(0.0, 2.0)))
                self._kill_worker(doomed)
                yield self._chance.uniform(0.0, 0.5)
                self._start_worker()
        finally:
            self.claims.append(Claim("the draining main process was killed", str(killed), killed > 0))
            self._kill_worker(self._executing())
            self._start_worker()

    def _outage(self) -> Trouble:
        """The store is away from soon after the beginning, and then for as long as the trial is to last."""
        server = self._server
        assert server is not None
        away, back = (server.pause, server.resume) if self._plan.outage == "pause" else (server.stop, server.start)
        yield min(3.0, self._seconds / 4)
        away()
        since = time.monotonic()
        self._until = since + self._seconds
        begun, forked = self._ledger.count("begun"), len(os.listdir(self._options.pool))
        try:
            while True:
                yield 1e9
        finally:
            gone = time.monotonic() - since
            ran, new = self._ledger.count("begun") - begun, len(os.listdir(self._options.pool)) - forked
            back()
            self.claims.append(Claim("the store was away as long as it should", f"{gone:.1f} s of {self._seconds}", gone >= self._seconds))
            self.claims.append(Claim("jobs ran on without the store", str(ran), ran >= self._seconds))
            self.claims.append(Claim("killed children were replaced without the store", str(new), new > 0))

    def _roll_back(self) -> Trouble:
        """Every few seconds a copy is taken, and the store becomes the last or the first copy again."""
        server = self._server
        assert server is not None
        copies: list[bytes] = []
        times = 0
        try:
            while True:
                yield self._chance.uniform(2.0, 5.0)
                copies = [*copies[:1], server.snapshot()]
                yield self._chance.uniform(2.0, 5.0)
                server.stop()
                server.restore(self._chance.choice(copies))
                server.start()
                times += 1
        finally:
            self.claims.append(Claim("the store went back", str(times), times > 0))

    def _start_agent(self) -> None:
        words = ["--store", self._settings.store, "--namespace", NAMESPACE]
        self._agent = Group("agent", [sys.executable, "-m", "queue_metrics", "agent", *words], self._options.root)

    def _start_worker(self) -> None:
        self._worker = python("queue_metrics.demo.worker", self._options.root)

    def _kill_worker(self, doomed: set[int]) -> None:
        """SIGKILL for all that is left of the worker's group, `doomed` already; what its main had taken from the broker dies with it."""
        if self._worker is None:
            return
        self._kills.kills += len(doomed | self._executing())
        self._worker.stop(signal.SIGKILL, 0.0)
        self._worker = None
        if self._options.library == "celery":
            # What main had taken and not given out; Celery would bring it back after an hour.
            import redis

            redis.Redis.from_url(self._options.broker).delete("unacked", "unacked_index")

    def _executing(self) -> set[int]:
        """Pids of the worker's group that execute jobs."""
        found = set()
        for pid in map(int, os.listdir(self._options.pool)):
            with contextlib.suppress(ProcessLookupError):
                if self._worker is not None and os.getpgid(pid) == self._worker.pid:
                    found.add(pid)
        return found

    def _stop_worker(self) -> bool:
        willing = super()._stop_worker()
        if self._agent is not None:  # its last flush counts what the worker's end left
            willing = self._agent.stop(signal.SIGTERM, 20.0) and willing
            self._agent = None
        return willing


# About what the library itself loses when its main process dies with what it had taken, and about how the demo kills.
NOT_WITH_MAIN_KILLED = ("jobs - kills <= started - retried <= jobs", "a quarter of the kills hit a running job")


def carry_out(name: str, directory: Path, seconds: float, seed: int) -> dict[str, Any]:
    """Carry out a plan; the answer of the demo's audit, with `claims` of [promise, numbers, whether it holds]."""
    plan = PLANS[name]
    with contextlib.ExitStack() as stack:

        def redis(*options: str) -> RedisServer:
            return stack.enter_context(RedisServer(directory, *options))

        # Copies of the store are taken and put back as RDB files, beside which there must be no append-only file.
        server = None if plan.store == "sqlite" else redis(*(("--appendonly", "no") if plan.outage == "rollback" else ()))
        options = Options(
            directory=os.fspath(directory),
            library=plan.library,
            workers=2,
            broker=redis().url if plan.library == "celery" else f"sqlite:///{directory}/broker.db",
            store=f"sqlite:///{directory}/metrics.db" if server is None else server.url,
            seed=seed,
        )
        options.save()
        (directory / "queue-metrics.toml").write_text(f"state_dir = {json.dumps(os.fspath(options.state))}\n")  # for the agent
        settings = load_settings(config=os.devnull, environ={}, store=options.store, state_dir=options.state, namespace=NAMESPACE)
        trial = Trial(plan, seconds, options, settings, open_queue(options), server)
        stack.callback(trial.close)
        trial.start()
        report = trial.finish()
        claims = [claim for claim in report["equations"] if not (plan.kill_main and claim[0] in NOT_WITH_MAIN_KILLED)]
        claims += trial.claims
        claims += steps_agree(options.store)
        claims += nothing_missing(options.store)
        if not plan.kill_main:
            claims += arrivals(options, report["answer"])
        if plan.outage in ("pause", "shutdown"):
            claims += warnings_a_minute(directory, seconds)
        return {"name": name, "answer": report["answer"], "claims": claims}


def main() -> int:
    directory, name, seconds, seed = sys.argv[1:]
    Path(directory).mkdir(parents=True, exist_ok=True)
    print(json.dumps(carry_out(name, Path(directory), float(seconds), int(seed))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
