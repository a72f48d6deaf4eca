"""
One spool, many marks: a store in shards has no transaction over all of them, so each shard is handed its own rows under its own mark.

Shard 0 comes last, also when it has no rows: its mark says how far all shards are counted. Another may lag: nothing came for it, its
drainer died in between, or its node went back. So whoever begins brings each shard to where the furthest is, by folding once more what
lies between the two. What a shard holds is a function of the records in front of its mark, whoever folded them, in however many batches.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from queue_metrics import _core
from queue_metrics.storage.base import Applied, Mark, shard_of

if TYPE_CHECKING:
    from queue_metrics.storage.base import StorageDriver

_ENTRY = struct.Struct("<16sQ")  # of positions: an id, a count

Ask = Callable[[Callable[[], Applied]], Applied]


class Shards:
    """
    The marks of a spool as the store is believed to have them, and batches divided by them.

    Args:
        store: where batches go.
        spool_id: whose marks they are.
        marks: one for each shard, as the store just answered.
        ask: calls what asks the store.
    """

    def __init__(self, store: StorageDriver, spool_id: str, marks: Sequence[Mark], ask: Ask) -> None:
        self._store = store
        self._spool_id = spool_id
        self._ask = ask
        self.marks = list(marks)
        self._positions = b""  # of the batch that is being handed over
        self._done: set[int] = set()  # shards that have their part of it

    @property
    def fits(self) -> bool:
        """Whether the store still has as many shards."""
        return len(self.marks) == self._store.shards

    @property
    def furthest(self) -> bytes:
        """Positions up to which each record is counted in some shard."""
        return furthest([mark.positions for mark in self.marks])

    def behind(self) -> dict[bytes, list[int]]:
        """The shards that are not at the furthest positions, by those that they are at."""
        goal = self.furthest
        found: dict[bytes, list[int]] = {}
        for shard, mark in enumerate(self.marks):
            if mark.positions != goal:
                found.setdefault(mark.positions, []).append(shard)
        return found

    def apply(self, batch: _core.Batch) -> bool:
        """
        Hand a batch to the shards that have rows in it, then to shard 0. After an error the same batch may be given again.

        Returns:
            False when a shard has another mark than was believed: all marks are to be read anew.
        """
        if len(self.marks) == 1:
            return self._apply(0, batch)
        if self._done and batch.positions != self._positions:
            return False  # the drainer had to begin anew, and some shards are further now than its batch begins
        self._positions = batch.positions
        rows: dict[int, list[_core.Row]] = {}
        for row in batch.rows:
            rows.setdefault(shard_of(row.series, len(self.marks)), []).append(row)
        for shard in [*sorted(rows.keys() - {0}), 0]:
            if shard not in self._done:
                if not self._move(shard, batch.positions, rows.get(shard, ())):
                    return False
                self._done.add(shard)
        self._done.clear()
        return True

    def catch_up(self, shards: Iterable[int], batch: _core.Batch) -> bool:
        """Hand a batch that was folded for some shards to these alone; False as `apply`."""
        return all(
            self._move(shard, batch.positions, [row for row in batch.rows if shard_of(row.series, len(self.marks)) == shard])
            for shard in shards
        )

    def level(self) -> bool:
        """Move the marks of shards for which nothing came to where shard 0 is; False as `apply`."""
        goal = self.marks[0].positions
        return all(mark.positions == goal or self._move(shard, goal, ()) for shard, mark in enumerate(self.marks))

    def _move(self, shard: int, positions: bytes, rows: Iterable[_core.Row]) -> bool:
        mark = self.marks[shard]
        given = [(row.series, row.labels, row.step, row.bucket, row.value) for row in rows]
        return self._apply(shard, _core.Batch(self._spool_id, mark.sequence + 1, positions, given, mark.positions))

    def _apply(self, shard: int, batch: _core.Batch) -> bool:
        answer = self._ask(partial(self._store.apply_batch, shard, batch))
        self.marks[shard] = answer.mark
        # Not applied but the mark is this very batch's: an earlier sending, whose answer was lost, did arrive.
        return answer.applied or (answer.mark.sequence, answer.mark.positions) == (batch.sequence, batch.positions)


def furthest(marks: Sequence[bytes]) -> bytes:
    """
    The positions that are as far as any of these, segment by segment.

    Two marks may each be ahead of the other, when a late batch of a dead drainer reached one shard and its successor's another.
    """
    if all(positions == marks[0] for positions in marks):
        return marks[0]
    reached: dict[bytes, int] = {}
    for positions in marks:
        for segment, records in _ENTRY.iter_unpack(positions):
            reached[segment] = max(records, reached.get(segment, 0))
    return b"".join(_ENTRY.pack(*entry) for entry in sorted(reached.items()))


def lost_positions(records: int) -> bytes:
    """Positions that say of so many records that no mark can count them any more, and nothing else."""
    return _ENTRY.pack(b"lost-to-rollback", records) if records else b""
