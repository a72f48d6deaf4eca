"""
The stories of the golden path: jobs of each kind through real workers, counted by hand; then an agent, which asks for depth.

Every outcome is there at least once, and every reason for which a job ends without an execution; besides a job that sleeps, and a queue
that nobody works on.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import redis as redis_library

from tests.flow import figures, telling
from tests.flow.figures import Figures, Subject
from tests.flow.telling import Counts
from tests.hooks.apps.celery_names import HOSTILE
from tests.hooks.processes import Worker, worker
from tests.hooks.test_huey import DISCARDED, OUTCOMES, TIMED
from tests.recording.tools import eventually
from tests.support.servers import RedisServer

INSTRUMENTED = "tests.flow.instrumented"
SLEEPING, SLEEP_SECONDS, WAITING = 3, 0.2, 4
"""How many jobs sleep, and for how long; how many wait in the queue that nobody works on."""


def expected(outcomes: Sequence[str] = (), **others: int) -> dict[str, int]:
    """Counters of a task whose executions ended so; `+`: another attempt follows, which arrives too."""
    counts = Counter(word.removesuffix("+") for word in outcomes)
    counts.update(started=len(outcomes), retries_following=sum(word.endswith("+") for word in outcomes))
    counts.update(others)
    return dict(+counts)


@dataclass(frozen=True)
class Story:
    """What happened, and what was told of it."""

    store: str
    by_hand: Counts
    bounds: Mapping[str, tuple[float, float]]
    """Of each figure by hand: a run time is not shorter than the body by its own clock, nor longer than what the library put around it."""
    told: Mapping[str, Figures]
    """By surface, all at one time: depth is only known while somebody asks."""


def environment(directory: Path, store: str) -> dict[str, str]:
    return {
        "QUEUE_METRICS_STORE": store,
        "QUEUE_METRICS_STATE_DIR": os.fspath(directory / "state"),
        "QUEUE_METRICS_NAMESPACE": "flow",
        "QUEUE_METRICS_FLUSH_SECONDS": "0.2",
    }


def counted(running: Worker, store: str, by_hand: Counts, warm: signal.Signals) -> None:
    """Wait until everything is counted: nothing may come behind that, nor by the worker's end, asked for by the signal `warm`."""

    def missing() -> Counts:
        found = telling.by_the_store(store)
        return {key: found.get(key, {}) for key in by_hand.keys() | found.keys() if found.get(key) != by_hand.get(key)}

    def arrived() -> bool:
        assert running.process.poll() is None, running.log()[-3000:]
        return not missing()

    try:
        eventually(arrived, "everything is counted", 120)
    except AssertionError as error:
        # Whether the library did not run it or we did not count it, the worker's log and the spool tell.
        spool = sorted(f"{path.name} {path.stat().st_size}" for path in (running.directory / "state").rglob("*") if path.is_file())
        raise AssertionError(f"counted otherwise: {missing()}; left in the spool: {spool}; {running.log()}") from error
    running.stop(warm)


def slept(directory: Path) -> dict[str, tuple[float, float]]:
    """Bounds of the run times of the jobs that sleep, from four moments of each; the store rounds each run time to a µs."""
    moments = [[int(line) / 1e9 for line in path.read_text().split()] for path in directory.glob("moments-*")]
    runs = [those[at : at + 4] for those in moments for at in range(0, len(those), 4)]
    assert len(runs) == SLEEPING
    pairs = [(ended - begun - 1e-6, after - before + 1e-6) for before, begun, ended, after in runs]
    assert all(ended - begun >= SLEEP_SECONDS for _, begun, ended, _ in runs)
    low, high = (tuple(side) for side in zip(*pairs, strict=True))
    return {
        "runs": (SLEEPING, SLEEPING),
        "runtime_sum": (sum(low), sum(high)),
        "runtime_mean": (sum(low) / SLEEPING, sum(high) / SLEEPING),
        "runtime_max": (max(low), max(high)),
    }


