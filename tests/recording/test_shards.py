"""A spool whose series lie in many shards is counted once in each of them, whatever happens between two of them."""

from __future__ import annotations

import copy
import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from queue_metrics import _core
from queue_metrics.errors import StoreUnavailable
from queue_metrics.recording import drain as drain_module
from queue_metrics.recording.drain import Drain
from queue_metrics.recording.shards import Shards, furthest
from queue_metrics.storage import Applied, Mark, MemoryStorageDriver
from queue_metrics.storage.base import shard_of
from tests.recording.tools import eventually
from tests.storage.batches import SPOOL, batch, ones, row, series
from tests.support.spooled import numbers, run_jobs, what_the_spool_says

SCALE = float(os.environ.get("QM_TEST_SCALE", "1"))
STATE = ("_labels", "_points", "_totals", "_marks")
SHARDS = 5


class Split(MemoryStorageDriver):
    """Shards in memory, each of which fails, forgets and hears late by itself."""

    def __init__(self, shards: int) -> None:
        super().__init__()
        self.nodes = [MemoryStorageDriver() for _ in range(shards)]
        self.fault: Callable[[int], str] = lambda shard: ""
        self.sent: list[tuple[int, _core.Batch]] = []

    @property
    def shards(self) -> int:
        return len(self.nodes)

    def apply_batch(self, shard: int, batch: _core.Batch) -> Applied:
        assert all(shard_of(row.series, self.shards) == shard for row in batch.rows)
        self.sent.append((shard, batch))
        fault = self.fault(shard)
        if fault == "before":
            raise StoreUnavailable("cut before")
        answer = self.nodes[shard].apply_batch(shard, batch)
        if fault == "after":
            raise StoreUnavailable("cut after")
        return answer

    def read_mark(self, spool_id: str, shard: int) -> Mark:
        return self.nodes[shard].read_mark(spool_id, shard)

    def held(self, shard: int) -> dict[str, object]:
        return {name: copy.deepcopy(getattr(self.nodes[shard], name)) for name in STATE}

    def go_back(self, shard: int, held: dict[str, object]) -> None:
        for name, value in held.items():
            setattr(self.nodes[shard], name, copy.deepcopy(value))


@pytest.mark.parametrize("seed", range(max(1, round(25 * SCALE))))
def test_whatever_happens_between_shards_each_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Answers are lost, drainers die half way through a batch, old batches arrive late, single shards go back."""
    chance = random.Random(seed)
    monkeypatch.setattr(drain_module, "MAX_SERIES", chance.choice([4, 9, 50]))
    store, spool = Split(SHARDS), tmp_path / "spool"
    recorder = _core.Recorder(str(spool), "host")
    drain = Drain(spool, recorder, store)
    held = [(shard, store.held(shard)) for shard in range(SHARDS)]
    died = late = 0
    going_back = set(chance.sample(range(40), 6))
    for turn in range(40):
        run_jobs(recorder, chance, chance.randrange(8))
        rate = chance.choice([0.0, 0.1, 0.5])
        store.fault = lambda shard, rate=rate: chance.choice(["before", "after"]) if chance.random() < rate else ""  # type: ignore[misc]
        monkeypatch.setattr(drain_module, "_TIDY_EVERY", chance.choice([0.0, 1e9]))
        try:
            drain.step()
        except StoreUnavailable:
            if chance.random() < 0.5:
                drain.close()
                drain, died = Drain(spool, recorder, store), died + 1
        if store.sent and chance.random() < 0.3:
            shard, batch = chance.choice(store.sent[-20:])
            late += store.nodes[shard].apply_batch(shard, batch).applied
        if chance.random() < 0.3:
            held.append((shard := chance.randrange(SHARDS), store.held(shard)))
        if turn in going_back:
            store.go_back(*chance.choice(held[-6:]))
    store.fault = lambda shard: ""
    monkeypatch.setattr(drain_module, "_TIDY_EVERY", 0.0)
    eventually(drain.step, "all is counted")
    assert numbers(*store.nodes) == what_the_spool_says(spool)
    assert drain.status()["lost_to_rollback"] == 0
    marks = store.read_marks(_core.Drainer(os.fspath(spool)).spool_id)
    assert len({mark.positions for mark in marks}) == 1, "all marks are where shard 0 is"
    drain.close()


def test_no_segment_is_deleted_that_one_of_two_shards_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One shard goes back while nothing is sent to it: its records are there, and deleted only when it has them again."""
    monkeypatch.setattr(drain_module, "_TIDY_EVERY", 1e9)
    monkeypatch.setattr(_core, "Drainer", partial(_core.Drainer, window=0.0))
    store, spool = Split(2), tmp_path / "spool"
    recorder, chance = _core.Recorder(str(spool), "host", segment_bytes=1 << 14), random.Random(4)
    drain = Drain(spool, recorder, store)
    drain._tidy_at = time.monotonic()
    run_jobs(recorder, chance, 100)
    eventually(drain.step, "the first are counted")
    held = store.held(1)
    run_jobs(recorder, chance, 900)
    eventually(drain.step, "all is counted")
    expected, segments = what_the_spool_says(spool), set(spool.glob("*.seg"))
    assert len(segments) > 5
    store.go_back(1, held)
    monkeypatch.setattr(drain_module, "_TIDY_EVERY", 0.0)
    assert not drain.step(), "the step that finds it does not call itself done"
    assert set(spool.glob("*.seg")) == segments
    eventually(lambda: drain.step() and not list(spool.glob("*.seg")), "what all shards have is deleted")
    assert numbers(*store.nodes) == expected
    assert drain.status()["lost_to_rollback"] == 0
    drain.close()


