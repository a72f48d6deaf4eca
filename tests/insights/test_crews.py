"""Workers together in a window: passes of the collector in, the busy share of all, of a server and of a queue out."""

from __future__ import annotations

import pytest

from queue_metrics.collector import collect
from queue_metrics.insights import Metrics, UnknownName, connect
from queue_metrics.model import WorkerSummary
from queue_metrics.model.reasons import why
from queue_metrics.storage.base import StorageDriver
from tests.support.fleet import NOW, Fleet, heartbeat, minute

MINUTES = 10


@pytest.fixture
def metrics(driver: StorageDriver) -> Metrics:
    """For ten minutes a worker of `mail` on web-1 was always busy, and one of `slow` on web-2 a quarter of it; then both were idle."""
    fleet = Fleet()
    for queue in ("mail", "slow", "quiet"):
        fleet.queue(("broker", queue), minute(1), counts={"started": 1})
    fleet.store(driver)
    for back in range(2 * MINUTES, -1, -1):
        now, worked = NOW - 60 * back, 60.0 * min(2 * MINUTES - back, MINUTES)
        rested = 60.0 * (2 * MINUTES - back) - worked
        times = {"mail": (5e5 + worked, rested), "slow": (5e5 + worked / 4, rested + worked * 3 / 4)}
        driver.heartbeat_many(
            [
                (f"web-{pid}:{pid}:77", heartbeat(host=f"web-{pid}", pid=pid, queue=queue, written=now, seen=now, busy=busy, idle=idle))
                for pid, (queue, (busy, idle)) in enumerate(times.items(), 1)
            ],
            600.0,
        )
        assert collect(driver, "test", now=now).done
    return connect(driver, now=lambda: NOW)


def share(answer: WorkerSummary) -> tuple[float | None, float | None]:
    return (None if answer.window_ratio is None else round(answer.window_ratio, 4)), answer.window_seconds


def test_a_window_is_asked_for_of_all_of_a_server_and_of_a_queue(metrics: Metrics) -> None:
    """L25: of lifetimes all of them are 99.8 % busy."""
    assert share(metrics.worker_summary()) == (0.3125, 2400.0)
    assert (
        share(metrics.worker_summary(server="web-1")) == share(metrics.worker_summary(connection="broker", queue="mail")) == (0.5, 1200.0)
    )
    assert share(metrics.worker_summary(connection="broker", queue="slow")) == (0.125, 1200.0)
    assert share(metrics.worker_summary(minutes=MINUTES)) == (0.0, 2 * (MINUTES - 0.5) * 60.0), "the open minute is half over"
    busy = metrics.worker_summary(start=minute(2 * MINUTES), end=minute(MINUTES))
    assert (busy.window_ratio, busy.window.seconds) == (0.625, 600.0)
    assert busy.window.observed_seconds == 570.0, "the first pass counts from itself on"
    assert busy.lifetime_ratio == pytest.approx(0.998, abs=1e-3)
    assert (busy.counts.live, metrics.worker_summary(server="web-2").counts.live) == (2, 1)


def test_everything_has_the_share_of_its_hour(metrics: Metrics) -> None:
    everything = metrics.everything()
    assert share(everything.summary) == share(metrics.worker_summary())
    assert everything.summary.window.observed_until == NOW
    lifetime = everything.lifetime_ratio("broker", "mail")
    assert lifetime == metrics.worker_summary(connection="broker", queue="mail").lifetime_ratio
    assert everything.lifetime_ratio("broker", "quiet") is None


def test_a_queue_that_nobody_serves_has_no_share_and_says_so(metrics: Metrics) -> None:
    quiet = metrics.worker_summary(connection="broker", queue="quiet")
    assert (share(quiet), quiet.counts.live, quiet.window.observed_from) == ((None, None), 0, None)
    assert why(quiet, "window_ratio") is not None


def test_names_that_are_unknown_or_do_not_go_together_are_refused(metrics: Metrics) -> None:
    with pytest.raises(UnknownName, match="no server 'web-11'"):
        metrics.worker_summary(server="web-11")
    with pytest.raises(UnknownName, match="no queue 'male' was recorded; did you mean 'mail'"):
        metrics.worker_summary(connection="broker", queue="male")
    for names in ({"queue": "mail"}, {"connection": "broker"}, {"server": "web-1", "connection": "broker", "queue": "mail"}):
        with pytest.raises(ValueError, match="workers are those of a server, or those of a queue"):
            metrics.worker_summary(**names)  # type: ignore[arg-type]
