"""
Tasks that fork, close every descriptor, leave their directory, vanish or are interrupted anywhere; names of any kind.

Two workers with two stores live beside each other with one state directory, and nothing of one gets into the other's numbers.
"""

from __future__ import annotations

import contextlib
import html
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from queue_metrics.insights.wording import name as shown_name
from tests.flow import telling
from tests.flow.shown import CELERY, HUEY, Place, celery_worker, huey_worker, until
from tests.flow.telling import Counts
from tests.support.fleet import HOSTILE
from tests.support.servers import RedisServer

OFTEN = 40
QUEUE = " ".join(HOSTILE[:-1])
CONNECTION = HOSTILE[0]


@dataclass(frozen=True)
class Rough:
    """What is left of a worker."""

    place: Place
    counts: Counts
    begun: dict[str, int]
    doctor: dict[str, Any]
    spools: list[str]

    def of(self, task: str) -> dict[str, int]:
        (found,) = (counts for labels, counts in self.counts.items() if labels[2].removeprefix("deeds.") == task)
        return found


def is_closed(place: Place) -> bool:
    counts = telling.by_the_store(place.store).values()
    started = sum(found.get("started", 0) for found in counts)
    return started > 0 and started == sum(found.get(outcome, 0) for found in counts for outcome in telling.OUTCOMES)


def waiting(place: Place) -> int:
    """Jobs in the queue of Huey."""
    with contextlib.closing(sqlite3.connect(place.directory / "huey.db")) as database:
        return int(database.execute("SELECT count(*) FROM task").fetchone()[0])


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Rough]]:
    """A Huey and a Celery worker at the same time."""
    directory = tmp_path_factory.mktemp("rough")
    state = directory / "state"
    with RedisServer(directory) as broker, RedisServer(directory) as server:
        huey = Place(directory / "huey", f"sqlite:///{directory}/metrics.db", state)
        celery = Place(directory / "celery", server.url, state)
        deeds = ["moves", "forks", "quiet", "vanishes"]
        with huey_worker(huey) as of_huey, celery_worker(celery, broker.url) as of_celery:
            of_huey.run(HUEY, *deeds, "forks_and_returns", *["interrupted"] * OFTEN, *["quiet"] * OFTEN)
            of_celery.run(CELERY, *deeds, "closes", *["quiet"] * OFTEN)
            # Interrupted where it takes a job from its queue, Huey loses that job.
            until(of_huey, lambda: not waiting(huey), "no job is left")
            until(of_celery, lambda: celery.begun("quiet") == OFTEN + 1, "no job is left")
            places = {"huey": (huey, of_huey), "celery": (celery, of_celery)}
            for place, running in places.values():
                until(running, lambda place=place: place.begun("vanishes") and is_closed(place), "all is closed")  # type: ignore[misc]
            found = {
                name: Rough(
                    place,
                    telling.by_the_store(place.store),
                    {path.name.removeprefix("begun-"): path.stat().st_size for path in place.directory.glob("begun-*")},
                    place.doctor(),
                    sorted(path.name for path in (state / "queue-metrics").iterdir()),
                )
                for name, (place, _) in places.items()
            }
        yield found


@pytest.mark.parametrize("library", ["huey", "celery"])
def test_tasks_that_fork_move_or_vanish_are_counted_as_what_they_were(both: dict[str, Rough], library: str) -> None:
    rough = both[library]
    for task in ("forks", "moves", *(["forks_and_returns"] if library == "huey" else [])):
        assert rough.begun[task] == 1
        assert rough.of(task) == {"started": 1, "succeeded": 1, "arrivals": 1}
    assert rough.begun["vanishes"] == 1
    assert rough.of("vanishes") == {"started": 1, "lost": 1, "arrivals": 1}


def test_what_closed_all_descriptors_is_counted_and_so_is_what_came_behind_it(both: dict[str, Rough]) -> None:
    rough = both["celery"]
    assert rough.begun["closes"] == 1
    assert rough.of("closes") == {"started": 1, "succeeded": 1, "arrivals": 1}
    assert rough.begun["quiet"] == rough.of("quiet")["succeeded"] == OFTEN + 1


def test_no_interruption_leaves_an_execution_open_or_counts_one_twice(both: dict[str, Rough]) -> None:
    """A signal in our code before the body ends an execution whose body never began; Huey itself may die of one behind it."""
    rough = both["huey"]
    started = ended = 0
    for task in ("interrupted", "quiet"):
        counts = rough.of(task)
        started, ended = counts["started"], sum(counts.get(outcome, 0) for outcome in telling.OUTCOMES)
        assert started == ended
        early = counts.get("timed_out", 0) + counts.get("lost", 0)
        assert rough.begun[task] <= started <= rough.begun[task] + early
    assert rough.begun["interrupted"] > OFTEN / 4


def test_two_apps_with_two_stores_have_two_spools_and_share_no_number(both: dict[str, Rough]) -> None:
    assert {labels[:2] for labels in both["huey"].counts} == {("huey", "rough")}
    assert {labels[:2] for labels in both["celery"].counts} == {("rough", "celery")}
    assert both["huey"].place.spool != both["celery"].place.spool
    assert both["huey"].spools == sorted(rough.place.spool.name for rough in both.values())
    for library, other in (("huey", "celery"), ("celery", "huey")):
        (found,) = both[library].doctor["spools"]
        assert found["path"] == str(both[library].place.spool)
        assert both[library].doctor["other_spools"] == [str(both[other].place.spool)]


def test_names_of_any_kind_are_the_same_in_store_api_metrics_and_page(tmp_path: Path) -> None:
    """Task, queue and connection; job ids are text, numbers and bytes."""
    place = Place(tmp_path / "worker", f"sqlite:///{tmp_path}/metrics.db", tmp_path / "state")
    by_hand = {(CONNECTION, QUEUE, f"deeds.{name}"): {"started": 1, "succeeded": 1, "arrivals": 1} for name in HOSTILE}
    names = {"FLOW_QUEUE": QUEUE, "FLOW_CONNECTION": CONNECTION}
    with huey_worker(place, **names) as running:
        running.run(HUEY, "strange")
        until(running, lambda: telling.by_the_store(place.store) == by_hand, "all is counted")
        until(running, lambda: telling.queues(place.store) == {(CONNECTION, QUEUE): 0}, "the queue is asked")
    assert place.begun("quiet") == len(HOSTILE)
    for told in (telling.by_the_api, telling.by_prometheus, telling.by_the_front_door):
        assert told(place.store) == by_hand
    text = telling.page(place.store)
    assert "<script" not in text
    assert "<img" not in text
    visible = html.unescape(text.replace("<wbr>", ""))
    for name in (*(task for _, _, task in by_hand), QUEUE, CONNECTION):
        assert shown_name(name, 160) in visible
    assert json.dumps(place.doctor())