def test_shard_0_is_last_so_that_its_mark_covers_the_others(tmp_path: Path) -> None:
    store, spool = Split(SHARDS), tmp_path / "spool"
    recorder = _core.Recorder(str(spool), "host")
    drain = Drain(spool, recorder, store)
    run_jobs(recorder, random.Random(1), 50)
    eventually(drain.step, "all is counted")
    order = [shard for shard, batch in store.sent if batch.rows or shard == 0]
    assert order[-1] == 0
    assert len(order) > 2
    drain.close()


def test_a_batch_that_replaces_another_half_way_is_not_handed_over(tmp_path: Path) -> None:
    """A drainer that had to read its spool anew begins before the mark of the shards that have their part already."""
    store = Split(3)
    shards = Shards(store, SPOOL, [Mark(0, b"")] * 3, lambda question: question())
    names = [next(one for one in (("c", "q", f"task {n}") for n in range(99)) if shard_of(series(one), 3) == shard) for shard in (1, 2)]
    rows = [row(labels, ones()) for labels in names]
    store.fault = lambda shard: "before" if shard == 2 else ""
    with pytest.raises(StoreUnavailable):
        shards.apply(batch(1, rows))
    store.fault = lambda shard: ""
    assert not shards.apply(batch(1, rows, positions=b"of a smaller batch"))
    assert shards.apply(batch(1, rows)), "the very same one goes on where it stopped"
    assert [mark.sequence for mark in store.read_marks(SPOOL)] == [1, 1, 1]


def test_a_store_that_is_split_meanwhile_gets_the_rest_in_its_shards(tmp_path: Path) -> None:
    """As the resharding leaves it: the numbers of each series in its shard, the mark of the spool in all."""
    store, spool = Split(1), tmp_path / "spool"
    recorder = _core.Recorder(str(spool), "host")
    drain = Drain(spool, recorder, store)
    run_jobs(recorder, random.Random(2), 50)
    eventually(drain.step, "all is counted")
    (whole,) = store.nodes
    store.nodes = [MemoryStorageDriver() for _ in range(SHARDS)]
    for shard, node in enumerate(store.nodes):
        for name in ("_labels", "_points", "_totals"):
            kept = {key: value for key, value in getattr(whole, name).items() if shard_of(key[0] if name == "_points" else key, 5) == shard}
            setattr(node, name, kept)
        node._marks = {(spool_id, shard): mark for (spool_id, _), mark in whole._marks.items()}
    run_jobs(recorder, random.Random(3), 50)
    eventually(drain.step, "the rest is counted")
    assert numbers(*store.nodes) == what_the_spool_says(spool)
    drain.close()


def test_the_furthest_positions_are_as_far_as_any() -> None:
    one, other = (bytes([n]) * 16 for n in (1, 2))

    def positions(**counts: int) -> bytes:
        names = {"one": one, "other": other}
        return b"".join(names[name] + count.to_bytes(8, "little") for name, count in counts.items())

    assert furthest([positions(one=3), positions(one=2, other=7), b""]) == positions(one=3, other=7)
    assert furthest([b"any bytes", b"any bytes"]) == b"any bytes"
