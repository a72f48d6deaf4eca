"""Executions by server: from recorders on two hosts through a journal into every store, equal to what was run and to the tasks' totals."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.recording.drain import Drain
from queue_metrics.storage.base import DAY, HOUR, MINUTE, SERVER, SERVER_TASK, TASK, StorageDriver
from tests.storage.batches import plain

PLAN = [  # host, queue, task, runs, of which fail
    ("web-1", "mail", "send", 7, 2),
    ("web-2", "mail", "send", 5, 0),
    ("web-1", "mail", "digest", 1, 1),
    ("web-2", "slow", "send", 4, 3),
]
EXECUTIONS = (0, 1, 2, 3, 4, 5, 6, 8, 10)  # counters that have a server: started, the outcomes, retries that follow, clock skew


def run(recorder: _core.Recorder, queue: str, task: str, runs: int, failures: int) -> None:
    series = recorder.series("broker", queue, task, _core.CLOCK_PROCESS)
    for job in range(runs):
        recorder.arrived(series, f"{job}", 0, _core.NO_TIME)
        slot = recorder.started(series, f"{job}", 0, _core.NO_TIME)
        recorder.finished(slot, _core.FAILED if job < failures else _core.SUCCEEDED, "ValueError" if job < failures else None, 0)


def drained(spool: Path, driver: StorageDriver) -> None:
    drain = Drain(spool, _core.Recorder(str(spool), "the host of the drainer"), driver)
    while not drain.step():
        pass
    drain.close()


def merged(values: list[bytes]) -> _core.Value:
    total = _core.Value()
    for value in values:
        total = total.merge(_core.Value.decode(value))
    return total


def executions(value: _core.Value) -> tuple[dict[int, int], dict[int, object]]:
    """What the sums over servers and a task have in common, to the last integer."""
    found = plain(value.encode())
    return {index: count for index, count in found["counters"].items() if index in EXECUTIONS}, found["measures"]


@pytest.mark.parametrize("shared", [True, False], ids=["one spool", "a spool each"])
def test_the_sum_over_servers_is_the_task_to_the_last_integer(driver: StorageDriver, tmp_path: Path, shared: bool) -> None:
    for host, queue, task, runs, failures in PLAN:
        spool = tmp_path / ("shared" if shared else host)
        spool.mkdir(mode=0o700, exist_ok=True)
        run(_core.Recorder(str(spool), host), queue, task, runs, failures)
    for spool in sorted(path for path in tmp_path.iterdir() if path.is_dir()):
        drained(spool, driver)

    known = driver.known_series()
    totals = driver.read_totals([one.id for one in known])
    of = {(one.kind, one.labels): _core.Value.decode(totals[one.id]) for one in known}
    for host, queue, task, runs, failures in PLAN:
        value = of[SERVER_TASK, (host, "broker", queue, task)]
        assert (value.counter(0), value.counter(1), value.counter(2)) == (runs, runs - failures, failures)
        measured = value.measure(0)
        assert measured is not None
        assert measured[0] == runs
    by_host = Counter({host: sum(runs for at, _, _, runs, _ in PLAN if at == host) for host in ("web-1", "web-2")})
    assert {labels[0]: value.counter(0) for (kind, labels), value in of.items() if kind == SERVER} == by_host
    tasks = {labels: value for (kind, labels), value in of.items() if kind == TASK}
    assert len(tasks) == 3
    for labels, value in tasks.items():
        shares = [part.encode() for (kind, names), part in of.items() if kind == SERVER_TASK and names[1:] == labels]
        assert executions(merged(shares)) == executions(value)
        assert value.counter(7) == value.counter(0), "arrivals have no server"
    servers = merged([part.encode() for (kind, _), part in of.items() if kind == SERVER])
    assert executions(servers) == executions(merged([value.encode() for value in tasks.values()]))

    for step, kinds in {MINUTE: [SERVER], HOUR: [SERVER, SERVER_TASK], DAY: [SERVER]}.items():
        for kind in kinds:
            ids = [one.id for one in known if one.kind == kind]
            points = [value for found in driver.read_series(ids, step, 0, 2**41).values() for _, value in found]
            found = plain(merged(points).encode())
            assert found["counters"][0] == sum(runs for *_, runs, _ in PLAN)
            assert found["sketches"] == {}
            assert found["measures"][0][2] is not None, "points have a least"
            whole = plain(servers.encode())
            assert found["counters"] == whole["counters"]
            assert {index: each[:2] for index, each in found["measures"].items()} == {i: each[:2] for i, each in whole["measures"].items()}
