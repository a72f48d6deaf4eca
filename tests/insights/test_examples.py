"""The examples of the page about what the numbers mean are run, each section on a store that is as the page says."""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from queue_metrics.collector.passes import collect
from queue_metrics.insights import connect
from queue_metrics.model.servers import CpuUse, MemoryUse, ServerSample
from queue_metrics.storage.base import EXCEPTION, StorageDriver
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.servers import server_beat
from tests.support.fleet import NOW, Fleet, minute

PAGE = Path(__file__).parents[2] / "docs" / "insights.md"
MAIL, SEND = ("broker", "mail"), ("broker", "mail", "app.send")
SECTIONS = ("Tasks", "Queues", "Health of the whole", "What is not known, and how fresh it is", "Workers", "Servers", "Baselines", "Trends")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StorageDriver]:
    driver = StorageManager().open(f"sqlite:///{tmp_path}/m.db")
    yield driver
    driver.close()


def sections() -> dict[str, str]:
    """The examples of each section of the page, together."""
    parts = re.split(r"^## (.+)\n", PAGE.read_text(), flags=re.MULTILINE)
    found = {
        name: re.findall(r"^```pycon\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    return {name: "\n".join(examples) for name, examples in found.items() if examples}


def say(driver: StorageDriver, *names: str) -> None:
    """Run the examples of these sections, one after the other."""
    space = {"metrics": connect(driver, now=lambda: NOW)}
    test = doctest.DocTestParser().get_doctest("\n".join(sections()[name] for name in names), space, PAGE.name, str(PAGE), 0)
    said: list[str] = []
    result = doctest.DocTestRunner().run(test, out=said.append)
    assert result.attempted >= 2
    assert result.failed == 0, "".join(said)


def test_every_section_has_examples() -> None:
    assert tuple(sections()) == SECTIONS


def test_tasks_and_queues_are_as_their_examples_say(store: StorageDriver) -> None:
    fleet, asked = Fleet(), round((NOW - 5) * 1e6)
    counts = {"started": 100, "succeeded": 90, "failed": 10}
    measures = {0: [1_000_000] * 90 + [4_000_000] * 10, 1: [500_000] * 100}
    fleet.task(SEND, minute(1), counts=counts, measures=measures)
    fleet.series(EXCEPTION, (*SEND, "ValueError"), minute(1), {"failed": 10})
    fleet.queue(MAIL, minute(1), counts=counts, measures=measures)
    fleet.queue(MAIL, minute(0), gauges={0: [(asked, 300)], 2: [(asked, 2)], 4: [(asked, 600_000_000)], 5: [(asked, 90_000_000)]})
    fleet.worker(state="busy", queue="mail")
    fleet.store(store)
    say(store, *SECTIONS[:4])


def test_workers_are_as_their_example_says(store: StorageDriver) -> None:
    month = 30 * 86400.0
    for idle in (0.0, 60.0, 120.0):
        now, fleet = NOW - 120 + idle, Fleet()
        fleet.worker(busy=month, idle=idle, process_started=now - month - idle, written=now)
        fleet.store(store)
        assert idle == 120.0 or collect(store, "test", now=now).done
    say(store, "Workers")


def test_servers_are_as_their_example_says(store: StorageDriver) -> None:
    fleet = Fleet()
    fleet.beats.append(server_beat("web-1", ServerSample(cpu=CpuUse(usage_ratio=0.95, host_cores=4), memory=MemoryUse(usage_ratio=0.85))))
    fleet.store(store)
    say(store, "Servers")


def test_baselines_are_as_their_example_says(store: StorageDriver) -> None:
    fleet, memory = Fleet(), 256 * 2**20
    for task, n, runtime, cpu in (("app.send", 150, 1_000_000, 500_000), ("app.resize", 50, 4_000_000, 400_000)):
        counts = {"started": n, "succeeded": n}
        fleet.task((*MAIL, task), minute(3), counts=counts, measures={0: [runtime] * n, 2: [cpu] * n, 3: [memory] * n})
    fleet.queue(MAIL, minute(3), counts={"started": 200, "succeeded": 200})
    fleet.store(store)
    assert collect(store, "test", now=NOW).done
    say(store, "Baselines")


def test_trends_are_as_their_example_says(store: StorageDriver) -> None:
    fleet = Fleet()
    for back in range(30, 0, -1):
        told = round((minute(back) + 55) * 1e6)
        counts = {"arrivals": 24, "started": 12, "succeeded": 12}
        fleet.queue(MAIL, minute(back), counts=counts, measures={0: [5_000_000] * 12}, gauges={0: [(told, 12 * (31 - back))]})
    fleet.worker(state="busy", queue="mail")
    fleet.store(store)
    say(store, "Trends")
