"""The command `queue-metrics agent`: drains in place of the workers, asks configured brokers, ends in good order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from queue_metrics import _core, connect
from queue_metrics.recording.runtime import Runtime
from queue_metrics.storage.base import QUEUE
from queue_metrics.storage.manager import StorageManager
from tests.recording.tools import counts, environment, eventually, settings_for
from tests.support.patience import PATIENCE
from tests.support.servers import RedisServer, free_port

_RUN = "import argparse, sys; from queue_metrics.cli import agent as command; parser = argparse.ArgumentParser(); "
_RUN += "command.add_arguments(parser); sys.exit(command.run(parser.parse_args()))"


class Agent:
    def __init__(self, tmp_path: Path, *words: str, **variables: str) -> None:
        self._output = tmp_path / f"agent-{os.urandom(4).hex()}"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _RUN, *words],
                stdout=output,
                stderr=output,
                cwd=tmp_path,
                env={
                    **environment(),
                    "QUEUE_METRICS_STATE_DIR": os.fspath(tmp_path / "state"),
                    "QUEUE_METRICS_FLUSH_SECONDS": "0.05",
                    **variables,
                },
            )

    def said(self) -> str:
        return self._output.read_text()


@contextmanager
def agent(tmp_path: Path, *words: str, **variables: str) -> Iterator[Agent]:
    found = Agent(tmp_path, *words, **variables)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.wait()


def record(tmp_path: Path, store: str, namespace: str = "test", jobs: int = 20) -> Runtime:
    """Executions in a spool that nobody drains."""
    settings = settings_for(tmp_path, store)
    runtime = Runtime(settings, spool=settings.spools_dir / (namespace + settings.spool_suffix))
    handle = runtime.recorder.series("c", "q", namespace, _core.CLOCK_THREAD)
    for number in range(jobs):
        runtime.recorder.finished(runtime.recorder.started(handle, number, 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)
    return runtime


def test_it_drains_what_waits_and_exits_with_0_on_sigterm_after_a_last_flush(tmp_path: Path) -> None:
    store = settings_for(tmp_path).store
    runtime = record(tmp_path, store)
    with agent(tmp_path, "--store", store, "--namespace", "test", QUEUE_METRICS_FLUSH_SECONDS="3600") as found:
        eventually(lambda: counts(store)["succeeded"] == 20 and "draining" in found.said(), "it drains and says so")
        handle = runtime.recorder.series("c", "q", "late", _core.CLOCK_THREAD)
        runtime.recorder.finished(runtime.recorder.started(handle, "late", 0, _core.NO_TIME), _core.SUCCEEDED, None, 0)
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(PATIENCE) == 0
        assert counts(store)["succeeded"] == 21, "the last flush, an hour before the next"


def test_a_second_agent_says_who_drains_and_exits_with_1(tmp_path: Path) -> None:
    store = settings_for(tmp_path).store
    record(tmp_path, store)
    with agent(tmp_path, "--store", store, "--namespace", "test") as first:
        eventually(lambda: "draining" in first.said(), "it drains")
        with agent(tmp_path, "--store", store, "--namespace", "test") as second:
            assert second.process.wait(PATIENCE) == 1
            assert f"pid {first.process.pid} drains" in second.said()


def test_with_all_it_drains_every_namespace_of_the_store_also_later_ones_and_no_other(tmp_path: Path) -> None:
    store = settings_for(tmp_path).store
    record(tmp_path, store, "one")
    other = f"sqlite:///{tmp_path}/other.db"
    record(tmp_path, other, "one")
    with agent(tmp_path, "--store", store, "--all") as found:
        eventually(lambda: counts(store)["succeeded"] == 20, "the first is drained")
        record(tmp_path, store, "two")
        eventually(lambda: counts(store)["succeeded"] == 40, "the second is drained")
        assert not (tmp_path / "other.db").exists()
        found.process.send_signal(signal.SIGINT)
        assert found.process.wait(PATIENCE) == 0


def refused(tmp_path: Path, store: str) -> str:
    """What the command says that exits with 2."""
    done = subprocess.run(
        [sys.executable, "-m", "queue_metrics", "agent", "--store", store],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=tmp_path,
        env={**environment(), "QUEUE_METRICS_STATE_DIR": os.fspath(tmp_path / "state")},
        check=False,
    )
    assert done.returncode == 2, done.stderr
    return done.stderr


@pytest.mark.parametrize("depth", [0, 1])
def test_where_no_directory_can_be_it_does_not_wait_but_says_so_and_exits_with_2(tmp_path: Path, depth: int) -> None:
    file = tmp_path / "state" / "queue-metrics" if depth else tmp_path / "state"
    file.parent.mkdir(exist_ok=True)
    file.write_text("no directory")
    told = refused(tmp_path, settings_for(tmp_path).store)
    assert f"{file} is no directory" in told
    assert "QUEUE_METRICS_STATE_DIR" in told


def test_a_host_on_which_nothing_was_ever_recorded_is_shown_all_the_same(tmp_path: Path) -> None:
    """One with brokers or a store alone: its agent has no spool to drain."""
    store = settings_for(tmp_path).store
    with agent(tmp_path, "--store", store, "--namespace", "test") as found:
        eventually(lambda: connect(store).servers(), "its server is told of")
        assert "no spool yet" in found.said()
        (server,) = connect(store).servers()
    assert server.hostname == socket.gethostname()
    assert server.sample is not None
    assert server.sample.memory.total_bytes


def test_one_that_fails_over_its_configuration_leaves_nothing_in_the_store(tmp_path: Path) -> None:
    store = settings_for(tmp_path).store
    StorageManager().open(store).heartbeat_many([], 1.0)
    (tmp_path / "queue-metrics.toml").write_text('[connections.shop]\nlibrary = "huey"\napp = "nothing:x"\n')
    assert "nothing:x cannot be imported" in refused(tmp_path, store)
    assert StorageManager().open(store).read_heartbeats() == []


def test_it_waits_for_a_store_that_is_away_and_says_so(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    record(tmp_path, server.url)
    with agent(tmp_path, "--store", server.url, "--namespace", "test") as found:
        eventually(lambda: "failing" in found.said(), "it says so")
        assert server.url in found.said()
        with server:
            eventually(lambda: counts(server.url)["succeeded"] == 20, "it drains")
            eventually(lambda: "draining" in found.said(), "and says so")


def test_it_asks_the_brokers_of_the_configuration(tmp_path: Path) -> None:
    store = settings_for(tmp_path).store
    (tmp_path / "shop_app.py").write_text(
        "import huey\nshop = huey.SqliteHuey('shop', filename='huey.db')\n@shop.task()\ndef f():\n    pass\nf()\n"
    )
    with RedisServer(tmp_path) as broker:
        (tmp_path / "queue-metrics.toml").write_text(
            f'depth_seconds = 0.1\n[connections.mail]\nlibrary = "celery"\nbroker = "{broker.url}"\n'
            '[connections.shop]\nlibrary = "huey"\napp = "shop_app:shop"\n'
        )
        with agent(tmp_path, "--store", store, "--namespace", "test") as found:

            def ready() -> dict[str, int]:
                driver = StorageManager().open(store)
                queues = {series.id: series.labels for series in driver.known_series() if series.kind == QUEUE}
                now = int(_core.clock_us() / 1e6)
                points = driver.read_series(list(queues), 60, now - 600, now + 600)
                last = {queues[series]: _core.Value.decode(values[-1][1]).gauge(0) for series, values in points.items() if values}
                return {"/".join(labels): gauge[4] for labels, gauge in last.items() if gauge is not None}

            eventually(lambda: ready() == {"mail/celery": 0, "shop/shop": 1}, f"both are asked: {found.said()}")


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        ('library = "rabbit"\napp = "m:a"', "unknown job library 'rabbit'; known are celery, huey"),
        ('library = "huey"\napp = "m"', 'must be "module:attribute"'),
        ('library = "huey"\napp = "no_such_module_here:a"', "cannot be imported"),
        ('library = "huey"\nbroker = "sqlite:///x"', 'needs `app = "module:attribute"`'),
        ('library = "celery"\nbroker = "amqp://h"', "cannot be asked"),
    ],
)
def test_a_connection_that_cannot_be_asked_is_said_at_the_start(tmp_path: Path, connection: str, message: str) -> None:
    (tmp_path / "queue-metrics.toml").write_text(f"[connections.c]\n{connection}\n")
    with agent(tmp_path, "--store", f"redis://127.0.0.1:{free_port()}/0", "--namespace", "test") as found:
        assert found.process.wait(PATIENCE) != 0
        assert message in found.said()
