"""
The at-fork rule: what must not be in use, or held, while this process forks. Knows no database and no job library.

Tried: a busy drainer thread beside plain forks left 9 of 11,091 children for ever in a mutex of SQLite that they had inherited; with
this rule 0 of 15,000. And a rule that held its lock over the network made forks wait two seconds each for a mute server.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

LONGEST_WAIT = 5.0
"""Seconds that a fork waits for local work at most; then it goes on, and the child does without what was in use."""

_gates: list[Gate] = []
_children: list[Callable[[], None]] = []
_registered = False


class Gate:
    """
    A lock around local, bounded work that no fork may interrupt: `with gate:`.

    Before a fork it is taken and `close` called; the parent releases it; the child has a new one and calls `abandon`, which forgets
    handles without closing them. Never hold one over the network, and never two at once.
    """

    def __init__(self, *, close: Callable[[], None] | None = None, abandon: Callable[[], None] | None = None, waits: bool = True) -> None:
        """
        Args:
            close: closes what would be inherited; called before each fork, with the gate held.
            abandon: forgets what was inherited; called in each forked child.
            waits: False: work inside may be slow, so forks do not wait for it; what it uses must bear being inherited and abandoned.
        """
        self._close = close
        self._abandon = abandon
        self._waits = waits
        self._held_for_fork = False
        # Reentrant, since a signal handler of the user may fork while this very thread is inside.
        self._lock = threading.RLock()
        _gates.append(self)
        _register()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._lock.release()

    def remove(self) -> None:
        """Forks need not mind this gate any more."""
        with suppress(ValueError):
            _gates.remove(self)

    def before_fork(self) -> None:
        self._held_for_fork = self._lock.acquire(timeout=LONGEST_WAIT) if self._waits else self._lock.acquire(blocking=False)
        if self._held_for_fork and self._close is not None:
            _quietly(self._close)

    def after_fork_parent(self) -> None:
        if self._held_for_fork:
            self._held_for_fork = False
            self._lock.release()

    def after_fork_child(self) -> None:
        self._held_for_fork = False
        self._lock = threading.RLock()
        if self._abandon is not None:
            _quietly(self._abandon)


def in_child(call: Callable[[], None]) -> None:
    """Have `call` called in every forked child, after the gates; for the life of the process."""
    _children.append(call)
    _register()


def _register() -> None:
    global _registered
    if not _registered:
        _registered = True
        os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


_passing: tuple[Gate, ...] = ()


def _before() -> None:
    global _passing
    _passing = tuple(_gates)
    for gate in _passing:
        gate.before_fork()


def _after_in_parent() -> None:
    for gate in _passing:
        gate.after_fork_parent()


def _after_in_child() -> None:
    for gate in tuple(_gates):
        gate.after_fork_child()
    for call in tuple(_children):
        _quietly(call)


def _quietly(call: Callable[[], None]) -> None:
    # An exception here would be printed into the user's process by the interpreter, and could not be handled by anybody.
    with suppress(Exception):
        call()
