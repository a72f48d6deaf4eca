"""
The thread that reports: drains the spool, sends heartbeats, and bears a store that is away.

In the main process of a worker, in a producer and in the agent it reports; in a child it only watches its parent, and reports once
that is gone.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from queue_metrics import _core
from queue_metrics.errors import MissingDependency, StoreError, StoreUnavailable
from queue_metrics.recording import pace, spool
from queue_metrics.recording.beats import Beats
from queue_metrics.recording.contact import Contact
from queue_metrics.recording.drain import SHARD, Drain
from queue_metrics.recording.servers import ServerSampler
from queue_metrics.recording.trouble import shown, warner
from queue_metrics.storage.forks import Forking

if TYPE_CHECKING:
    from queue_metrics.config import Settings
    from queue_metrics.storage.base import StorageDriver

_STRANDED_PAUSE = 10.0
_SWEEP_EVERY = 60.0
_SWEEP_BITE = 1000
_LONGEST_SWEEP = 2.0  # batches must not wait behind it; what is left is for the next time
_NEGLECTED_AFTER = 15.0
EXIT_SECONDS = 2.0
"""How long the last flush may hold up the exit of a process."""


class Reporter:
    """Reports for this process; `start` makes the thread, and nothing before it does anything."""

    def __init__(
        self,
        settings: Settings,
        recorder: _core.Recorder,
        store: StorageDriver,
        drain: Drain,
        *,
        server: ServerSampler | None = None,
        report: Callable[[], None] | None = None,
    ) -> None:
        """
        Args:
            server: what samples the host for its heartbeat; None: this host by the source of `settings`.
            report: called about each `heartbeat_seconds` while this process reports, to leave its report file, also while the store is
                away.
        """
        self._settings = settings
        self._recorder = recorder
        self._store = store
        self._drain = drain
        self._server = server or ServerSampler(settings.sampling_source)
        self._report = report
        self._thread: threading.Thread | None = None
        self._refresh()

    def _refresh(self) -> None:
        self._wake = threading.Event()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._asked = self._answered = 0
        self._parent = 0
        self._contact = Contact()
        self._beats = Beats(self._settings, self._recorder, self._store, self._drain, self._server, self._contact)
        self._retry_at = self._heartbeat_at = self._sweep_at = self._say_at = 0.0
        self._drained_at = time.monotonic()
        self._turned_at = self._drained_at
        self._interval = self._settings.flush_seconds
        self._retry_pause = pace.FIRST_RETRY_SECONDS
        self._return_moment = 0.0  # in each RETURN_SECONDS, when this process tries a store that is away
        self._heartbeat_pause = self._settings.flush_seconds
        self.last_error: str | None = None

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, *, parent: int = 0) -> None:
        """
        Start the thread, if it does not run.

        Args:
            parent: pid of the main process that reports for this one as long as it lives; 0: report now.
        """
        if self.running:
            return
        self._stop = threading.Event()
        self._parent = parent
        self._beats.family = parent or self._beats.family
        self._thread = threading.Thread(target=self._run, args=(self._stop,), name="queue-metrics", daemon=True)
        self._thread.start()

    def forked(self) -> None:
        """To be called in a forked child: no thread of ours came along."""
        self._thread = None
        self._refresh()

    def stop(self, timeout: float = EXIT_SECONDS) -> None:
        """Flush for the last time, within `timeout` seconds, and let somebody else drain."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stop.set()
        self._wake.set()
        thread.join(timeout)

    def flush(self, timeout: float) -> bool:
        """Have everything that is recorded by now counted in the store; False if that took longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        there = spool.written(self._drain.spool)
        self.start()
        self._asked += 1
        asked = self._asked
        while (left := deadline - time.monotonic()) > 0:
            self._retry_at = 0.0
            self._wake.set()
            with self._changed:
                if self._changed.wait_for(lambda: self._answered >= asked, min(left, 0.2)):
                    return True
            if not self._drain.elected and self._counted_elsewhere(there):
                return True
        return False

    def status(self) -> dict[str, Any]:
        """Whether this process reports, what its drain counted, and since how many seconds the store fails."""
        return {
            "running": self.running,
            "draining": self._drain.elected,
            "drain": self._drain.status(),
            "failing_seconds": self._contact.failing_seconds,
            "interval_seconds": self._interval,
            "last_error": self.last_error,
        }

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            pause = self._turn()
            self._wake.wait(pause)
            self._wake.clear()
        # Also in the pause after an outage: who leaves cannot wait for its moment.
        if self._parent == 0 and self._attempt(self._drain_all):
            self._attempt(lambda: self._beats.send(last=True))
        if self._parent == 0 and not self._drain.stranded:
            self._say()
        if stop is self._stop:  # else somebody did not wait for us and started anew
            self._drain.release()

    def _turn(self) -> float:
        """Do what is due; returns the seconds until something is."""
        now = time.monotonic()
        if self._parent and self._parent == os.getppid() and not self._neglected(now):
            self._watch_parent(now)
            return self._settings.flush_seconds
        self._parent = 0
        if now >= self._say_at:
            self._say_at = now + self._heartbeat_pause
            self._say()
        if now < self._retry_at:
            return min(self._retry_at, self._say_at) - now
        asked = self._asked
        drained = self._flush(now)
        if self._drain.stranded:
            return self._strand()
        if drained:
            self._answer(asked)
        # In trouble the heartbeats show whether it is over, also where there is nothing to count.
        if drained is not None and (now >= self._heartbeat_at or self._contact.failing):
            # Soon again at first, so that new workers are seen.
            self._heartbeat_pause = min(self._settings.heartbeat_seconds, 2 * self._heartbeat_pause)
            self._heartbeat_at = now + self._heartbeat_pause
            if self._attempt(self._beats.send):
                self._recovered()
        if self._contact.failing:
            return max(0.0, self._retry_at - time.monotonic())
        if not self._drain.elected:
            return self._settings.flush_seconds
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_EVERY
            self._attempt(self._sweep)
        pause = min(pace.spread(self._interval, random.random()), self._heartbeat_at - time.monotonic())
        return max(0.0, pause) if drained else 0.0

    def _flush(self, now: float) -> bool | None:
        """Hand over what is there, and learn from it how soon to do so again; whether all of it was, None when that failed."""
        drain = self._drain
        before = drain.batches, drain.records, drain.store_seconds
        drained = False

        def step() -> None:
            nonlocal drained
            drained = drain.step()

        if not self._attempt(step):
            return None
        batches, records, seconds = drain.batches - before[0], drain.records - before[1], drain.store_seconds - before[2]
        handed = pace.Handed(batches, records, seconds, now - self._turned_at)
        self._turned_at = now
        self._interval = pace.next_interval(self._interval, handed, self._settings.flush_seconds, self._settings.flush_seconds_max)
        return drained

    def _strand(self) -> float:
        self.last_error = "a job closed the descriptors of this process"
        warner.warn(
            "stranded",
            f"{self.last_error}; this process records on, but another one must bring the records to the store: a new worker, "
            "or `queue-metrics agent`",
        )
        return _STRANDED_PAUSE

    def _attempt(self, duty: Callable[[], object]) -> bool:
        """Do a duty; False when it failed. Whatever it raises ends in a warning and a later try."""
        while self._drain.sound():
            try:
                duty()
                return True
            except Forking:  # this process, for a moment: no fault of the store, and nothing that anybody need hear of
                continue
            except (StoreError, MissingDependency) as error:
                self._failed(error, self._store_advice(error))
                return False
            except Exception as error:
                self._recorder.hook_error()
                self._drain.reset()
                advice = f"the spool {self._drain.spool} cannot be drained ({shown(error)}); jobs go on, see `queue-metrics doctor`"
                self._failed(error, advice)
                return False
        return False

    def _store_advice(self, error: StoreError | MissingDependency) -> str:
        url = self._store.url
        if isinstance(error, StoreUnavailable):
            return (
                f"the store {url} cannot be reached ({shown(error, url)}); jobs go on and their records wait in {self._drain.spool}. "
                "Start it, or set QUEUE_METRICS_STORE to another"
            )
        return (
            f"the store {url} does not take what is recorded ({shown(error, url)}); jobs go on and their records wait in "
            f"{self._drain.spool}. Mend the store; `queue-metrics doctor` tells more"
        )

    def _failed(self, error: Exception, advice: str) -> None:
        now = time.monotonic()
        if not self._contact.failing:
            self._contact.failed()
            self._retry_pause = pace.FIRST_RETRY_SECONDS
            self._return_moment = random.uniform(0.0, pace.RETURN_SECONDS)
        self.last_error = shown(error)
        self._retry_at = now + pace.until_retry(
            self._contact.failing_seconds or 0.0, self._retry_pause, self._return_moment, random.random()
        )
        self._retry_pause = pace.next_retry(self._retry_pause)
        warner.warn(f"{type(error).__name__} {self._store.url}", advice)

    def _recovered(self) -> None:
        if self._contact.failing:
            self._contact.answered()
            for kind in ("StoreUnavailable", "StoreRefused", "SchemaMismatch"):
                warner.over(f"{kind} {self._store.url}", f"the store {self._store.url} takes records again; those that waited are sent")

    def _sweep(self) -> None:
        """Remove what has expired, where the store does not by itself; one spool does it for all that use the store."""
        owner = spool.spool_id(self._drain.spool)
        if owner is None or self._store.capabilities().get("expires_itself") or not self._store.lease("sweep", owner, _SWEEP_EVERY):
            return
        until = time.monotonic() + _LONGEST_SWEEP
        while self._store.sweep(_SWEEP_BITE) == _SWEEP_BITE and time.monotonic() < until:
            pass

    def _answer(self, asked: int) -> None:
        with self._changed:
            self._answered = asked
            self._changed.notify_all()

    def _drain_all(self) -> None:
        while not self._drain.step() and self._drain.elected:
            pass

    def _say(self) -> None:
        """The report file for `doctor`, and the warning of drops: what needs no store, and is wanted most while that is away."""
        try:
            if self._report is not None:
                self._report()
            self._beats.warn_of_drops()
        except Exception as error:  # it may not keep the records from the store
            self._recorder.hook_error()
            self.last_error = shown(error)

    def _neglected(self, now: float) -> bool:
        """Whether the main lives but nobody has drained for a while: it was started in a way that no hook saw."""
        if not self._drain.orphaned:
            self._drained_at = now
        return now - self._drained_at > _NEGLECTED_AFTER

    def _watch_parent(self, now: float) -> None:
        """What a child does while its main reports for it: tell the store itself of what it could not write."""
        if now >= max(self._heartbeat_at, self._retry_at):
            self._heartbeat_at = now + self._settings.heartbeat_seconds
            beats = self._beats.of_child()
            self._beats.warn_of_drops()
            if beats and self._attempt(lambda: self._store.heartbeat_many(beats.items(), 2 * self._settings.lost_seconds)):
                self._recovered()

    def _counted_elsewhere(self, there: dict[bytes, int]) -> bool:
        name = spool.spool_id(self._drain.spool)
        if not self._drain.sound():
            return False
        if name is None:
            return not there
        try:
            mark = self._store.read_mark(name, SHARD)
        except (StoreError, MissingDependency):
            return False
        left = spool.written(self._drain.spool)  # what was deleted meanwhile was counted before
        return spool.waiting({segment: records for segment, records in there.items() if segment in left}, mark.positions) == 0
