"""Settings of baselines, from where they are set to what a pass stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from queue_metrics.collector import collect
from queue_metrics.config import BaselineRules, load_settings
from queue_metrics.errors import ConfigurationError
from queue_metrics.insights import connect
from queue_metrics.insights.baselines import confidence, due, interval_minutes
from queue_metrics.model import Baseline
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.baselines import BASELINES, decode
from queue_metrics.storage.manager import open_store
from tests.support.fleet import NOW, Fleet, minute

LABELS = ("broker", "mail", "send")


def opened(tmp_path: Path, **baseline: object) -> StorageDriver:
    """100 executions of 100 ms two days ago, and 100 of 300 ms now."""
    driver = open_store(load_settings(store=f"sqlite:///{tmp_path}/m.db", baseline=baseline, environ={}))
    fleet = Fleet()
    for back, runtime in ((2 * 1440, 100_000), (1, 300_000)):
        fleet.task(LABELS, minute(back), counts={"started": 100, "succeeded": 100}, measures={0: [runtime] * 100})
    fleet.store(driver)
    return driver


@pytest.mark.parametrize(
    ("rules", "duration", "n", "sure"),
    [
        ({"decay_factor": 0.0}, 0.2, 200, 1.0),
        ({"decay_factor": 1.0}, 0.276, 200, 1.0),  # weights 1 and exp(-2)
        ({"sliding_window_days": 1}, 0.3, 100, 0.87),
        ({"sliding_window_days": 1, "target_sample_size": 100}, 0.3, 100, 1.0),
    ],
)
def test_a_pass_calculates_by_the_settings(tmp_path: Path, rules: dict[str, object], duration: float, n: int, sure: float) -> None:
    driver = opened(tmp_path, **rules)
    collect(driver, "test", now=NOW)
    baseline = decode(driver.get_hash(BASELINES), NOW)[LABELS]
    assert baseline.duration_seconds == pytest.approx(duration, abs=0.005)
    assert (baseline.sample_count, baseline.confidence) == (n, sure)
    driver.close()


def test_deviation_can_be_switched_off_and_has_a_threshold(tmp_path: Path) -> None:
    driver = opened(tmp_path, decay_factor=0.0)
    collect(driver, "test", now=NOW)
    said = []
    for rules in (BaselineRules(), BaselineRules(deviation_threshold=50.0), BaselineRules(deviation=False)):
        driver.baselines = rules
        answer = connect(driver, now=lambda: NOW).baseline(*LABELS).deviation
        said.append((answer.available, answer.deviates, answer.threshold))
    assert said == [(True, True, 2.0), (True, False, 50.0), (False, False, 2.0)]
    driver.close()


def test_intervals_follow_the_settings() -> None:
    rules = BaselineRules(intervals=(2, 3, 4, 5, 6), deviation_interval=1)

    def of(sure: float, deviates: bool = False) -> Baseline:
        return Baseline("broker", "mail", None, 1.0, None, None, 1, sure, NOW, deviates)

    assert [interval_minutes(each, rules) for each in (None, of(0.49), of(0.5), of(0.7), of(0.9), of(0.9, True))] == [2, 3, 4, 5, 6, 1]
    assert [due(of(0.9), NOW + 60 * number, rules) for number in (5, 6)] == [False, True]
    assert (confidence(200), confidence(200, BaselineRules(target_sample_size=1000))) == (1.0, 0.77)


def test_a_baseline_is_kept_as_long_as_is_set(tmp_path: Path) -> None:
    driver = opened(tmp_path)
    driver.lifetimes = load_settings(ttl={"baseline": 7200}, environ={}).ttl
    collect(driver, "test", now=NOW)
    assert connect(driver, now=lambda: NOW + 7200).baseline(*LABELS).available
    assert not connect(driver, now=lambda: NOW + 7201).baseline(*LABELS).available
    driver.close()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sliding_window_days", 0),
        ("sliding_window_days", 15),
        ("decay_factor", -0.1),
        ("decay_factor", 1.1),
        ("intervals", [5, 1, 10, 30, 60]),
        ("intervals", [1]),
    ],
)
def test_what_makes_no_sense_is_refused_and_the_error_names_the_key(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"baseline.{key}"):
        load_settings(baseline={key: value}, environ={})
