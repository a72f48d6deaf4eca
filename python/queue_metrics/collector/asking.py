"""
Before a pass: how deep the queues are of the connections that the configuration names, where no worker, `agent` or `serve` asks.

What a broker answers is recorded in a spool of the collectors of this machine and drained at once, so the pass that follows sees it. The
time is bounded: a broker that does not answer, or an app whose import does not end, is named, and its one thread left behind until it does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from queue_metrics.collector.kept import Kept
from queue_metrics.errors import QueueMetricsError
from queue_metrics.recording.depth import depth_lease, known_queues
from queue_metrics.recording.named import probes_of
from queue_metrics.recording.trouble import shown, warner

if TYPE_CHECKING:
    from queue_metrics._core import Recorder
    from queue_metrics.config import Settings
    from queue_metrics.hooks.base import DepthProbe, QueueDepth
    from queue_metrics.storage.base import StorageDriver

IMPORT_SECONDS, WAIT_SECONDS = 12.0, 5.0
"""For the imports of all apps, which cron needs in each pass, and then for all brokers: less than the lease of a collector holds."""
_IMPORT_ALONE_SECONDS = 1.0
"""Where an app is imported the next one waits for so long: two of one project may need the same modules, each from its own end."""
_LEASE_SECONDS = 25.0
_RELEASE = 0.001  # the shortest lease there is


@dataclass(frozen=True, slots=True)
class Asked:
    """How many queues told a depth that was kept, which connections did not answer, each with the reason, and what was wrong here."""

    queues: int
    away: Mapping[str, str]
    trouble: str | None = None
    """Why depths could not be kept, and what to do."""
    kept: Sequence[str] = ()
    """Connections whose depths were, all of them."""


class _Question:
    """One connection that is being asked, in a thread of its own."""

    def __init__(self, opened: Callable[[], Sequence[DepthProbe]], known: Sequence[str]) -> None:
        """
        Args:
            opened: imports the app where that was not done yet.
            known: queues to be asked for beside those of the app.
        """
        self.depths: list[QueueDepth] | None = None
        self.why: str | None = None
        """What went wrong."""
        self.imported = threading.Event()
        """Set when the import of the app has ended, well or not."""
        self.wants_main_thread = False
        """Whether the import ended as that of an app does that sets signal handlers, or asks for an event loop."""
        self._opened = opened
        self._known = known
        self._thread = threading.Thread(target=self._run, name="queue-metrics-asking", daemon=True)
        self._thread.start()

    def join(self, until: float) -> None:
        self._thread.join(max(until - time.monotonic(), 0.0))

    @property
    def runs(self) -> bool:
        return self._thread.is_alive()

    @property
    def hangs_in(self) -> str:
        return "the question to its broker" if self.imported.is_set() else "the import of its app"

    def _run(self) -> None:
        probes: Sequence[DepthProbe] = ()
        try:
            probes = self._opened()
            self.imported.set()
            for probe in probes:
                probe.known = self._known
            self.depths = [depth for probe in probes for depth in probe.ask()]
        except BaseException as error:  # whatever an app, a broker or its library comes up with
            self.why = shown(error)
            self.wants_main_thread = isinstance(error.__cause__, (ValueError, RuntimeError)) and not self.imported.is_set()
            self.imported.set()
        for probe in probes:
            with suppress(Exception):
                probe.close()


class Asking:
    """Asks each connection once when it is told to, unless another process has the lease of it. Opens nothing before that."""

    def __init__(self, settings: Settings, store: StorageDriver, owner: str) -> None:
        """
        Args:
            settings: which connections, and where spools are.
            store: an open store.
            owner: by whom leases are taken.
        """
        self._settings = settings
        self._store = store
        self._owner = owner
        self._kept: Kept | None = None
        self._probes: dict[str, list[DepthProbe]] = {}
        self._running: dict[str, _Question] = {}

    def __call__(self) -> Asked:
        """
        Ask, record and count.

        Raises:
            StoreError: the store cannot be read or written; what was answered waits in the spool.
        """
        if not self._settings.connections:
            return Asked(0, {})
        away: dict[str, str] = {}
        known = known_queues(self._store)
        leased = [name for name in self._settings.connections if self._free(name, away) and self._lease(name, _LEASE_SECONDS)]
        try:
            asked = self._ask({name: known.get(name, ()) for name in leased}, away)
        finally:
            for name in leased:
                with suppress(QueueMetricsError):  # it ends by itself
                    self._lease(name, _RELEASE)
        for name, why in away.items():
            warner.warn(f"asking {name}", f"the broker of connection {name!r} cannot be asked ({why}); the collector passes all the same")
        return asked

    def close(self) -> None:
        """Let go of the spool."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _ask(self, known: Mapping[str, Sequence[str]], away: dict[str, str]) -> Asked:
        kept = self._kept = self._kept or Kept(self._settings, self._store)
        imports_until = time.monotonic() + IMPORT_SECONDS
        for name, queues in known.items():
            self._running[name] = _Question(partial(self._probes_of, name, kept.recorder), queues)
            self._running[name].imported.wait(min(_IMPORT_ALONE_SECONDS, max(imports_until - time.monotonic(), 0.0)))
        imported = [name for name in known if self._running[name].imported.wait(max(imports_until - time.monotonic(), 0.0))]
        if threading.current_thread() is threading.main_thread():  # as under cron
            for name in imported:
                if self._running[name].wants_main_thread:
                    self._running[name] = self._again(name, kept.recorder, known[name])
        until = time.monotonic() + WAIT_SECONDS
        told: list[QueueDepth] = []
        for name in known:
            question, seconds = self._running[name], IMPORT_SECONDS
            if name in imported:
                question.join(until)
                seconds = WAIT_SECONDS
            if question.depths is None:
                away[name] = question.why or f"{question.hangs_in} has not ended in {seconds:g} s"
                continue
            told += question.depths
        count, trouble = kept.put(told) if told else (0, None)
        return Asked(count, away, trouble, () if trouble else [name for name in known if name not in away])

    def _again(self, name: str, recorder: Recorder, known: Sequence[str]) -> _Question:
        """Import in this thread, which is the main one, and ask; the import ended the first time, so this one will, too."""
        with suppress(QueueMetricsError):  # the question says so once more
            self._probes_of(name, recorder)
        return _Question(partial(self._probes_of, name, recorder), known)

    def _probes_of(self, name: str, recorder: Recorder) -> Sequence[DepthProbe]:
        """Called by one question of this connection at a time, in its thread."""
        if name not in self._probes:
            self._probes[name] = probes_of(name, self._settings.connections[name], recorder)
        return self._probes[name]

    def _free(self, name: str, away: dict[str, str]) -> bool:
        """Whether no question of an earlier pass still hangs."""
        question = self._running.get(name)
        if question is not None and question.runs:
            away[name] = f"{question.hangs_in} has not ended since an earlier pass"
            return False
        self._running.pop(name, None)
        return True

    def _lease(self, name: str, seconds: float) -> bool:
        return self._store.lease(depth_lease(name), self._owner, seconds)
