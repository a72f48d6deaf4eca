"""Who keeps what readers cannot keep: each minute one pass, by one collector of all, under a lease in the store."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from queue_metrics.collector.asking import Asked, Asking
from queue_metrics.collector.passes import AGES, DUTIES, Ages, collect, used
from queue_metrics.config import Duties
from queue_metrics.errors import QueueMetricsError, StoreRefused
from queue_metrics.model.collector import PassAnswer
from queue_metrics.recording.trouble import shown, warner
from queue_metrics.storage.base import MINUTE, StorageDriver
from queue_metrics.storage.collector import READ_COLLECTOR, state_of
from queue_metrics.storage.manager import configured, open_store

if TYPE_CHECKING:
    from queue_metrics.config import Settings

__all__ = ["Ages", "Collector", "Duties", "collect", "collector", "new_owner", "once"]

LEASE = "collector"
LEASE_SECONDS, TURN_SECONDS = 30.0, 10.0
"""How long a collector that was killed keeps the others waiting, and how often each asks."""
_RELEASE = 0.001  # the shortest lease there is: who comes next need not wait


def new_owner() -> str:
    """A name for a collector that no other has: host, process, and letters by chance."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def once(
    driver: StorageDriver,
    *,
    now: float | None = None,
    ages: Ages = AGES,
    dry_run: bool = False,
    settings: Settings | None = None,
    **more: Any,
) -> PassAnswer | None:
    """
    One pass, as cron wants it; None when another collector has the lease.

    Args:
        driver: an open store.
        now: seconds since 1970; the wall clock by default.
        ages: from when on nobody is believed to live.
        dry_run: take no lease, ask nobody and write nothing.
        settings: whose connections are asked for depth first; None: nobody is asked.
        **more: as `collect`.

    Raises:
        StoreError: the store cannot be read or written.
    """
    owner = new_owner()
    if dry_run or not used(driver):
        return collect(driver, owner, now=now, ages=ages, dry_run=True, **more)
    if not _led(driver, owner, LEASE_SECONDS):
        return None
    asking = None if settings is None else Asking(settings, driver, owner)
    try:
        asked = _asked(driver, asking, time.time() if now is None else now)
        return _with(collect(driver, owner, now=now, ages=ages, asked=asked.kept, **more), asked)
    finally:
        if asking is not None:
            asking.close()
        driver.lease(LEASE, owner, _RELEASE)


def _led(driver: StorageDriver, owner: str, seconds: float) -> bool:
    """Whether the lease is ours: the first that a collector writes, where one shows that may only read."""
    try:
        return driver.lease(LEASE, owner, seconds)
    except StoreRefused as error:
        advice = "give them to this user, or set `collector = false` and collect elsewhere"
        raise StoreRefused(f"{str(error).rstrip('.')}; who collects writes, and needs the rights of a worker: {advice}") from error


def _asked(driver: StorageDriver, asking: Asking | None, now: float) -> Asked:
    """Ask before the pass of a minute, which is to see the answers; nobody when the minute is done."""
    if asking is None or state_of(driver.execute([READ_COLLECTOR])[0]).passed(now):
        return Asked(0, {})
    return asking()


def _with(answer: PassAnswer, asked: Asked) -> PassAnswer:
    return replace(answer, asked=asked.queues, away=asked.away, spool=asked.trouble or "")


