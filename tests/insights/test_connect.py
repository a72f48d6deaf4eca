"""Which store `connect` opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import queue_metrics as qm
from queue_metrics.errors import ConfigurationError
from queue_metrics.storage.manager import StorageManager
from tests.support.fleet import Fleet, minute

pytestmark = pytest.mark.usefixtures("unconfigured")


def filled(url: str, prefix: str, task: str) -> None:
    fleet = Fleet()
    fleet.task(("broker", "default", task), minute(1), counts={"started": 1, "succeeded": 1})
    driver = StorageManager(prefix).open(url)
    fleet.store(driver)
    driver.close()


def test_without_a_url_the_configured_store_is_read_under_the_configured_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/metrics.db"
    monkeypatch.setenv("QUEUE_METRICS_STORE", url)
    filled(url, "queue_metrics", "app.usual")
    filled(url, "other", "app.other")
    assert [task.task for task in qm.connect().tasks()] == ["app.usual"]
    monkeypatch.setenv("QUEUE_METRICS_PREFIX", "other")
    assert [task.task for task in qm.connect().tasks()] == ["app.other"]
    assert [task.task for task in qm.connect(prefix="queue_metrics").tasks()] == ["app.usual"]


def test_a_url_goes_before_the_configured_one_and_all_else_stays_as_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_METRICS_STORE", f"sqlite:///{tmp_path}/elsewhere.db")
    monkeypatch.setenv("QUEUE_METRICS_PREFIX", "other")
    url = f"sqlite:///{tmp_path}/metrics.db"
    filled(url, "queue_metrics", "app.usual")
    filled(url, "other", "app.other")
    assert [task.task for task in qm.connect(url).tasks()] == ["app.other"]
    assert [task.task for task in qm.connect(url, prefix="queue_metrics").tasks()] == ["app.usual"]


def test_without_anything_the_default_store_is_read(tmp_path: Path) -> None:
    assert qm.connect().store == f"sqlite:///{tmp_path}/state/queue-metrics/metrics.db"


def test_a_wrong_setting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_METRICS_STALE_SECONDS", "soon")
    with pytest.raises(ConfigurationError, match="QUEUE_METRICS_STALE_SECONDS"):
        qm.connect()


def test_windows_take_the_steps_that_are_configured_to_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_METRICS_STORE", f"sqlite:///{tmp_path}/kept.db")
    assert qm.connect().overview(minutes=120).window.step_seconds == 60
    monkeypatch.setenv("QUEUE_METRICS_TTL_RAW", "3600")
    assert qm.connect().overview(minutes=120).window.step_seconds == 3600
    assert qm.connect().overview(minutes=60).window.step_seconds == 60


@pytest.mark.parametrize("ages", [{"stale_seconds": 400}, {"lost_seconds": 30}, {"stale_seconds": 90, "lost_seconds": 80}])
def test_nobody_is_lost_before_he_is_stale_wherever_the_store_comes_from(tmp_path: Path, ages: dict[str, Any]) -> None:
    """The same words, whether the store is configured, a URL, or open already."""
    url = f"sqlite:///{tmp_path}/metrics.db"
    driver = StorageManager().open(url)
    for store in (None, url, driver):
        with pytest.raises(ConfigurationError, match=r"lost_seconds \(.*\) must not be less than stale_seconds"):
            qm.connect(store, **ages)
    assert qm.connect(driver, stale_seconds=300).workers() == ()
    driver.close()
