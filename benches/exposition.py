"""A scrape of 10,000 series: the text beside the loop of C that keeps its heads and beside prometheus_client; and over HTTP."""

from __future__ import annotations

import random
import statistics
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from benches import callgrind
from benches.effort import EFFORT
from benches.measure import Case, calls, times
from benches.native import load
from benches.rows import Row, count_at_most

SERIES = 10_000
NAME, HELP = "queue_metrics_started_total", "Executions that began."
LABELS = ("connection", "queue", "task")
HTTP_GOAL_MS = 20.0
INSTRUCTIONS_BOUND = 600
"""A line, where each series has one: a little more than is reached."""


def names(number: int) -> tuple[str, str, str]:
    """Labels of a series, as long as those of an application."""
    return "redis-main", f"queue-{number % 20}", f"shop.orders.tasks.send_confirmation_{number}"


@contextmanager
def cases() -> Iterator[list[Case]]:
    """
    One counter of each of 10,000 tasks; all three write the same lines.

    From one scrape to the next each counter of ours has become another number, so that nothing of the last text can be handed out as it
    is; once more with none that has.
    """
    from prometheus_client import CollectorRegistry, Counter, generate_latest

    from queue_metrics import _core
    from queue_metrics.http.prometheus import labels

    chance = random.Random(7)
    numbers = [chance.randrange(10 ** chance.randint(1, 9)) for _ in range(SERIES)]
    ours = _core.Exposition([(NAME, HELP, "counter", [("", "", "counter", 0)])])
    places = tuple(labels(zip(LABELS, names(number), strict=True)) for number in range(SERIES))

    def stored(counts: list[int]) -> _core.Totals:
        return _core.Totals([_core.Value.from_parts([count], {}, {}, 5).encode() for count in counts])

    totals, later = stored(numbers), stored([count + chance.randint(1, 100) for count in numbers])

    def scrapes(n: int) -> None:
        for number in range(n):
            ours.text(places, later if number % 2 else totals)

    limit = load("exposition")
    limit.configure([f"{NAME}{{{place}}} ".encode() for place in places], numbers)
    registry = CollectorRegistry()
    counter = Counter(NAME, HELP, LABELS, registry=registry)
    for number, count in enumerate(numbers):
        counter.labels(*names(number)).inc(count)
    ours.text(places, later)
    text = ours.text(places, totals)
    if text.split(b"\n", 2)[2] != limit.render():
        raise RuntimeError("ours and the limit do not write the same lines")
    peer = [line for line in generate_latest(registry).splitlines() if line.startswith(f"{NAME}{{".encode())]
    if len(peer) != SERIES:
        raise RuntimeError(f"prometheus_client wrote {len(peer)} lines")
    yield [
        Case("ours", scrapes),
        Case("ours, nothing changed", calls(ours.text, places, later)),
        Case("limit: render", limit.render_loop),
        Case("prometheus_client", calls(generate_latest, registry)),
    ]


def rows() -> list[Row]:
    """CPU time a scrape."""
    found = times(cases)
    note = f"{SERIES:,} lines of counters; a scrape"
    return [
        found.at_most("scrape of 10,000 series / limit: render", "ours", "limit: render", 3, note=note),
        found.less("scrape of 10,000 series / prometheus_client", "ours", "prometheus_client", 300, note="its generate_latest"),
        found.beside("scrape of 10,000 series of which none changed / limit: render", "ours, nothing changed", "limit: render", note=note),
    ]


def counts() -> list[Row]:
    """Instructions a line, gated."""
    limit = callgrind.instructions(cases, "limit: render", 4, loop=False) / SERIES
    changed = callgrind.instructions(cases, "ours", 4) / SERIES
    same = callgrind.instructions(cases, "ours, nothing changed", 4) / SERIES
    what, note = "scrape of 10,000 series: user instructions a line", f"three times the limit, {limit:.4g}; every number is another one"
    return [
        count_at_most(what, changed, 3 * limit, "instructions", bound=INSTRUCTIONS_BOUND, note=note),
        count_at_most("the same where nothing changed", same, 3 * limit, "instructions", bound=INSTRUCTIONS_BOUND, note="the same limit"),
    ]


def http_rows() -> list[Row]:
    """From the request to its last byte, a new reading of a store in memory each time."""
    from queue_metrics.http import asgi_app
    from queue_metrics.http.server import BackgroundServer, bound
    from queue_metrics.storage import MemoryStorageDriver

    driver = MemoryStorageDriver()
    lines = _fill(driver)
    with BackgroundServer(asgi_app(driver), bound("127.0.0.1", 0)) as server:
        ours, told, note = _scraped(f"{server.url}metrics")
        original, _, of_original = _scraped(f"{server.url}prometheus")
    if told < lines:
        raise RuntimeError(f"the scrape has {told} lines and not {lines}")
    return [
        Row("scrape over HTTP", ours, None, "ms", None, f"<= {HTTP_GOAL_MS:g} ms", ours <= HTTP_GOAL_MS, note),
        Row("scrape of the same tasks by the original's names", original, None, "ms", note=of_original),
    ]


def _scraped(url: str) -> tuple[float, int, str]:
    """Median time in ms, lines of the last answer, and a note."""
    from queue_metrics.http.shared import FRESH_SECONDS

    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    taken = []
    for _ in range(EFFORT.rounds(9) + 1):
        time.sleep(FRESH_SECONDS)
        begin = time.perf_counter()
        with opener.open(url) as answer:
            text = answer.read()
        taken.append((time.perf_counter() - begin) * 1000)
    told = sum(not line.startswith(b"#") for line in text.splitlines())
    # The first makes what is kept.
    return statistics.median(taken[1:]), told, f"{told:,} lines, {len(text):,} bytes; with the reading of the store"


def _fill(driver: object) -> int:
    """Tasks whose series are 10,000 together; how many lines those are."""
    from queue_metrics import _core
    from queue_metrics.storage.base import MINUTE, TASK, TOTAL, StorageDriver

    if not isinstance(driver, StorageDriver):
        raise TypeError("a driver is filled")
    chance = random.Random(7)
    per_task, now = 71, int(time.time())
    tasks = -(-SERIES // per_task)
    rows = []
    for number in range(tasks):
        series, packed = _core.series_id(TASK, names(number)), _core.label_list(TASK, names(number))
        runs = [chance.randint(1_000, 20_000_000) for _ in range(20)]
        value = _core.Value.from_parts([20, 20, *[0] * 85], {0: runs, 1: runs, 2: runs, 3: runs, 4: runs}, {}, 5).encode()
        rows += [(series, packed, MINUTE, now // MINUTE * MINUTE, value), (series, packed, TOTAL, 0, value)]
    for sequence, first in enumerate(range(0, len(rows), 50), 1):
        driver.apply_batch(0, _core.Batch("0" * 32, sequence, b"", rows[first : first + 50]))
    return tasks * per_task
