"""The same batches, in any order, leave the same integers on every database."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queue_metrics import _core
from queue_metrics.storage import DatabaseStorageDriver, MemoryStorageDriver, RedisStorageDriver, StorageDriver
from queue_metrics.storage.base import DAY, EXCEPTION, HOUR, MINUTE, QUEUE, RETENTION, SERVER, SERVER_TASK, TASK, TOTAL
from tests.storage.batches import NOW, Row, batch, bucket, content, row
from tests.support.servers import RedisServer
from tests.support.sql_servers import MariaDBServer, PostgreSQLServer

EXAMPLES = max(1, round(25 * float(os.environ.get("QM_TEST_SCALE", "1"))))
_numbers = itertools.count()

SERIES = [(TASK, ("c", "q", "t")), (TASK, ("c:", "{q}", "")), (QUEUE, ("c", "q")), (EXCEPTION, ("c", "q", "t", "E"))]
SERIES += [(SERVER, ("web-1",)), (SERVER_TASK, ("web-1", "c", "q", "t"))]

# Numbers that carry, collide in buckets, and lie near borders of 32 and 53 bits; 60 of the largest still fit a sum.
small = st.integers(0, 300)
wide = st.one_of(small, st.integers(0, 2**53 - 1), st.sampled_from([2**32 - 1, 2**32, 2**31, 2**53 - 1]))
signed = st.one_of(wide, wide.map(lambda number: -number))
counts = st.lists(st.one_of(st.just(0), small, st.integers(0, 2**40)), max_size=90)
readings = st.lists(st.tuples(st.integers(0, 3).map(lambda more: NOW * 1_000_000 + more), wide), min_size=1, max_size=3)


@st.composite
def values(draw: st.DrawFn, step: int) -> _core.Value:
    measures = {
        index: draw(st.lists(signed if index == 4 else wide, min_size=1, max_size=4))
        for index in draw(st.sets(st.integers(0, 4), max_size=5))
    }
    gauges = {index: draw(readings) for index in draw(st.sets(st.integers(0, 4), max_size=3))}
    return _core.Value.from_parts(draw(counts), measures, gauges, 4 if step == DAY else draw(st.sampled_from([5, 5, 5, 4])))


@st.composite
def rows(draw: st.DrawFn) -> Row:
    kind, labels = draw(st.sampled_from(SERIES))
    step = draw(st.sampled_from([step for step in (MINUTE, HOUR, DAY, TOTAL) if step == TOTAL or (kind, step) in RETENTION]))
    at = 0 if step == TOTAL else bucket(step, draw(st.integers(0, 2)))
    return row(labels, draw(values(step)), step, at, kind)


sent = st.lists(st.lists(rows(), max_size=6), min_size=1, max_size=4)
spools = st.dictionaries(st.sampled_from(["a" * 32, "b" * 32, "c" * 32]), sent, min_size=1)


def apply_in_some_order(driver: StorageDriver, batches: dict[str, list[list[Row]]], chance: random.Random) -> None:
    """Each spool in its own order, the spools shuffled into each other, some batches sent again."""
    left = {spool: list(enumerate(sent, 1)) for spool, sent in batches.items()}
    while left:
        spool = chance.choice(sorted(left))
        sequence, one = left[spool].pop(0)
        sent = batch(sequence, one, spool)
        assert driver.apply_batch(0, sent).applied
        if chance.random() < 0.3:
            assert not driver.apply_batch(0, sent).applied
        if not left[spool]:
            del left[spool]


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(spools, st.randoms(use_true_random=False))
def test_any_batches_in_any_order_give_equal_numbers_everywhere(
    shared_redis: RedisServer,
    shared_postgresql: PostgreSQLServer,
    shared_mariadb: MariaDBServer,
    tmp_path: Path,
    batches: dict[str, list[list[Row]]],
    chance: random.Random,
) -> None:
    prefix = f"equal_{next(_numbers)}"
    drivers: list[StorageDriver] = [MemoryStorageDriver(), RedisStorageDriver(shared_redis.url, prefix)]
    drivers.append(DatabaseStorageDriver(f"sqlite:///{tmp_path}/equal.db", prefix))
    for server in (shared_postgresql, shared_mariadb):
        drivers.append(DatabaseStorageDriver(server.url, "equal"))
        assert drivers[-1].lease("tables", "are made", 9)
        server.execute("DELETE FROM equal_series", "DELETE FROM equal_marks")  # quicker than other tables
    found = []
    for driver in drivers:
        apply_in_some_order(driver, batches, chance)
        found.append(content(driver, [(spool, 0) for spool in batches]))
        driver.close()
    assert found == found[:1] * len(drivers)
