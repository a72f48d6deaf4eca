"""Connections cut at every point of an exchange, hundreds of times: each batch counts once."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

import pytest

from queue_metrics.errors import StoreUnavailable
from queue_metrics.storage import Mark, RedisStorageDriver
from queue_metrics.storage.base import HOUR
from tests.storage.batches import SPOOL, A, B, batch, content, everything, ones, series, starts
from tests.support.proxy import POINTS, CuttingProxy
from tests.support.servers import RedisServer

BATCHES = max(10, round(10 * float(os.environ.get("QM_TEST_SCALE", "1")))) + 1
"""The first is not cut. At full size 200 are: `make torture`."""
_numbers = itertools.count()


@pytest.mark.parametrize("point", POINTS)
def test_a_batch_whose_connection_was_cut_is_sent_again_and_counts_once(
    shared_redis: RedisServer, point: str, record_property: Callable[[str, object], None]
) -> None:
    refused = failed = 0
    with CuttingProxy(shared_redis.port) as proxy:
        driver = RedisStorageDriver(f"redis://127.0.0.1:{proxy.port}/0", f"cut{next(_numbers)}")
        for sequence in range(1, BATCHES + 1):
            sent = batch(sequence, [*everything(A, ones()), *everything(B, ones(2))])
            if sequence > 1:  # the first teaches the server the script
                proxy.cut(point, b"EVALSHA")
            while True:
                try:
                    answer = driver.apply_batch(0, sent)
                except StoreUnavailable:
                    failed += 1
                    continue
                assert answer.mark == Mark(sequence, sent.positions)
                refused += not answer.applied
                break
        assert proxy.cuts == {point: BATCHES - 1}
        driver.close()  # the last cut may be on its way to us
        assert (starts(driver, series(A)), starts(driver, series(B))) == (BATCHES, 2 * BATCHES)
        points = content(driver)["points"]
        assert sum(values["counters"][0] for (one, step, _), values in points.items() if (one, step) == (series(A), HOUR)) == BATCHES
        assert driver.read_mark(SPOOL, 0).sequence == BATCHES
        driver.close()
    # What was done and not heard of was refused when it came again; what was never heard whole was done the second time.
    assert failed == BATCHES - 1 or point == "after the reply"
    assert refused == (BATCHES - 1 if point in ("before the reply", "in the reply") else 0)
    record_property("cuts", BATCHES - 1)
    record_property("duplicates refused", refused)


@pytest.mark.parametrize("point", ["before the reply", "in the reply"])
def test_a_transaction_whose_answer_was_lost_is_no_conflict(shared_redis: RedisServer, point: str) -> None:
    """A conflict says that nothing was done; here nobody knows."""
    with CuttingProxy(shared_redis.port) as proxy:
        driver = RedisStorageDriver(f"redis://127.0.0.1:{proxy.port}/0", f"cut{next(_numbers)}")
        driver.set_key("a", "before")
        with pytest.raises(StoreUnavailable) as unknown:
            change(driver, lambda: proxy.cut(point, b"EXEC"))
        assert type(unknown.value) is StoreUnavailable
        assert driver.get_key("a") == "after"
        driver.close()


def change(driver: RedisStorageDriver, before_the_end: Callable[[], None]) -> None:
    with driver.transaction(["a"]) as transaction:
        transaction.set_key("a", "after")
        before_the_end()
