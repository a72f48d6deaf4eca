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
import sys
import threading
import time
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any

from queue_metrics.errors import StoreUnavailable

if TYPE_CHECKING:
    from queue_metrics.storage.base import StorageDriver

CALLS_END_SECONDS = 2.0
"""How long a fork waits for calls in other threads to end; longer ones are forked over, and the child drops their handles."""

IMPORTS_END_SECONDS = 60.0
"""
The same for imports. Forked over, the child hangs for ever at its own import; and they do end, but on a busy machine or a cold disk
after many seconds. Only for a file system that hangs is this not without a bound.
"""

HELD_BACK_SECONDS = 0.1
"""
How long a call waits for a fork in another thread before it is refused as `Forking`. Not longer, since whoever forks may in turn wait
for a lock that the caller holds; a fork itself takes milliseconds.
"""

IMPORTS_HELD_BACK_SECONDS = 10.0
"""How long an import waits for a fork, which may wait for calls, and for locks of others, once it has found no import under way."""

_LOOK_SECONDS = 0.05  # how often one who waits looks whether those inside wait for it


class Forking(StoreUnavailable):
    """A call came while this process forks. No fault of the store: the same call works a moment later."""


class ForkGate:
    """
    Around every call of a driver: `with gate:`. Lets any number in, and none while the process forks.

    A gate must be renewed in the child, where threads that stood in it do not exist.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._inside: list[int] = []  # the identities of threads, one twice if it went in twice
        self._shut = False

    def shut(self, seconds: float | None = None) -> bool:
        """
        Hold new calls back and wait for those inside, but for none that waits for this very thread.

        Args:
            seconds: how long; CALLS_END_SECONDS if not given.

        Returns:
            Whether nobody is inside.
        """
        if self._pid != os.getpid():  # forked by C code, past Python's own hooks
            self.renew()
        me = threading.get_ident()
        until = time.monotonic() + (CALLS_END_SECONDS if seconds is None else seconds)
        with self._changed:
            self._shut = True
            while not all(_waits_for(thread, me) for thread in self._inside):
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, _LOOK_SECONDS))
            return not self._inside

    def open(self) -> None:
        with self._changed:
            self._shut = False
            self._changed.notify_all()

    def held_back(self) -> None:
        """Wait for the end of a fork. Raises Forking when it takes too long."""
        if not self._changed.wait_for(lambda: not self._shut, HELD_BACK_SECONDS):
            raise Forking("this process is forking; try again")

    def __enter__(self) -> None:
        with self._changed:
            self.held_back()
            self._inside.append(threading.get_ident())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with self._changed:
            if threading.get_ident() in self._inside:  # it is not in a child that was forked from inside
                self._inside.remove(threading.get_ident())
            self._changed.notify_all()


class ImportGate(ForkGate):
    """Around imports, which nobody can be told to try again: whoever waited too long is let in."""

    def held_back(self) -> None:
        self._changed.wait_for(lambda: not self._shut, IMPORTS_HELD_BACK_SECONDS)


def _waits_for(thread: int, me: int) -> bool:
    """
    Whether a thread is this one, or cannot go on before it: it imports what waits for a module that this one is importing.

    Then the fork is itself part of an import, and to wait would be to wait for ever. The interpreter tells it in no official way; where
    it keeps its books in another form, the bounds above hold.
    """
    blocking: Any = getattr(sys.modules.get("_frozen_importlib"), "_blocking_on", None)
    waiting, seen = [thread], set[int]()
    while waiting:
        one = waiting.pop()
        if one == me:
            return True
        if one in seen or not hasattr(blocking, "get"):
            continue
        seen.add(one)
        locks = blocking.get(one)  # one lock, from Python 3.12 on a list of them
        for lock in tuple(locks) if isinstance(locks, list) else (locks,):
            owner = getattr(lock, "owner", None)
            if isinstance(owner, int):
                waiting.append(owner)
    return False


loading = ImportGate()
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
