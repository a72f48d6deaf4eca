"""The examples of the page about what the numbers mean are run, on a store that is as the page says."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from queue_metrics.insights import connect
from queue_metrics.storage.base import EXCEPTION
from queue_metrics.storage.manager import StorageManager
from tests.support.fleet import NOW, Fleet, minute

PAGE = Path(__file__).parents[2] / "docs" / "insights.md"
MAIL, SEND = ("broker", "mail"), ("broker", "mail", "app.send")


def test_the_examples_of_the_page_say_what_comes_out(tmp_path: Path) -> None:
    fleet, asked = Fleet(), round((NOW - 5) * 1e6)
    counts = {"started": 100, "succeeded": 90, "failed": 10}
    measures = {0: [1_000_000] * 90 + [4_000_000] * 10, 1: [500_000] * 100}
    fleet.task(SEND, minute(1), counts=counts, measures=measures)
    fleet.series(EXCEPTION, (*SEND, "ValueError"), minute(1), {"failed": 10})
    fleet.queue(MAIL, minute(1), counts=counts, measures=measures)
    fleet.queue(MAIL, minute(0), gauges={0: [(asked, 300)], 2: [(asked, 2)], 4: [(asked, 600_000_000)], 5: [(asked, 90_000_000)]})
    fleet.worker(state="busy", queue="mail")
    driver = StorageManager().open(f"sqlite:///{tmp_path}/m.db")
    fleet.store(driver)
    page = PAGE.read_text()
    examples = re.findall(r"^```pycon\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(examples) == 3
    space = {"metrics": connect(driver, now=lambda: NOW)}
    test = doctest.DocTestParser().get_doctest("\n".join(examples), space, PAGE.name, str(PAGE), 0)
    said: list[str] = []
    result = doctest.DocTestRunner().run(test, out=said.append)
    assert result.attempted > 10
    assert result.failed == 0, "".join(said)
    driver.close()
