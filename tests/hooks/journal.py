"""A spool read through the independent oracle, with names instead of ids, by job."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.support.journal_oracle import NO_TIME, OUTCOMES, Record, hash64, job_hash, labels, read_spool
from tests.support.patience import PATIENCE

REASONS = {1: "revoked", 2: "expired", 3: "rejected", 4: "skipped", 5: "unknown", 16: "result_error"}
RETRY_FOLLOWS, PROVISIONAL = 1, 2

__all__ = ["NO_TIME", "PROVISIONAL", "REASONS", "RETRY_FOLLOWS", "Journal", "eventually"]


def eventually(claim: Callable[[], object], *, within: float = PATIENCE, about: Callable[[], object] = lambda: "") -> None:
    """Wait until `claim` is true; a deadline for hangs, no measure of speed."""
    deadline = time.monotonic() + within
    while not claim():
        assert time.monotonic() < deadline, f"not true within {within} s: {about()}"
        time.sleep(0.05)


class Journal:
    """What a spool holds at the moment it is made."""

    def __init__(self, spool: Path) -> None:
        self.records = read_spool(spool)
        parts: dict[int, dict[int, bytes]] = {}
        lengths: dict[int, int] = {}
        for record in self.of("DEF"):
            parts.setdefault(record.id, {})[record.small] = record.part
            lengths[record.id] = record.length
        self.labels: dict[int, tuple[str, ...]] = {}
        for identity, pieces in parts.items():
            whole = b"".join(pieces[number] for number in sorted(pieces))[: lengths[identity]]
            if hash64(whole) == identity:
                self.labels[identity] = tuple(labels(whole))
        self._outcomes = {record.key: record for record in reversed(self.of("END"))}

    def of(self, kind: str, job: object = None) -> list[Record]:
        """Records of a kind, of one job if given, in order of time."""
        found = [r for r in self.records if r.kind == kind and (job is None or r.job == job_hash(str(job)))]
        return found if kind == "DEF" else sorted(found, key=lambda record: int(record.at))

    def end(self, start: Record) -> Record | None:
        return self._outcomes.get(start.key)

    def outcomes(self, job: object) -> list[str]:
        """The outcome of each execution of a job; `open` while there is no END, `?` behind a provisional one, `+` when a retry follows."""
        words = []
        for start in self.of("START", job):
            end = self.end(start)
            if end is None:
                words.append("open")
            else:
                words.append(OUTCOMES[end.small] + "?" * bool(end.flags & PROVISIONAL) + "+" * bool(end.flags & RETRY_FOLLOWS))
        return words

    def exceptions(self, job: object) -> list[str | None]:
        ends = [self.end(start) for start in self.of("START", job)]
        return [None if end is None or not end.exception else self.labels[end.exception][0] for end in ends]

    def discards(self, job: object) -> list[str]:
        return [REASONS[record.small] for record in self.of("DISCARD", job)]

    def hints(self, job: object) -> set[str]:
        return {OUTCOMES[record.small] for record in self.of("HINT", job)}

    def series(self, record: Record) -> tuple[str, ...]:
        """(connection, queue, task) of a record."""
        return self.labels[record.task]
