"""Debian's Prometheus scrapes both texts from a real server, and its own query API answers the numbers that were put into the store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from queue_metrics.http import asgi_app
from queue_metrics.http.server import BackgroundServer, bound
from queue_metrics.model import Outcome
from queue_metrics.storage.memory import MemoryStorageDriver
from tests.http.asking import TOKEN, ask
from tests.http.everything import everything
from tests.recording.tools import eventually
from tests.support.fleet import HOSTILE, NOW
from tests.support.patience import PATIENCE
from tests.support.servers import binary, free_port

CONFIGURATION = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: ours
    authorization: {{credentials: "{token}"}}
    static_configs: [{{targets: ["{target}"]}}]
  - job_name: original
    metrics_path: /prometheus
    honor_labels: true
    authorization: {{credentials: "{token}"}}
    static_configs: [{{targets: ["{target}"]}}]
"""


class Prometheus:
    """What its query API answers."""

    def __init__(self, port: int) -> None:
        self._place = f"http://127.0.0.1:{port}/api/v1/query?"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and number of each series; none while it does not answer."""
        try:
            with self._opener.open(self._place + urllib.parse.urlencode({"query": expression}), timeout=PATIENCE) as answer:
                told: dict[str, Any] = json.load(answer)
        except OSError:
            return []
        assert told["status"] == "success", told
        return [(each["metric"], float(each["value"][1])) for each in told["data"]["result"]]

    def number(self, expression: str) -> float:
        """Of the one series that it means."""
        ((_, number),) = self.query(expression)
        return number


@pytest.fixture(scope="module")
def app() -> Any:
    driver = MemoryStorageDriver()
    everything(driver)
    return asgi_app(driver, token=TOKEN, now=lambda: NOW)


@pytest.fixture(scope="module")
def prometheus(app: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It scraped both at least once."""
    directory: Path = tmp_path_factory.mktemp("prometheus")
    port = free_port()
    with BackgroundServer(app, bound("127.0.0.1", 0)) as server:
        target = urllib.parse.urlsplit(server.url).netloc
        (directory / "prometheus.yml").write_text(CONFIGURATION.format(token=TOKEN, target=target))
        place = [f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data"]
        words = [binary("prometheus"), *place, f"--web.listen-address=127.0.0.1:{port}"]
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log, cwd=directory, start_new_session=True)
        try:
            asked = Prometheus(port)

            def scraped() -> bool:
                assert process.poll() is None, (directory / "log").read_text()[-3000:]
                return len(asked.query("up == 1")) == 2

            eventually(scraped, "both were scraped")
            yield asked
        finally:
            os.kill(process.pid, signal.SIGTERM)
            process.wait(PATIENCE)


def test_every_sample_of_both_was_taken(app: Any, prometheus: Prometheus) -> None:
    """None is refused, and none counts as a second one of the same series."""
    for job, path in (("ours", "/metrics"), ("original", "/prometheus")):
        text = ask(app, path, (b"authorization", b"Bearer " + TOKEN.encode())).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        assert prometheus.number(f'scrape_samples_scraped{{job="{job}"}}') == len(samples)
        assert prometheus.number(f'scrape_samples_post_metric_relabeling{{job="{job}"}}') == len(samples)


def test_counters_are_what_was_put_into_the_store(prometheus: Prometheus) -> None:
    expected = {"succeeded": 6, "failed": 1, "timed_out": 1, "lost": 1, "cancelled": 1, "retried": 2}
    told = {labels["outcome"]: number for labels, number in prometheus.query('queue_metrics_executions_total{task="app.mail"}')}
    assert told == {outcome.value: expected[outcome.value] for outcome in Outcome}
    assert prometheus.number('laravel_queue_job_processed_total{job="app.mail", queue="mail", connection="broker"}') == 6
    assert prometheus.number('laravel_queue_job_failed_total{job="app.mail"}') == 3


def test_a_histogram_answers_quantiles_of_its_buckets(prometheus: Prometheus) -> None:
    """11 runs of 2 s, between the bounds 1 and 2.5."""
    bucket = 'queue_metrics_runtime_seconds_bucket{task="app.mail"}'
    assert prometheus.number(f"histogram_quantile(0.5, {bucket})") == pytest.approx(1 + 1.5 * 0.5)
    assert prometheus.number('queue_metrics_runtime_seconds_sum{task="app.mail"}') == 22


def test_hostile_names_arrive_letter_for_letter(prometheus: Prometheus) -> None:
    names = {labels["task"] for labels, _ in prometheus.query("queue_metrics_started_total")}
    assert names == {*HOSTILE, "app.mail", "app.send", "app.bounce"}


def test_servers_and_whole_queues_have_the_labels_of_the_original(prometheus: Prometheus) -> None:
    told = {labels["hostname"]: number for labels, number in prometheus.query("server_cpu_usage_percent")}
    assert told == {"web-1": 50, "web-10": 75}
    baselines = {labels.get("job"): number for labels, number in prometheus.query("laravel_queue_baseline_duration_ms")}
    assert baselines == {"app.mail": 2500, None: 1500}
