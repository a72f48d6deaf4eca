"""
The thread that asks one broker how deep its queues are, and records the answers, so that a store that is away loses no minute.

One thread a connection: a broker that does not answer holds up nothing else.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from queue_metrics.errors import QueueMetricsError
from queue_metrics.recording.fork import Gate
from queue_metrics.recording.trouble import shown, warner
from queue_metrics.storage.base import MINUTE, QUEUE
from queue_metrics.storage.names import OTHER
from queue_metrics.storage.view import Range

if TYPE_CHECKING:
    from queue_metrics._core import Recorder
    from queue_metrics.hooks.base import DepthProbe, QueueDepth
    from queue_metrics.storage.base import StorageDriver

_TICK = 1.0
_LEASE_ROUNDS = 3  # a lease holds for so many questions and is renewed at every second one
_KNOWN_EVERY = 300.0  # seconds: a queue that only others have seen is asked that much later
_RELEASE = 0.001  # seconds: the shortest lease, which ends at once


class DepthWatch:
    """Asks one probe every `depth_seconds` while this process has the lease of its connection."""

    def __init__(
        self, probe: DepthProbe, recorder: Recorder, store: StorageDriver, every: float, usable: Callable[[], bool] = lambda: True
    ) -> None:
        """
        Args:
            every: seconds between two questions.
            usable: asked before each use of the store.
        """
        self.probe = probe
        self.last_error: str | None = None
        self._recorder = recorder
        self._store = store
        self._every = every
        self._usable = usable
        # A probe of a local file is waited for, and closed, before a fork; one that waits for a server is left to itself.
        self._gate = Gate(close=probe.close, abandon=probe.abandon, waits=probe.local)
        self._thread: threading.Thread | None = None
        self._forget()

    def _forget(self) -> None:
        self._stop = threading.Event()
        self._asked_at = self._leased_at = self._known_at = float("-inf")
        # Until somebody else is known to ask, we do: without a store to tell, the same answer twice harms nothing.
        self._mine = True

    def start(self) -> None:
        """Start the thread, if it does not run."""
        if self._thread is None or not self._thread.is_alive():
            self._forget()
            self._thread = threading.Thread(target=self._run, args=(self._stop,), name="queue-metrics-depth", daemon=True)
            self._thread.start()

    def forked(self) -> None:
        """To be called in a forked child: no thread of ours came along, and the probe has been abandoned."""
        self._thread = None
        self._gate.remove()

    def stop(self, timeout: float) -> None:
        """End the thread and close the probe; a question that hangs is not waited for longer than `timeout` seconds."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout)
            self._thread = None
        self._gate.remove()

    def turn(self) -> None:
        """Do what is due now: a tick, or a question. Never raises: nobody would start the thread again."""
        now = time.monotonic()
        if now - self._asked_at < self._every:
            self._guarded(self.probe.tick)
            return
        self._asked_at = now
        if self._leased(now):
            self._guarded(self._ask)

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.turn()
            stop.wait(min(_TICK, self._every / 4))
        with self._gate, suppress(Exception):
            self.probe.close()
        if self._mine and self._leased_at > float("-inf") and self._usable():
            self._lease(_RELEASE)  # whoever comes next need not wait for it to end

    def _ask(self) -> None:
        self._learn()
        for depth in self.probe.ask():
            record_depth(self._recorder, depth)
        warner.over(f"depth {self.probe.connection}", f"the broker of connection {self.probe.connection!r} answers again")
        self.last_error = None

    def _learn(self) -> None:
        """Which queues the store knows; what was known before, when it does not answer."""
        if time.monotonic() - self._known_at >= _KNOWN_EVERY and self._usable():
            with suppress(QueueMetricsError):  # the reporter has the same store, and warns of it
                self.probe.known = known_queues(self._store).get(self.probe.connection, ())
                self._known_at = time.monotonic()

    def _guarded(self, call: Callable[[], object]) -> None:
        try:
            with self._gate:
                call()
        except Exception as error:
            self.last_error = shown(error)
            warner.warn(
                f"depth {self.probe.connection}",
                f"the broker of connection {self.probe.connection!r} cannot be asked ({self.last_error}); the depth of its queues is "
                "unknown until it answers, jobs are recorded all the same",
            )

    def _leased(self, now: float) -> bool:
        renew = _LEASE_ROUNDS / 2 * self._every if self._mine else self._every
        if now - self._leased_at >= renew and self._usable():
            answer = self._lease(_LEASE_ROUNDS * self._every)
            if answer is not None:
                self._mine, self._leased_at = answer, now
        return self._mine

    def _lease(self, seconds: float) -> bool | None:
        """Whether this process has the lease now; None when the store does not say: then whoever asked goes on asking."""
        try:
            return self._store.lease(depth_lease(self.probe.connection), self._recorder.worker_id, seconds)
        except QueueMetricsError:  # the reporter has the same store, and warns of it
            return None
        except Exception:  # a fault of ours may not end the thread, which asks for other connections too; doctor counts it
            self._recorder.hook_error()
            return None


def depth_lease(connection: str) -> str:
    """The name of the lease under which a broker is asked."""
    return f"depth:{connection}"


def known_queues(store: StorageDriver) -> Mapping[str, Sequence[str]]:
    """
    The queues of each connection that the store has ever seen, without the rest that counts as `__other__`.

    Raises:
        StoreError: it cannot be read.
    """
    found: dict[str, list[str]] = {}
    for each in store.read_view((Range((QUEUE,), MINUTE, 0, 0),), heartbeats=False).series:
        if OTHER not in each.labels:
            found.setdefault(each.labels[0], []).append(each.labels[1])
    return found


def record_depth(recorder: Recorder, depth: QueueDepth) -> None:
    """Record what a broker told."""
    counts = (depth.ready, depth.reserved, depth.scheduled, depth.running)
    recorder.gauge(depth.connection, depth.queue, *counts, _us(depth.oldest_age), _us(depth.due_in))


def _us(seconds: float | None) -> int | None:
    return None if seconds is None else max(0, round(seconds * 1_000_000))
