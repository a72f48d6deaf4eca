"""Settings reach every door by which a store is read, whether the store is named there or configured: argument > environment > TOML."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import queue_metrics as qm
from queue_metrics.config import TimeToLive, load_settings
from queue_metrics.errors import ConfigurationError
from queue_metrics.recording.runtime import Runtime
from queue_metrics.storage.manager import StorageManager, open_store
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.http.asking import TOKEN, ask
from tests.recording.tools import environment
from tests.support.fleet import Fleet, minute
from tests.support.servers import RedisServer

READ = """
import json, sys, urllib.request
import queue_metrics as qm

url = sys.argv[1] or None

def counted(path, server):
    with urllib.request.urlopen(server.url + path) as answer:
        text = answer.read().decode()
    return text

with qm.serve_in_thread(url, port=0) as server:
    (task,) = json.loads(counted("v1/tasks?minutes=230", server))["tasks"]
    names = counted("prometheus", server)
running = qm.collector(url)
running.stop()
print(json.dumps({
    "connect": qm.connect(url).task("app.send", minutes=230).runtime.n,
    "served": task["runtime_seconds"]["n"],
    "named": "mine_jobs_processed_total 240" in names,
    "stale": running._ages.stale_seconds,
}))
"""
SAID = {"QUEUE_METRICS_TTL_RAW": "3600", "QUEUE_METRICS_PROMETHEUS_NAMESPACE": "mine", "QUEUE_METRICS_STALE_SECONDS": "77"}


pytestmark = pytest.mark.usefixtures("unconfigured")


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_who_names_the_store_counts_what_who_configured_it_counts(tmp_path: Path, kind: str) -> None:
    """One execution a minute for four hours, minutes kept for one: only who knows of that reads hours for the rest."""
    with RedisServer(tmp_path) as server:
        url = server.url if kind == "redis" else f"sqlite:///{tmp_path}/metrics.db"
        fleet = Fleet()
        for back in range(240):
            fleet.task(("broker", "default", "app.send"), minute(back), counts={"started": 1, "succeeded": 1}, measures={0: [1000]})
        driver = open_store(load_settings(store=url, environ={**os.environ, **SAID}))
        fleet.store(driver)
        driver.close()

        def told(named: str, **more: str) -> dict[str, object]:
            given = {**environment(), "QUEUE_METRICS_STATE_DIR": os.environ["QUEUE_METRICS_STATE_DIR"], **SAID, **more}
            done = subprocess.run(
                [sys.executable, "-c", READ, named], cwd=tmp_path, env=given, stdout=subprocess.PIPE, text=True, check=True
            )
            found: dict[str, object] = json.loads(done.stdout)
            return found

        configured = told("", QUEUE_METRICS_STORE=url)
        assert told(url) == configured
        count = configured["connect"]
        assert isinstance(count, int)
        assert 120 < count <= 240  # whatever minute of an hour it is
        assert configured == {"connect": count, "served": count, "named": True, "stale": 77.0}


def test_an_argument_goes_before_what_is_configured_and_that_holds_for_an_open_driver_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_METRICS_TOKEN", TOKEN)
    monkeypatch.setenv("QUEUE_METRICS_ALLOWED_HOSTS", "metrics.example")
    monkeypatch.setenv("QUEUE_METRICS_PROMETHEUS_NAMESPACE", "mine")
    host, bearer = [(b"host", b"metrics.example")], (b"authorization", f"Bearer {TOKEN}".encode())
    app = qm.asgi_app(MemoryStorageDriver())
    assert ask(app, "/jobs", host=host).status == 401
    assert "mine_jobs_processed_total 0" in ask(app, "/prometheus", bearer, host=host).text
    other = qm.asgi_app(MemoryStorageDriver(), token=TOKEN * 2, allowed_hosts=["other.example"], prometheus_namespace="yours")
    assert ask(other, "/jobs", bearer).status == 401
    assert ask(other, "/jobs", host=host).status == 421
    bearer = (b"authorization", f"Bearer {TOKEN * 2}".encode())
    assert "yours_jobs_processed_total 0" in ask(other, "/prometheus", bearer).text
    monkeypatch.setenv("QUEUE_METRICS_STALE_SECONDS", "soon")
    with pytest.raises(ConfigurationError, match="QUEUE_METRICS_STALE_SECONDS"):
        qm.asgi_app(MemoryStorageDriver())


def test_a_file_is_asked_as_well(tmp_path: Path) -> None:
    (tmp_path / "queue-metrics.toml").write_text('[prometheus]\nnamespace = "mine"\n')
    assert "mine_jobs_processed_total 0" in ask(qm.asgi_app(f"sqlite:///{tmp_path}/new.db"), "/prometheus").text


def test_who_reads_changes_nothing_of_how_long_is_kept_what_this_process_records(tmp_path: Path) -> None:
    """What is told to `instrument` as an argument, who reads cannot know."""
    url = f"sqlite:///{tmp_path}/metrics.db"
    runtime = Runtime(load_settings(store=url, ttl={"raw": 3600}))
    try:
        assert qm.connect(url).overview(minutes=120).window.step_seconds == 3600
        qm.asgi_app(url)
        assert StorageManager().open(url).lifetimes == TimeToLive(raw=3600)
    finally:
        runtime.stop()
