"""A batch as the keys and words of the script `redis.lua`; sends nothing."""

from __future__ import annotations

from queue_metrics import _core
from queue_metrics.errors import StoreRefused
from queue_metrics.storage.base import TOTAL, Retention, collision, expires_at, shard_of, unmergeable
from queue_metrics.storage.redis_keys import BLOCKS, Keys, hex_of


class BatchWords:
    """
    Args:
        keys: where things lie.
        shard: the one that the batch is for.
        shards: how many there are.
        retention: how long points are kept.
    """

    def __init__(self, keys: Keys, shard: int, shards: int, retention: Retention) -> None:
        self._keys = keys
        self._retention = retention
        self._shard = shard
        self._shards = shards

    def of(self, batch: _core.Batch) -> tuple[list[str], list[str | bytes]]:
        """
        KEYS and ARGV behind verb and version.

        Raises:
            StoreRefused: a row belongs into another shard, or cannot be stored.
        """
        labels, points, totals = self._rows(batch)
        keys = [self._key("schema"), self._key("labels"), self._key("marks")]
        expected: list[str | bytes] = [str(batch.sequence - 1), batch.base]
        words = [batch.spool_id, *expected, str(batch.sequence), batch.positions, str(len(labels))]
        for series, label_list in labels.items():
            words += [hex_of(series), label_list]
        for (series, step, bucket), (kind, value) in points.items():
            letter, span = BLOCKS[step]
            block = bucket - bucket % span
            keys.append(self._key(letter, hex_of(series), str(block)))
            words += [hex_of(series), "p", str(bucket), str(expires_at(kind, step, block + span - step, self._retention)), value]
        for series, fields in totals.items():
            keys.append(self._key("t", hex_of(series)))
            words += [hex_of(series), "t", str(len(fields))]
            for name, increment in fields.items():
                words += [name, str(increment)]
        return keys, words

    def _key(self, *parts: str) -> str:
        return self._keys.of(self._shard, *parts)

    def _rows(
        self, batch: _core.Batch
    ) -> tuple[dict[int, bytes], dict[tuple[int, int, int], tuple[int, bytes]], dict[int, dict[str, int]]]:
        """The batch with one entry for each hash field it touches: label lists, points with their kind, increments of totals."""
        labels: dict[int, bytes] = {}
        points: dict[tuple[int, int, int], tuple[int, bytes]] = {}
        totals: dict[int, dict[str, int]] = {}
        for row in batch.rows:
            if shard_of(row.series, self._shards) != self._shard:
                raise StoreRefused(f"series {row.series:016x} does not belong into shard {self._shard} of {self._shards}")
            if labels.setdefault(row.series, row.labels) != row.labels:
                raise collision(row.series)
            try:
                if row.step == TOTAL:
                    fields = totals.setdefault(row.series, {})
                    for name, increment in _core.Value.decode(row.value).fields().items():
                        fields[name] = fields.get(name, 0) + increment
                else:
                    key = (row.series, row.step, row.bucket)
                    expires_at(row.kind, row.step, row.bucket, self._retention)  # refuses a step that the kind does not have
                    _core.Value.decode(row.value)  # damaged bytes and odd numbers are refused here, as on every other database
                    value = _core.merge_values(points[key][1], row.value) if key in points else row.value
                    points[key] = (row.kind, value)
            except (ValueError, OverflowError) as error:
                raise unmergeable(row.series, error) from error
        return labels, points, totals