def of_this_machine() -> dict[str, tuple[float, float]]:
    """As its kernel says."""
    (line,) = (line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    memory, cores = int(line.split()[1]) * 1024, os.sysconf("SC_NPROCESSORS_ONLN")
    return {"memory": (memory, memory), "cores": (cores, cores)}


def told(directory: Path, store: str, by_hand: Counts, subject: Subject, waiting: int, connection: str) -> Story:
    """The story, with what the surfaces tell while an agent asks how deep the queues of a connection are, and looks at the machine."""
    configuration = directory / "queue-metrics.toml"
    configuration.write_text(f"[connections.{subject.queue[0]}]\n{connection}\n")
    configured = {**environment(directory, store), "QUEUE_METRICS_CONFIG": os.fspath(configuration)}
    with worker(directory, "queue_metrics", "agent", **configured) as agent:

        def known() -> bool:
            assert agent.process.poll() is None, agent.log()[-3000:]
            return bool(figures.by_the_store(store, subject))

        eventually(known, "depth and server are told", 60)
        surfaces = {surface.__name__: surface(store, subject) for surface in figures.SURFACES}
    return Story(store, by_hand, {**slept(directory), **of_this_machine(), "ready": (waiting, waiting)}, surfaces)


def huey_story(directory: Path, store: str) -> Story:
    by_hand: Counts = {}
    sleeping = {"sleeps" if number == 0 else f"sleeps@0.{number}": ["succeeded"] for number in range(SLEEPING)}
    jobs: Mapping[str, list[str]] = {**OUTCOMES, **TIMED, **sleeping, "killed": ["lost"]}
    for job, outcomes in jobs.items():
        # The second attempt of this one waits in the schedule for an hour.
        arrivals = 2 if job == "limited_retry" else len(outcomes)
        key = ("huey", "mail", f"tests.hooks.apps.huey_app.{job.partition('@')[0]}")
        by_hand[key] = dict(Counter(by_hand.get(key, {})) + Counter(expected(outcomes, arrivals=arrivals)))
    for job, reason in DISCARDED.items():
        by_hand["huey", "mail", f"tests.hooks.apps.huey_app.{job}"] = {"arrivals": 1, reason: 1}
    by_hand["idle", "idle", "tests.flow.apps.idle_huey.waits"] = {"arrivals": WAITING}
    words = (INSTRUMENTED, "tests.hooks.apps.huey_app", "tests.hooks.apps.huey_consume", "process")
    with worker(directory, *words, **environment(directory, store)) as running:
        running.run(INSTRUMENTED, "tests.hooks.apps.huey_app", "tests.hooks.apps.huey_send", *jobs, *DISCARDED)
        running.run("tests.flow.apps.idle_huey", str(WAITING))
        counted(running, store, by_hand, signal.SIGINT)
    with closing(sqlite3.connect(directory / "huey.db")) as broker:
        (waiting,) = broker.execute("select count(*) from task where queue = 'idle'").fetchone()
    subject = Subject(("huey", "mail", "tests.hooks.apps.huey_app.sleeps"), ("idle", "idle"), socket.gethostname())
    return told(directory, store, by_hand, subject, waiting, 'library = "huey"\napp = "tests.flow.apps.idle_huey:huey"')


CELERY = {
    # Three jobs of it ran, or were to run; what other tasks call directly is no execution.
    "ok": expected(["succeeded", "succeeded"], arrivals=5, revoked=1, expired=1, rejected=1),
    "fail": expected(["failed"], arrivals=1),
    "retry": expected(["retried+", "succeeded"], arrivals=2),
    "autoretry": expected(["retried+", "failed"], arrivals=2),
    "ignore": expected(["succeeded"], arrivals=1),
    "reject": expected(["failed"], arrivals=1),
    "requeue": expected(["retried+", "succeeded"], arrivals=1),
    "soft": expected(["timed_out"], arrivals=1),
    "hard": expected(["timed_out"], arrivals=1),
    "long": expected(["cancelled"], arrivals=1),
    "killed": expected(["lost"], arrivals=1),
    "vanishes": expected(["lost"], arrivals=1),
    "exits": expected(["failed"], arrivals=1),
    "unencodable": expected(["succeeded"], arrivals=1, result_errors=1),
    "body_cannot_encode": expected(["failed"], arrivals=1),
    "needs_arguments": expected(["failed"], arrivals=1),
    **{name: expected(["succeeded"], arrivals=1) for name in ("outer", "recursive", "shared", "own_call", "class_based", "late", HOSTILE)},
    "nobody.knows": expected(arrivals=1, unknown=1),
    "sleeps": expected(["succeeded"] * SLEEPING, arrivals=SLEEPING),
}


def celery_story(directory: Path, store: str) -> Story:
    plan = [
        ["revoke", "revoked", None, None, None],
        ["send", "revoked", "ok", [], {}],
        ["send", "expired", "ok", [], {"expires": -10}],
        ["send", "rejected", "ok", [], {"headers": {"eta": "no moment"}}],
        ["send", "countdown", "ok", [], {"countdown": 1}],
        ["send", "unknown", "nobody.knows", [], {}],
        ["send", "terminated", "long", ["terminated"], {}],
        *(["send", f"sleeps-{number}", "sleeps", [], {}] for number in range(SLEEPING)),
        *(["send", f"waits-{number}", "nobody.comes", [], {"queue": "idle"}] for number in range(WAITING)),
        *(
            ["send", task, "hostile" if task == HOSTILE else task, [], {}]
            for task in CELERY
            if task not in ("long", "nobody.knows", "sleeps")
        ),
    ]
    by_hand: Counts = {("shop", "celery", task): counts for task, counts in CELERY.items()}
    by_hand["shop", "idle", "nobody.comes"] = {"arrivals": WAITING}
    app = "tests.hooks.apps.celery_app"
    words = (INSTRUMENTED, app, "celery", "-A", app, "worker", "-P", "prefork", "-c", "3", "-l", "INFO", "--without-gossip")
    with (
        RedisServer(directory) as broker,
        worker(directory, *words, HOOK_TEST_BROKER=broker.url, **environment(directory, store)) as running,
    ):
        eventually(lambda: " ready." in running.log() or running.process.poll() is not None, "it answers a revocation")
        running.run(INSTRUMENTED, app, "tests.hooks.apps.celery_send", json.dumps(plan))
        eventually((directory / "begun-terminated").exists, "the job to be terminated runs")
        terminate = json.dumps([["terminate", "terminated", None, None, None]])
        running.run(INSTRUMENTED, app, "tests.hooks.apps.celery_send", terminate)
        counted(running, store, by_hand, signal.SIGTERM)
        with redis_library.Redis.from_url(broker.url) as client:
            waiting = int(client.llen("idle"))
        subject = Subject(("shop", "celery", "sleeps"), ("shop", "idle"), socket.gethostname())
        return told(directory, store, by_hand, subject, waiting, f'library = "celery"\nbroker = "{broker.url}"')
