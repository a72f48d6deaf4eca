"""One answer of the store for everybody who asks the same in one second, and the last one for when the store is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic, TypeVar

from anyio import CapacityLimiter, to_thread

from queue_metrics.errors import QueueMetricsError, StoreError, StoreUnavailable
from queue_metrics.http.kept import Entry, Kept, Weight, weighed
from queue_metrics.insights import Metrics, UnknownName
from queue_metrics.insights.collecting import aged
from queue_metrics.insights.everything import Everything
from queue_metrics.insights.scrape import Scrape
from queue_metrics.model import CollectorAnswer, Snapshot
from queue_metrics.recording.trouble import shown, warner

T = TypeVar("T")

FRESH_SECONDS = 1.0
PATIENCE_SECONDS = 5.0
"""How long a request waits for the store; a reading that takes longer goes on and serves the next one."""
READERS = 40
"""Threads that wait for the store, apart from those that write answers: of a store that hangs nobody else is to hear."""


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """What is asked of the store; questions of one name and arguments share an answer."""

    name: str
    arguments: tuple[object, ...]
    ask: Callable[[Metrics], T] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """An answer, and how old it is if the store could not be read anew."""

    answer: T
    collector: CollectorAnswer
    """Whether one keeps what only shows over time, read with the answer or a second before; as old by now as what was read."""
    stale_seconds: float | None = None
    """None: as fresh as it gets."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read last of the collector, with whatever answer."""

    collector: CollectorAnswer
    at: float


class NothingToShow(Exception):
    """The store cannot be read, and there is no earlier answer; the text may be shown to anybody."""


class SharedReading:
    """Asks in threads, once for all who ask the same together. For one event loop."""

    def __init__(self, metrics: Metrics, *, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            metrics: of an open store.
            clock: seconds that only grow.
        """
        self._metrics = metrics
        self._clock = clock
        self._kept: Kept[Question[Any], Held[Any]] = Kept()
        self._collector: _Known | None = None
        self._readers: CapacityLimiter | None = None
        self._running: dict[Question[Any], asyncio.Task[Held[Any]]] = {}
        self._trouble = f"reading {self.store}"

    @property
    def store(self) -> str:
        """Where the numbers come from, without a password."""
        return self._metrics.store

    async def get(self, question: Question[T]) -> Held[T]:
        """
        The answer, at most a second old; an older one, marked, when the store cannot be read.

        Raises:
            NothingToShow: it cannot be read, and no earlier answer is kept.
            UnknownName: nothing of the name that is asked for was ever recorded.
        """
        kept = self._kept.asked(question)
        if kept is not None and self._clock() - kept.at < FRESH_SECONDS:
            return kept.answer
        try:
            # Shielded, since others wait for the same reading.
            held = await asyncio.wait_for(asyncio.shield(self._read(question)), PATIENCE_SECONDS)
            warner.over(self._trouble, f"the store {self.store} can be read again")
            return held
        except UnknownName:
            raise
        except (QueueMetricsError, TimeoutError) as error:
            why = f"no answer in {PATIENCE_SECONDS:g} s" if isinstance(error, TimeoutError) else shown(error, self.store)
            warner.warn(self._trouble, f"the store {self.store} cannot be read ({why}); `queue-metrics doctor` says what to do")
            kept = self._kept.asked(question)
            if kept is None:
                raise NothingToShow(_said(error)) from error
            age = self._clock() - kept.at
            return replace(kept.answer, collector=aged(kept.answer.collector, age), stale_seconds=age)

    def _read(self, question: Question[T]) -> asyncio.Task[Held[T]]:
        running = self._running.get(question)
        if running is None:
            running = asyncio.create_task(self._keep(question))
            self._running[question] = running
            running.add_done_callback(lambda task: self._finished(question, task))
        return running

    async def _keep(self, question: Question[T]) -> Held[T]:
        if self._readers is None:  # can only be made where the loop runs
            self._readers = CapacityLimiter(READERS)
        # Looked up before it is read: by then it may have been let go.
        asking = partial(self._asked, question, self._kept.asked(question), self._clock())
        held, weight = await to_thread.run_sync(asking, limiter=self._readers)
        self._kept.keep(question, held, self._clock(), weight)
        return held

    def _finished(self, question: Question[Any], task: asyncio.Task[Any]) -> None:
        del self._running[question]
        if not task.cancelled():
            task.exception()  # looked at: nobody may be waiting any more, and asyncio would complain

    def _asked(self, question: Question[T], last: Entry[Held[T]] | None, now: float) -> tuple[Held[T], Weight]:
        """In a thread: the answer, whether a collector runs, and the weight of both."""
        answer = question.ask(self._metrics)
        held = Held(answer, self._collecting(answer))
        return held, weighed(question.arguments, held, last, now)

    def _collecting(self, answer: object) -> CollectorAnswer:
        """
        Whether a collector runs: as the answer has it, so that they agree, else as was read in the last second with any other, else by one
        look more. Where that fails, what was read before is told, aged: an answer is not thrown away for it.
        """
        known, now = self._collector, self._clock()  # once: other threads replace it
        if isinstance(answer, (Snapshot, Everything, Scrape)):
            collector = answer.overview.collector
        elif known is not None and now - known.at < FRESH_SECONDS:
            return known.collector
        else:
            try:
                collector = self._metrics.collector()
            except QueueMetricsError:
                if known is None:
                    raise
                return aged(known.collector, now - known.at)
        self._collector = _Known(collector, now)
        return collector

    def close(self) -> None:
        """Let go of the store."""
        self._metrics.close()


def _said(error: BaseException) -> str:
    if isinstance(error, (StoreUnavailable, TimeoutError)):
        return "the store cannot be reached; jobs go on and their numbers wait in the spool"
    if isinstance(error, StoreError):
        return "the store refuses to answer, or was written by another version; `queue-metrics doctor` tells more"
    return "the store holds something that this version cannot read; `queue-metrics doctor` tells more"
