"""Calls who listens for what the collector tells: a thread that asks the store behind a cursor. Reading takes nothing from others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from queue_metrics.errors import StoreError
from queue_metrics.insights.collecting import last_number, logged
from queue_metrics.model.events import Event
from queue_metrics.recording.trouble import shown, warner
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import configured

POLL_SECONDS = 5.0
_MOST = 1000  # events at once


class Listening:
    """A callback that is called with each event of a kind, until this is called. Forked children have no thread of it."""

    def __init__(self, driver: StorageDriver, kind: str, callback: Callable[[Event], Any], *, every: float = POLL_SECONDS) -> None:
        """
        Args:
            driver: an open store.
            kind: one of `EVENT_KINDS`.
            callback: called in a thread of its own, with one event after the other.
            every: seconds between two questions to the store.
        """
        self.errors = 0
        """Calls that raised: such an event is not told again."""
        self.missed = 0
        """Events of any kind that fell out of the log before they were read."""
        self._driver = driver
        self._kind = kind
        self._callback = callback
        self._every = every
        self._stop = threading.Event()
        try:
            self._cursor: int | None = last_number(driver)
        except StoreError:  # it begins with what is new when the store is there again
            self._cursor = None
        self._thread = threading.Thread(target=self._run, name="queue-metrics-listener", daemon=True)
        self._thread.start()

    def __call__(self) -> None:
        """End: no call begins after this; may be called twice, and by the callback."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(5.0)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self._read()
            except Exception as error:  # a thread of the user's process: what fails is told and tried again
                warner.warn("listener", f"events cannot be read: {shown(error)}; this is tried again")
            else:
                warner.over("listener", "events can be read again")

    def _read(self) -> None:
        if self._cursor is None:
            self._cursor = last_number(self._driver)
        while not self._stop.is_set():
            events, cursor, missed = logged(self._driver, self._cursor, _MOST)
            self.missed += missed
            for event in events:
                if event.kind == self._kind:
                    self._tell(event)
                if self._stop.is_set():
                    return
            self._cursor = cursor
            if not events:
                return

    def _tell(self, event: Event) -> None:
        try:
            self._callback(event)
        except BaseException as error:  # code of the user: `sys.exit()` too would end this thread without a word, and no program
            self.errors += 1
            warner.warn(f"callback {self._kind}", f"the callback for {self._kind} raised {type(error).__name__}: {shown(error)}")


def listen(
    kind: str, callback: Callable[[Event], Any], *, store: str | StorageDriver | None = None, every: float = POLL_SECONDS
) -> Listening:
    """
    Have a callback called with each stored event of a kind from now on.

    Args:
        kind: one of `EVENT_KINDS`.
        callback: a plain function of one argument.
        store: its URL, or a driver that is open; None: as configured.
        every: seconds between two questions to the store.

    Raises:
        ConfigurationError: the URL is malformed or of an unknown kind, or a setting is unknown or wrong.
        MissingDependency: the library of this database is not installed.
    """
    return Listening(configured(store)[0], kind, callback, every=every)
