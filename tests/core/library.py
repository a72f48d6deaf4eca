"""What the tests of messages share: a library whose jobs are objects that become messages and objects again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import MethodType
from typing import Any

from queue_metrics import _core
from tests.core.writing import of_kind


class Library:
    """A library whose messages are bytes, a recorder, and what was asked of the hook."""

    def __init__(self, spool: Path) -> None:
        self.spool = spool
        self.recorder = _core.Recorder(str(spool), "host")
        self.asked: list[tuple[str, object]] = []
        self.stored: list[bytes] = []
        self.messages = _core.Messages(self.recorder, self, "note", "retries", self.series, self.moment, self.arrived)
        self.store = self.storing(self._store)

        unpacked = self.messages.unpacked

        class Job:
            note: object = None

            def __init__(self, identity: Any, message: bytes | None = None) -> None:
                self.id = identity
                self.eta: object = None
                self.retries: object = 0
                if message is not None:
                    self.note = unpacked(message, self, identity)

            def work(self, *args: object, **options: object) -> object:
                return self.id, args, options

        self.job = Job

        class Executed(Job):
            def body(self) -> object:
                return 1

            work = _core.method(_core.Tracked(self.recorder, Job.work, self.probe, [], pass_self=True, messages=self.messages))

        self.executed = Executed

    def series(self, kind: type) -> int:
        self.asked.append(("series", kind.__name__))
        return self.recorder.series("broker", "default", kind.__name__, _core.CLOCK_PROCESS)

    def moment(self, eta: Any) -> int:
        self.asked.append(("moment", eta))
        return int(eta)

    def arrived(self, job: object) -> None:
        self.asked.append(("arrived", job))

    def probe(self, job: Any) -> tuple[int, object, int, int, bool] | None:
        self.asked.append(("probe", job))
        return None

    def _store(self, job: Any) -> object:
        self.stored.append(self.messages.stamped(b"message", self, job, job.id, job.eta))
        return len(self.stored)

    def storing(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        """A way into storage of this owner."""
        return MethodType(self.messages.storing(lambda _, *args, **options: inner(*args, **options)), self)

    def warm(self) -> None:
        """The first job in a process is left to the hook."""
        self.store(self.job("first"))
        self.asked.clear()
        self.stored.clear()

    def arrivals(self) -> list[tuple[int, int]]:
        return [(record.job, record.small) for record in of_kind(self.spool, "ARRIVE")] if self.spool.exists() else []


def stamp_of(message: bytes) -> tuple[int, int]:
    stamp = _core.read_stamp(message)
    assert stamp is not None
    return stamp
