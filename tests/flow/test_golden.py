"""
The whole path: jobs of each kind through real workers, and what was counted by hand is what store, API, Prometheus and page tell.

Every outcome is there at least once, and every reason for which a job ends without an execution; by both libraries, on each kind of store.
So are run times, depth and the machine: each as somebody else knows it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from queue_metrics.insights.wording import count
from tests.flow import telling
from tests.flow.checks import COUNTERS, broken, steps_agree
from tests.flow.golden import WAITING, Story, celery_story, huey_story
from tests.support.servers import RedisServer
from tests.support.sql_servers import PostgreSQLServer

NONE_IN_HUEY = {"rejected", "unknown", "result_errors"}


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Story]]:
    """All of them, side by side: mostly they wait."""
    place = tmp_path_factory.mktemp
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as threads:
        told = {}
        for library, tell in (("huey", huey_story), ("celery", celery_story)):
            redis = stack.enter_context(RedisServer(place("redis")))
            urls = {"sqlite": f"sqlite:///{place('sqlite')}/metrics.db", "redis": redis.url}
            urls["postgresql"] = stack.enter_context(PostgreSQLServer()).url
            for kind, url in urls.items():
                told[f"{library}-{kind}"] = threads.submit(tell, place(library), url)
        yield {name: future.result() for name, future in told.items()}


@pytest.fixture(params=[f"{library}-{kind}" for library in ("huey", "celery") for kind in ("sqlite", "redis", "postgresql")])
def story(request: pytest.FixtureRequest, stories: dict[str, Story]) -> Story:
    return stories[request.param]


def test_by_hand_every_outcome_and_reason_is_there(stories: dict[str, Story]) -> None:
    """Not in Huey: messages that a consumer rejects, names that it does not know, results that it cannot store."""
    never = {"clock_skews"}
    for name, story in stories.items():
        absent = NONE_IN_HUEY if name.startswith("huey") else {"skipped"}
        assert {counter for counts in story.by_hand.values() for counter in counts} == set(COUNTERS) - never - absent


def test_the_store_has_what_was_counted_by_hand(story: Story) -> None:
    assert telling.by_the_store(story.store) == story.by_hand
    assert broken(steps_agree(story.store)) == []


@pytest.mark.parametrize("part", ["lifetime", "counts"])
def test_the_api_tells_what_was_counted_by_hand(story: Story, part: str) -> None:
    assert telling.by_the_api(story.store, part) == story.by_hand


def test_prometheus_reads_what_was_counted_by_hand(story: Story) -> None:
    assert telling.by_prometheus(story.store) == story.by_hand


def test_the_series_and_endpoints_of_the_original_tell_what_was_counted_by_hand(story: Story) -> None:
    """L26: its exporter read other numbers than its endpoints did. Processed is what succeeded, debounced what had no execution."""
    by_hand = {key: telling.in_the_words_of_the_original(counts) for key, counts in story.by_hand.items()}
    assert telling.by_the_original_series(story.store) == by_hand
    assert telling.by_the_original_endpoint(story.store) == by_hand
    sums = telling.sums_of_the_original(story.store)
    assert sums == {name: sum(counts[name] for counts in by_hand.values()) for name in ("processed", "failed")}


def test_the_front_door_answers_what_was_counted_by_hand(story: Story) -> None:
    assert telling.by_the_front_door(story.store) == story.by_hand


def test_the_page_shows_the_sum_of_what_was_counted_by_hand(story: Story) -> None:
    text = telling.page(story.store)
    ended = sum(counts.get(name, 0) for counts in story.by_hand.values() for name in telling.OUTCOMES)
    assert count(ended) in text


def test_runtime_and_wait_were_measured_of_what_ran(story: Story) -> None:
    """A lost execution has neither end nor run time; each start has a wait, since each message was stamped."""
    measured = telling.measured(story.store)
    for key, counts in story.by_hand.items():
        runtimes, waits = measured[key]
        assert runtimes <= counts.get("started", 0) - counts.get("lost", 0)
        assert waits == counts.get("started", 0)


def test_run_times_depth_and_machine_are_told_as_others_know_them_and_alike_everywhere(story: Story) -> None:
    """The endpoints of the original round a time to 10 µs."""
    assert set(story.bounds["ready"]) == {WAITING}
    by_store = story.told["by_the_store"]
    for surface, told in story.told.items():
        for name, number in told.items():
            assert number is not None, (surface, name)
            low, high = story.bounds[name]
            assert low - 1e-5 <= number <= high + 1e-5, (surface, name)
            assert number == pytest.approx(by_store[name], rel=1e-12, abs=1e-5), (surface, name)
    assert story.told["by_the_store"].keys() == story.bounds.keys()
    assert story.told["by_the_api"].keys() == story.bounds.keys()
