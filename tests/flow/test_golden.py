"""
The whole path: jobs of each kind through real workers, and what was counted by hand is what store, API, Prometheus and page tell.

Every outcome is there at least once, and every reason for which a job ends without an execution; by both libraries, on each kind of store.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from queue_metrics.insights.wording import count
from tests.flow import telling
from tests.flow.checks import COUNTERS, broken, steps_agree
from tests.flow.telling import Counts
from tests.hooks.apps.celery_names import HOSTILE
from tests.hooks.processes import Worker, worker
from tests.hooks.test_huey import DISCARDED, OUTCOMES, TIMED
from tests.recording.tools import eventually
from tests.support.servers import RedisServer
from tests.support.sql_servers import PostgreSQLServer

INSTRUMENTED = "tests.flow.instrumented"
NONE_IN_HUEY = {"rejected", "unknown", "result_errors"}


def expected(outcomes: Sequence[str] = (), **others: int) -> dict[str, int]:
    """Counters of a task whose executions ended so; `+`: another attempt follows, which arrives too."""
    counts = Counter(word.removesuffix("+") for word in outcomes)
    counts.update(started=len(outcomes), retries_following=sum(word.endswith("+") for word in outcomes))
    counts.update(others)
    return dict(+counts)


@dataclass(frozen=True)
class Story:
    store: str
    by_hand: Counts
    directory: Path


def environment(directory: Path, store: str) -> dict[str, str]:
    return {
        "QUEUE_METRICS_STORE": store,
        "QUEUE_METRICS_STATE_DIR": os.fspath(directory / "state"),
        "QUEUE_METRICS_NAMESPACE": "flow",
        "QUEUE_METRICS_FLUSH_SECONDS": "0.2",
    }


def counted(running: Worker, store: str, by_hand: Counts, warm: signal.Signals) -> Story:
    """The story, once everything is counted: nothing may come behind that, nor by the worker's end, asked for by the signal `warm`."""

    def missing() -> Counts:
        found = telling.by_the_store(store)
        return {key: found.get(key, {}) for key in by_hand.keys() | found.keys() if found.get(key) != by_hand.get(key)}

    def arrived() -> bool:
        assert running.process.poll() is None, running.log()[-3000:]
        return not missing()

    try:
        eventually(arrived, "everything is counted", 120)
    except AssertionError as error:
        # Whether the library did not run it or we did not count it, the worker's log and the spool tell.
        spool = sorted(f"{path.name} {path.stat().st_size}" for path in (running.directory / "state").rglob("*") if path.is_file())
        raise AssertionError(f"counted otherwise: {missing()}; left in the spool: {spool}; {running.log()}") from error
    running.stop(warm)
    return Story(store, by_hand, running.directory)


def huey_story(directory: Path, store: str) -> Story:
    by_hand: Counts = {}
    jobs: Mapping[str, list[str]] = {**OUTCOMES, **TIMED, "killed": ["lost"]}
    for job, outcomes in jobs.items():
        # The second attempt of this one waits in the schedule for an hour.
        arrivals = 2 if job == "limited_retry" else len(outcomes)
        key = ("huey", "mail", f"tests.hooks.apps.huey_app.{job.partition('@')[0]}")
        by_hand[key] = dict(Counter(by_hand.get(key, {})) + Counter(expected(outcomes, arrivals=arrivals)))
    for job, reason in DISCARDED.items():
        by_hand["huey", "mail", f"tests.hooks.apps.huey_app.{job}"] = {"arrivals": 1, reason: 1}
    words = (INSTRUMENTED, "tests.hooks.apps.huey_app", "tests.hooks.apps.huey_consume", "process")
    with worker(directory, *words, **environment(directory, store)) as running:
        running.run(INSTRUMENTED, "tests.hooks.apps.huey_app", "tests.hooks.apps.huey_send", *jobs, *DISCARDED)
        return counted(running, store, by_hand, signal.SIGINT)


CELERY = {
    # Three jobs of it ran, or were to run; what other tasks call directly is no execution.
    "ok": expected(["succeeded", "succeeded"], arrivals=5, revoked=1, expired=1, rejected=1),
    "fail": expected(["failed"], arrivals=1),
    "retry": expected(["retried+", "succeeded"], arrivals=2),
    "autoretry": expected(["retried+", "failed"], arrivals=2),
    "ignore": expected(["succeeded"], arrivals=1),
    "reject": expected(["failed"], arrivals=1),
    "requeue": expected(["retried+", "succeeded"], arrivals=1),
    "soft": expected(["timed_out"], arrivals=1),
    "hard": expected(["timed_out"], arrivals=1),
    "long": expected(["cancelled"], arrivals=1),
    "killed": expected(["lost"], arrivals=1),
    "vanishes": expected(["lost"], arrivals=1),
    "exits": expected(["failed"], arrivals=1),
    "unencodable": expected(["succeeded"], arrivals=1, result_errors=1),
    "body_cannot_encode": expected(["failed"], arrivals=1),
    "needs_arguments": expected(["failed"], arrivals=1),
    **{name: expected(["succeeded"], arrivals=1) for name in ("outer", "recursive", "shared", "own_call", "class_based", "late", HOSTILE)},
    "nobody.knows": expected(arrivals=1, unknown=1),
}


def celery_story(directory: Path, store: str) -> Story:
    plan = [
        ["revoke", "revoked", None, None, None],
        ["send", "revoked", "ok", [], {}],
        ["send", "expired", "ok", [], {"expires": -10}],
        ["send", "rejected", "ok", [], {"headers": {"eta": "no moment"}}],
        ["send", "countdown", "ok", [], {"countdown": 1}],
        ["send", "unknown", "nobody.knows", [], {}],
        ["send", "terminated", "long", ["terminated"], {}],
        *(["send", task, "hostile" if task == HOSTILE else task, [], {}] for task in CELERY if task not in ("long", "nobody.knows")),
    ]
    app = "tests.hooks.apps.celery_app"
    words = (INSTRUMENTED, app, "celery", "-A", app, "worker", "-P", "prefork", "-c", "3", "-l", "INFO", "--without-gossip")
    with (
        RedisServer(directory) as broker,
        worker(directory, *words, HOOK_TEST_BROKER=broker.url, **environment(directory, store)) as running,
    ):
        eventually(lambda: " ready." in running.log() or running.process.poll() is not None, "it answers a revocation")
        running.run(INSTRUMENTED, app, "tests.hooks.apps.celery_send", json.dumps(plan))
        eventually((directory / "begun-terminated").exists, "the job to be terminated runs")
        terminate = json.dumps([["terminate", "terminated", None, None, None]])
        running.run(INSTRUMENTED, app, "tests.hooks.apps.celery_send", terminate)
        return counted(running, store, {("shop", "celery", task): counts for task, counts in CELERY.items()}, signal.SIGTERM)


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
