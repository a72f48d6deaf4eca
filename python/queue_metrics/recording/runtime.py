"""
One spool in this process: its recorder, and the threads that bring what is recorded to the store.

Nothing runs before the process is told what it is: the main process of a worker, a child of one, or a producer.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from queue_metrics import _core
from queue_metrics.recording import process
from queue_metrics.recording.depth import DepthWatch
from queue_metrics.recording.drain import GRACE, Drain
from queue_metrics.recording.fork import Gate, in_child
from queue_metrics.recording.reporter import EXIT_SECONDS, Reporter
from queue_metrics.recording.spool import write_report
from queue_metrics.storage.manager import open_store

if TYPE_CHECKING:
    from queue_metrics.config import Settings
    from queue_metrics.hooks.base import DepthProbe, Hook
    from queue_metrics.recording.servers import ServerSampler
    from queue_metrics.storage.base import StorageDriver

_runtimes: dict[Path, Runtime] = {}
_guard = Gate()


def runtime(settings: Settings) -> Runtime:
    """
    The runtime of this process for the spool of `settings`: one recorder a process and spool.

    Raises:
        ConfigurationError: the store's URL is malformed or its kind unknown.
        MissingDependency: the database needs a library that is not installed.
    """
    with _guard:
        found = _runtimes.get(settings.spool)
        if found is None:
            found = _runtimes[settings.spool] = Runtime(settings)
        return found


class Runtime:
    """Made by `runtime`, or by the agent for each spool that it drains."""

    def __init__(
        self,
        settings: Settings,
        *,
        store: StorageDriver | None = None,
        server: ServerSampler | None = None,
        spool: Path | None = None,
        agent: bool = False,
        grace: float = GRACE,
    ) -> None:
        """
        Args:
            store: an open driver; None: that of `settings`.
            server: what samples the host for its heartbeat; None: this host by the source of `settings`.
            spool: another spool than that of `settings`.
            agent: other drainers of the spool make way for this one.
            grace: seconds between a death and the verdict on what it left open.
        """
        self.settings = settings
        self.spool = spool or settings.spool
        self.store = open_store(settings) if store is None else store
        self.store.recording = True
        self.recorder = _core.Recorder(
            os.fspath(self.spool),
            socket.gethostname(),
            journal=settings.journal,
            exact_peak=settings.exact_peak,
            shared_group=settings.shared_group,
        )
        self.drain = Drain(
            self.spool, self.recorder, self.store, agent=agent, grace=grace, limits=settings.limits, shared_group=settings.shared_group
        )
        self.reporter = Reporter(settings, self.recorder, self.store, self.drain, server=server, report=self._write_report)
        self._hooks: list[Hook] = []
        self._watches: dict[DepthProbe, DepthWatch] = {}
        self._pid = 0  # the process in which the threads run
        self._main = 0  # the process that reports, in it and in those forked from it
        self._asks = False
        in_child(self._forked)

    def add(self, hook: Hook) -> None:
        """Have the queues of this hook asked, once the process is the main of a worker, and its findings reported."""
        self._hooks.append(hook)
        if self._asks and self._pid == os.getpid():
            self._watch(hook)

    def remove(self, hook: Hook) -> None:
        """Ask for this hook no longer; with the last one the threads end, after a last flush."""
        if hook in self._hooks:
            self._hooks.remove(hook)
        for probe in hook.probes():
            watch = self._watches.pop(probe, None)
            if watch is not None:
                watch.stop(EXIT_SECONDS)
        if not self._hooks:
            self.stop()

    def on_main(self) -> None:
        """This is the main process of a worker, or one that executes jobs without a main: report, and ask for depths."""
        self._begin()
        self._asks = True
        for hook in tuple(self._hooks):
            self._watch(hook)

    def on_child(self) -> None:
        """This process executes jobs under a main: report only when that is gone."""
        self.recorder.ready()
        self._begin(parent=process.main_of_child())

    def on_producer(self) -> None:
        """This process enqueued a job: report, unless another process does."""
        self._begin()

    def on_execution(self) -> None:
        """
        This process executes something by itself, with no job library that could say what it is.

        Nothing changes in one that has been told already.
        """
        if self._pid == os.getpid():
            return
        if self._main == os.getppid():
            self.on_child()
        else:
            self.recorder.describe(_core.MAIN, "custom", "custom", "")
            self.on_main()

    def watch(self, probe: DepthProbe) -> None:
        """Ask a probe from now on."""
        if probe not in self._watches:
            self._watches[probe] = DepthWatch(probe, self.recorder, self.store, self.settings.depth_seconds, self.drain.sound)
        self._watches[probe].start()

    def flush(self, timeout: float) -> bool:
        """Have everything recorded by now counted in the store; False if that took longer than `timeout` seconds."""
        self._begin()
        return self.reporter.flush(timeout)

    def stop(self, timeout: float = EXIT_SECONDS) -> None:
        """End the threads after a last flush; they begin again when they are needed."""
        for watch in tuple(self._watches.values()):
            watch.stop(0.1)
        self._watches.clear()
        self.reporter.stop(timeout)
        self._pid = 0

    def status(self) -> dict[str, Any]:
        """Where things are and how they go: for `Instrumentation.status`."""
        return {
            "store": self.store.url,
            "namespace": self.settings.namespace,
            "spool": os.fspath(self.spool),
            "recorder": self.recorder.status(),
            "reporter": self.reporter.status(),
            "work": {"requests": self.drain.requests, "batches": self.drain.batches, "records": self.drain.records},
            "depth": {watch.probe.connection: watch.last_error for watch in tuple(self._watches.values())},
        }

    def findings(self) -> dict[str, list[str]]:
        """What the hooks have to say, by library."""
        found: dict[str, list[str]] = {}
        for hook in tuple(self._hooks):
            with suppress(Exception):
                found.setdefault(hook.library, []).extend(hook.findings())
        if isinstance(reason := self.recorder.status()["exact_peak"], str):
            for findings in found.values():
                findings.append(f"exact_peak is not in use: {reason}")
        return found

    def _begin(self, *, parent: int = 0) -> None:
        if self._pid == os.getpid() and self.reporter.running:
            return
        with _guard:
            self._pid = os.getpid()
            if parent == 0:
                self._main = self._pid
            _load_what_threads_need()
            process.at_exit(self._end)
            self.reporter.start(parent=parent)

    def _watch(self, hook: Hook) -> None:
        for probe in hook.probes():
            self.watch(probe)

    def _end(self) -> None:
        self.recorder.stopped()
        self.stop()

    def _forked(self) -> None:
        self._pid = 0
        self._asks = False
        self.reporter.forked()
        for watch in self._watches.values():
            watch.forked()
        self._watches.clear()

    def _write_report(self) -> None:
        found = self.findings() or {"custom": []}  # track() has no hook, but errors to tell
        for library, findings in found.items() if self._asks else ():  # what a producer has found is not told
            about = {"pid": os.getpid(), "host": socket.gethostname(), "written": _core.clock_us(), "findings": findings}
            write_report(self.spool, library, {**about, **self._troubles()})
        if self.drain.elected:
            about = {"pid": os.getpid(), "host": socket.gethostname(), "written": _core.clock_us()}
            write_report(self.spool, "drainer", {**about, "store": self.store.url, "drain": self.drain.status()})

    def _troubles(self) -> dict[str, Any]:
        status = self.recorder.status()
        return {
            "hook_errors": status["hook_errors"],
            "last_error": status["last_error"],
            "way": status["way"],
            "way_reason": status["way_reason"],
            "depth": {watch.probe.connection: watch.last_error for watch in tuple(self._watches.values())},
        }


def _load_what_threads_need() -> None:
    """
    Load, in the calling thread, what the threads would load by themselves.

    A module that is being loaded by one thread while another forks stays locked in the child for ever.
    """
    import encodings.idna  # noqa: F401  by the first connection to a host with a name