class Collector:
    """
    A collector in a thread of this process. Ten of them do the work once; when the one that does it is gone, the next takes over within
    40 seconds. A store that is away stops nothing: the pass is tried again, and a minute that passed meanwhile is a gap.

    As a context manager it runs while it is open. A forked child has no thread of it.
    """

    def __init__(
        self,
        driver: StorageDriver,
        *,
        ages: Ages = AGES,
        duties: Duties = DUTIES,
        now: Callable[[], float] = time.time,
        lease_seconds: float = LEASE_SECONDS,
        turn_seconds: float = TURN_SECONDS,
        settings: Settings | None = None,
    ) -> None:
        """
        Args:
            driver: an open store; whoever opened it closes it, once this has stopped.
            ages: from when on nobody is believed to live.
            duties: what each pass does.
            now: the clock, seconds since 1970.
            lease_seconds: how long one that was killed keeps the others waiting.
            turn_seconds: how often each asks for the lease; a third of its length, so that it does not end in between.
            settings: whose connections are asked for depth before each pass; None: nobody is asked.
        """
        self.owner = new_owner()
        self.passes = 0
        """Passes that this one did."""
        self.errors = 0
        self.last_error: str | None = None
        """Turns that failed, and the last of them while it is not mended."""
        self._driver = driver
        self._ages = ages
        self._duties = duties
        self._now = now
        self._lease_seconds = lease_seconds
        self._turn_seconds = turn_seconds
        self._asking = None if settings is None else Asking(settings, driver, self.owner)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._leading = self._worth = False
        self._minute: int | None = None
        self._reached: float | None = None
        self._interrupted = False
        """When the store answered last, and whether it has been silent for long since the last pass."""
        self._turns = 0

    def start(self) -> Self:
        """Begin; a second call changes nothing."""
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="queue-metrics-collector", daemon=True)
            self._thread.start()
        return self

    def stop(self, timeout: float = 5.0) -> None:
        """End, within `timeout` seconds; the next one may begin at once."""
        self._stop.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._attempt()
            self._stop.wait(self._turn_seconds)
        if self._leading:
            with contextlib.suppress(QueueMetricsError):  # the store is away: the lease ends by itself
                self._driver.lease(LEASE, self.owner, _RELEASE)
        if self._asking is not None:
            self._asking.close()

    def _attempt(self) -> None:
        try:
            self._turn()
        except Exception as error:  # a thread of the user's process: what fails is told and tried again
            self.errors += 1
            self.last_error = shown(error)
            warner.warn("collector", f"the collector did not pass: {self.last_error}; it tries again")
        else:
            self.last_error = None
            warner.over("collector", "the collector passes again")
        self._turns += 1

    def _turn(self) -> None:
        if not self._worth and not self._anything():
            return
        self._leading = _led(self._driver, self.owner, self._lease_seconds)
        self._reach()
        now = self._now()
        minute = int(now) // MINUTE
        if self._leading and minute != self._minute:
            kept = _asked(self._driver, self._asking, now).kept
            answer = collect(
                self._driver, self.owner, now=now, ages=self._ages, duties=self._duties, interrupted=self._interrupted, asked=kept
            )
            done = answer.done
            self.passes += done
            self._interrupted &= not done
            self._minute = minute
            self._reached = time.monotonic()

    def _reach(self) -> None:
        """
        Note that the store answers. A store that was away between two passes leaves no gap of them; turns are closer. Half of the age
        from which a worker is stale, since its heartbeat was not new when the store went.
        """
        now = time.monotonic()
        if self._reached is not None and now - self._reached > max(self._ages.stale_seconds / 2, 2 * self._turn_seconds):
            self._interrupted = True
        self._reached = now

    def _anything(self) -> bool:
        self._worth = used(self._driver)
        return self._worth


def collector(
    store: str | StorageDriver | None = None, *, prefix: str | None = None, settings: Settings | None = None, asks: bool = True
) -> Collector:
    """
    Collect in a thread of this process, from now on until `stop()`.

    Args:
        store: its URL, or a driver that is open; None: as configured, and so is everything else.
        prefix: of its keys or tables.
        settings: in place of the configured ones; a store or prefix that is given holds before theirs.
        asks: whether the connections of the configuration are asked for depth, each minute; not of a driver that is open.

    Raises:
        ConfigurationError: the URL is malformed or of an unknown kind, or a setting is unknown or wrong.
        MissingDependency: the library of this database is not installed.
    """
    driver, chosen = configured(store, prefix=prefix) if settings is None else _settled(store, prefix, settings)
    asks = asks and not isinstance(store, StorageDriver)
    ages = Ages(chosen.stale_seconds, chosen.lost_seconds)
    return Collector(driver, ages=ages, duties=chosen.duties, settings=chosen if asks else None).start()


def _settled(store: str | StorageDriver | None, prefix: str | None, settings: Settings) -> tuple[StorageDriver, Settings]:
    """As `configured`, of settings that were made already."""
    if isinstance(store, StorageDriver):
        return store, settings
    settings = replace(settings, store=store or settings.store, prefix=prefix or settings.prefix)
    return open_store(settings), settings
