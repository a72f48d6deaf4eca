"""
The cadence behind shares and rates of the host: a thread that samples each period, for who asks for it.

Shares of the CPU are differences of two samples. A reader that took both would have to wait; one that compared with its own last visit
would tell of an hour. Here the last sample is always of one period.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from queue_metrics import _core
from queue_metrics.config import load_settings

if TYPE_CHECKING:
    from queue_metrics._core_host import _HostSample

SHORTEST_SECONDS = 0.2
"""What both sources need between two samples."""


class HostWatch:
    """Samples of this host each `period` seconds, once `start` was called; nothing runs before."""

    def __init__(self, period: float = 10.0, *, source: str | None = None, root: str = "/") -> None:
        """
        Args:
            period: seconds between two samples, 0.2 at least.
            source: `auto`, `proc` or `sysinfo`; None: the setting `sampling_source`, as `load_settings` finds it here.
            root: where `proc` and `sys` are looked for.

        Raises:
            ValueError: the period is shorter, or there is no such source.
            ConfigurationError: the configuration that should name the source is wrong.
        """
        if not period >= SHORTEST_SECONDS:
            raise ValueError(f"period is a number of seconds, {SHORTEST_SECONDS} at least, not {period}")
        self.period = period
        self._sampler = _core.HostSampler(load_settings().sampling_source if source is None else source, root)
        self._pid = 0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._latest: _HostSample | None = None

    @property
    def running(self) -> bool:
        """Whether a thread of this process samples; False in a forked child until it calls `start` itself."""
        return self._pid == os.getpid() and self._thread is not None and self._thread.is_alive()

    @property
    def latest(self) -> _HostSample | None:
        """The last sample; None before the first one, and in a forked child. Its `interval_seconds` is None in the first one only."""
        return self._latest if self._pid == os.getpid() else None

    def start(self) -> None:
        """Start the thread, if it does not run."""
        if self.running:
            return
        self._pid = os.getpid()
        self._latest = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), name="queue-metrics-host", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """End the thread; the last sample stays."""
        if self.running and self._thread is not None:
            self._stop.set()
            self._thread.join(timeout)
        self._thread = None

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._latest = self._sampler.sample()
            stop.wait(self.period)
