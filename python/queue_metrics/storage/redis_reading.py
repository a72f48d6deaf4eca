"""Names of series, points, totals and heartbeats: which commands ask for them, and what the answers mean. Sends nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from queue_metrics import _core
from queue_metrics.errors import StoreRefused
from queue_metrics.storage.base import Beat, Retention, Series, known_series, shard_of
from queue_metrics.storage.redis_connection import Command
from queue_metrics.storage.redis_keys import BLOCKS, Keys, hex_of
from queue_metrics.storage.view import Points

Asked = list[tuple[int, Command]]
"""Commands, each with its shard."""

_UPTIME = re.compile(rb"^uptime_in_seconds:(\d+)", re.MULTILINE)
_MOST_BLOCKS = 1000  # of one series in one reading; a longer range is first cut to what the store can still have


# Names


def labels(keys: Keys, shards: int) -> Asked:
    """For the names of all series: an answer for each shard."""
    return [(shard, ("HGETALL", keys.of(shard, "labels"))) for shard in range(shards)]


def series(answers: Iterable[list[bytes]]) -> list[Series]:
    """What `labels` asked for."""
    return [known_series(int(one, 16), written) for answer in answers for one, written in pairs(answer).items()]


# Points


class Stretch(NamedTuple):
    """Points of a step with start <= bucket < end, seconds, of some series."""

    series: tuple[int, ...]
    step: int
    start: int
    end: int

    @property
    def endless(self) -> bool:
        """Whether it is longer than anything that is kept, so that it must be cut before it is asked for."""
        return self.start < self.end and (self.end - self.start) // BLOCKS[self.step][1] > _MOST_BLOCKS

    def cut(self, now: float, retention: Retention) -> Stretch:
        """To what the store can still have, if it is endless."""
        if not self.endless:
            return self
        longest = max(kept for (_, step), kept in retention.items() if step == self.step)
        start = max(self.start, int(now) - longest - BLOCKS[self.step][1])
        return self._replace(start=start, end=min(self.end, int(now) + longest))

    @property
    def blocks(self) -> range:
        """Starts of the hashes that have a part of it."""
        span = BLOCKS[self.step][1]
        return range(self.start - self.start % span, self.end, span)


def stretch(ids: Iterable[int], step: int, start: int, end: int) -> Stretch:
    """No series are left where the step is none that is kept, or nothing lies between the bounds."""
    some = tuple(dict.fromkeys(ids)) if step in BLOCKS and start < end else ()
    return Stretch(some, step if step in BLOCKS else next(iter(BLOCKS)), start, end)


def points(keys: Keys, shards: int, asked: Stretch) -> Asked:
    """For the points of a stretch that is not endless: an answer for each series and hash."""
    letter = BLOCKS[asked.step][0]
    found: Asked = []
    for one in asked.series:
        shard = shard_of(one, shards)
        key = keys.of(shard, letter, hex_of(one), "")
        found += [(shard, _fields(f"{key}{block}", asked, block)) for block in asked.blocks]
    return found


def found_points(asked: Stretch, answers: Iterator[Any], kinds: Mapping[int, int], now: float, retention: Retention) -> Points:
    """
    What `points` asked for, without what has expired.

    Args:
        asked: the same.
        answers: of which as many are taken.
        kinds: the kind of each series.
        now: by the store's clock.
        retention: how long points are kept.
    """
    found: Points = {}
    for one in asked.series:
        kept = retention.get((kinds.get(one, 0), asked.step))
        oldest = asked.end if kept is None else now - asked.step - kept  # without labels or of another kind: no points
        of_one = found[one] = []
        for block in asked.blocks:
            answer = next(answers)
            wanted = _wanted(asked, block)
            if wanted is not None:
                those = [(bucket, value) for bucket, value in zip(wanted, answer, strict=True) if value is not None]
            else:
                those = sorted((number(bucket), value) for bucket, value in pairs(answer).items())
            of_one += [pair for pair in those if asked.start <= pair[0] < asked.end and pair[0] > oldest]
    return found


def _wanted(asked: Stretch, block: int) -> range | None:
    """The buckets to ask a hash for by name, or None when more than a quarter of it is wanted, and so all of it."""
    step, span = asked.step, BLOCKS[asked.step][1]
    start, end = max(block, asked.start), min(block + span, asked.end)
    buckets = range(-(-start // step) * step, end, step)
    return buckets if 0 < len(buckets) * 4 <= span // step else None


def _fields(key: str, asked: Stretch, block: int) -> Command:
    buckets = _wanted(asked, block)
    return ("HGETALL", key) if buckets is None else ("HMGET", key, *buckets)


# Totals


def totals(keys: Keys, shards: int, ids: Sequence[int]) -> Asked:
    """For the totals of series: an answer for each."""
    of = [shard_of(one, shards) for one in ids]
    return [(shard, ("HGETALL", keys.of(shard, "t", hex_of(one)))) for one, shard in zip(ids, of, strict=True)]


def found_totals(ids: Sequence[int], answers: Iterable[list[bytes]]) -> dict[int, bytes]:
    """What `totals` asked for."""
    return {
        one: _core.Value.from_fields({name.decode(errors="replace"): number(text) for name, text in pairs(fields).items()}).encode()
        for one, fields in zip(ids, answers, strict=True)
        if fields
    }


# Heartbeats


def beats(keys: Keys) -> Asked:
    """For all heartbeats: two answers."""
    return [(0, ("ZRANGE", keys.of(0, "workers"), 0, -1, "WITHSCORES")), (0, ("HGETALL", keys.of(0, "beats")))]


def found_beats(expiries: Sequence[bytes], answer: list[bytes], now: float) -> list[Beat]:
    """What `beats` asked for, without those that have expired, in order of worker ids."""
    payloads, found = pairs(answer), []
    for worker, expiry in zip(expiries[::2], expiries[1::2], strict=True):
        seen, _, payload = payloads.get(worker, b"").partition(b":")
        if seen and float(expiry) > now * 1000:
            found.append(Beat(worker.decode(), payload, max(0.0, now - number(seen) / 1000)))
    return sorted(found, key=lambda beat: beat.worker_id)


UPTIME: Command = ("INFO", "server")
"""For how long the server has been up. Not every user may ask that, and a refusal is an answer, too."""


def found_uptime(answer: object) -> float | None:
    """What `UPTIME` asked for, to the end of its second; None: it was refused."""
    told = _UPTIME.search(answer) if isinstance(answer, bytes) else None
    return None if told is None else number(told[1]) + 1.0


# Parts of answers


def pairs(answer: list[bytes]) -> dict[bytes, bytes]:
    """A hash."""
    return dict(zip(answer[::2], answer[1::2], strict=True))


def seconds(clock: Sequence[bytes]) -> float:
    """The answer to TIME."""
    return int(clock[0]) + int(clock[1]) / 1e6


def number(text: bytes) -> int:
    """A whole number; StoreRefused when it is none."""
    try:
        return int(text)
    except ValueError:
        raise StoreRefused(f"a number is stored as {text[:40]!r}") from None
