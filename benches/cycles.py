"""Whole cycles of a job library, for callgrind: `python -m benches.cycles LIBRARY on|off N FOLDER LAYOUT [BROKER]`."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benches.native import load


def huey_steps(folder: Path) -> tuple[Any, Callable[[], None], Callable[[], None]]:
    """Enqueue; dequeue, execute and store the result: together all that Huey does for a job but the polling."""
    from huey import SqliteHuey

    huey = SqliteHuey("bench", filename=str(folder / "huey.db"), results=True)

    @huey.task()
    def nothing() -> int:
        return 1

    def enqueue() -> None:
        nothing()

    def execute() -> None:
        huey.execute(huey.dequeue())

    # A consumer has several threads, and with the first one more the C library takes its longer ways: not our cost.
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    return huey, enqueue, execute


def celery_trace(folder: Path) -> tuple[Any, Callable[[], Callable[[], None]]]:
    """The tracer alone, in which all that we add to an execution happens; to be built after we are switched on."""
    from celery import Celery

    app = Celery("bench", broker="memory://")

    @app.task(name="bench.nothing")
    def nothing() -> int:
        return 1

    app.finalize()
    request = {
        "id": "6f1a7c1e-0000-4000-8000-000000000000",
        "retries": 0,
        "delivery_info": {"routing_key": "celery"},
        "headers": {},
        "queue_metrics": 1_700_000_000_000_000,  # as a publisher with us stamps it
        "hostname": "bench",
        "args": (),
        "kwargs": {},
        "is_eager": False,
    }

    def cycle() -> None:
        nothing.__trace__("6f1a7c1e-0000-4000-8000-000000000000", (), {}, request)

    def prepare() -> Callable[[], None]:
        from celery.app import trace

        nothing.__trace__ = trace.build_tracer(nothing.name, nothing, app=app)
        return cycle

    return app, prepare


def celery_worker(folder: Path, broker: str, instrumented: bool, count: int) -> None:
    """A solo worker on a real broker; counts from the first body to the body after `count` cycles."""
    import os
    import signal

    from celery import Celery

    floor = load()
    app = Celery("bench", broker=broker)
    app.conf.update(worker_prefetch_multiplier=1, broker_connection_retry_on_startup=False, task_ignore_result=True)
    seen = 0

    @app.task(name="bench.nothing")
    def nothing() -> None:
        nonlocal seen
        seen += 1
        if seen == 11:
            floor.collect(True)
        elif seen == 11 + count:
            floor.collect(False)
            os.kill(os.getpid(), signal.SIGTERM)

    if instrumented:
        instrument(app, folder)
    for _ in range(count + 20):
        nothing.delay()
    app.Worker(pool="solo", loglevel="ERROR", without_mingle=True, without_gossip=True, without_heartbeat=True).start()


def instrument(target: Any, folder: Path) -> None:
    """Ours as a user switches it on, with a store on this machine."""
    import queue_metrics as qm

    qm.instrument(target, store=f"sqlite:///{folder}/metrics.db", state_dir=folder, namespace="bench")


def main() -> None:
    """Run the cycles; callgrind counts the ones between its marks."""
    library, state, count, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    kept = displace(int(sys.argv[5]))
    if library == "celery-worker":
        celery_worker(folder, sys.argv[6], state == "on", count)
        return
    before: list[Callable[[], None]] = []
    if library == "celery":
        app, prepare = celery_trace(folder)
        if state == "on":
            instrument(app, folder)
        counted = [prepare()]
    else:
        huey, enqueue, execute = huey_steps(folder)
        if state == "on":
            instrument(huey, folder)
        before = [enqueue] if library == "huey-execute" else []
        counted = {"huey": [enqueue, execute], "huey-enqueue": [enqueue], "huey-execute": [execute]}[library]
    repeat(30, before + counted)
    repeat(count, before)
    floor = load()
    # A full collection falls into some runs and not into others; it is as large as 13,000 instructions a cycle.
    gc.collect()
    gc.freeze()
    floor.collect(True)
    repeat(count, counted)
    floor.collect(False)
    del kept


def displace(layout: int) -> list[bytes]:
    """
    Objects of all sizes that stay, more for each layout, so that what is made later comes to lie elsewhere.

    The interpreter's caches go by addresses: two hot names that meet in one place of a cache are looked up anew at each use.
    """
    return [bytes(16 * (number % 30)) for number in range(211 * layout)]


def repeat(count: int, steps: Sequence[Callable[[], None]]) -> None:
    """Take the steps in turn."""
    for _ in range(count):
        for step in steps:
            step()


if __name__ == "__main__":
    main()
