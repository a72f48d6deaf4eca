"""That no collector runs, as every command says it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from queue_metrics.cli import EXAMPLES
from queue_metrics.storage.collector import CollectorState, write_state
from queue_metrics.storage.manager import StorageManager
from tests.cli.counted import COLLECT, counted_fleet, filled
from tests.support.fleet import NOW

pytestmark = pytest.mark.usefixtures("of_the_fleets")

SAYING = (
    ("status",),
    ("queues",),
    ("queues", "broker", "default"),
    ("tasks",),
    ("tasks", "app.send"),
    ("workers",),
    ("workers", "web-1:11"),
    ("servers",),
    ("servers", "web-1"),
    ("baselines",),
    ("baselines", "broker", "mail"),
    ("trend", "depth", "grows", "mail"),
    ("trend", "throughput", "grows", "mail"),
    ("trend", "efficiency"),
    ("calculate",),
    ("doctor",),
)
SILENT = {
    "demo": "it collects",
    "serve": "it collects",
    "agent": "it collects",
    "record-trends": "the pass itself",
    "calculate-baselines": "a duty of the collector, done by hand",
    "detect-stale-workers": "the same",
    "cleanup-stale-workers": "the same",
    "cleanup": "the same",
    **dict.fromkeys(("config", "openapi", "schema"), "it opens no store"),
    **dict.fromkeys(("migrate", "reshard"), "it shows no number of a store"),
}
"""Commands that do not say it, and why."""


def test_every_command_says_it_or_has_a_reason() -> None:
    saying = {command[0] for command in SAYING}
    assert saying | set(SILENT) == set(EXAMPLES)
    assert not saying & set(SILENT)


@pytest.mark.parametrize("columns", ["80", "100"])
@pytest.mark.parametrize("command", SAYING, ids=" ".join)
def test_a_command_that_reads_says_it_once_and_not_where_one_runs(
    command: tuple[str, ...], columns: str, file_url: str, said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queue_metrics.cli.doctor.time.time", lambda: NOW)
    monkeypatch.setenv("COLUMNS", columns)
    filled(file_url, counted_fleet())
    _, shown, err = said(*command, "--store", file_url)
    assert (" ".join(shown.split()).count(COLLECT), err) == (1, "")
    _, out, err = said(*command, "--json", "--store", file_url)
    assert COLLECT in out + err
    assert (COLLECT in err) == isinstance(json.loads(out), list)
    driver = StorageManager().open(file_url)
    write_state(driver, CollectorState(NOW, NOW - 3600, "web-1", 0))
    driver.close()
    for more in ((), ("--json",)):
        _, out, err = said(*command, *more, "--store", file_url)
        assert COLLECT not in " ".join(out.split()) + err
