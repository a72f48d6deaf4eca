"""
What a fork may meet: no call inside a database library, no import under way, no connection that both sides believe to own.

Tried without: children that inherit SQLite's mutexes or the lock of a half-imported module hang for ever. Knows no database.
"""

from __future__ import annotations

# These two run functions of their own around forks. Registered before ours, logging's lock is taken after our wait, in which an import may
# want it; and neither is first loaded, so registered half, by an import that we wait for.
import concurrent.futures.thread  # noqa: F401
import logging  # noqa: F401
import os
import threading
import weakref
from types import TracebackType
from typing import TYPE_CHECKING

from queue_metrics.errors import StoreUnavailable

if TYPE_CHECKING:
    from queue_metrics.storage.base import StorageDriver

CALLS_END_SECONDS = 2.0
"""How long a fork waits for calls in other threads to end; longer ones are forked over, and the child drops their handles."""

IMPORTS_END_SECONDS = 10.0
"""The same for imports. They wait for no network, but on a busy machine they take seconds, and a child that meets one hangs for ever."""

HELD_BACK_SECONDS = 0.1
"""
How long a call waits for a fork in another thread before it answers StoreUnavailable. Not longer, since whoever forks may in turn wait
for a lock that the caller holds; a fork itself takes milliseconds.
"""


class ForkGate:
    """
    Around every call of a driver: `with gate:`. Lets any number in, and none while the process forks.

    A gate must be renewed in the child, where threads that stood in it do not exist.

    Args:
        refuse: whether one who waited too long is turned away with StoreUnavailable, or let in.
    """

    def __init__(self, *, refuse: bool = True) -> None:
        self._refuse = refuse
        self.renew()

    def renew(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._shut = False

    def shut(self, seconds: float | None = None) -> bool:
        """Hold new calls back and wait for those inside, CALLS_END_SECONDS by default; False when they did not end in time."""
        with self._changed:
            self._shut = True
            return self._changed.wait_for(lambda: self._inside == 0, CALLS_END_SECONDS if seconds is None else seconds)

    def open(self) -> None:
        with self._changed:
            self._shut = False
            self._changed.notify_all()

    def __enter__(self) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: not self._shut, HELD_BACK_SECONDS) and self._refuse:
                raise StoreUnavailable("this process is forking; try again")
            self._inside += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()


loading = ForkGate(refuse=False)
"""Around imports that a thread may make at any time: the lock of a module that is being imported stays locked in a child for ever."""

_guarded: weakref.WeakSet[StorageDriver] = weakref.WeakSet()


def guard(driver: StorageDriver) -> None:
    """Call the driver's `before_fork`, `after_fork_parent` and `after_fork_child` around every fork from now on."""
    _guarded.add(driver)


def _before() -> None:
    loading.shut(IMPORTS_END_SECONDS)
    for driver in list(_guarded):
        driver.before_fork()


def _after_in_parent() -> None:
    for driver in list(_guarded):
        driver.after_fork_parent()
    loading.open()


def _after_in_child() -> None:
    loading.renew()
    for driver in list(_guarded):
        driver.after_fork_child()


os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
