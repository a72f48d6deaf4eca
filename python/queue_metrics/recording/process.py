"""
What a process does at its birth and at its end: who its parent was before a fork, and the last words before it exits.

Best effort by nature: a process that is killed or calls `os._exit` says nothing, and nothing is lost by that but its STOP.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from queue_metrics.recording.fork import in_child

_forked_from = 0
_self = os.getpid()
_registered_in = 0
_last_words: list[Callable[[], None]] = []


def main_of_child() -> int:
    """
    The pid of the process that this one was forked from, or else of its parent.

    Noted at the fork: a child that asks later may have been orphaned already, and would take its new parent for its main.
    """
    return _forked_from or os.getppid()


def at_exit(call: Callable[[], None]) -> None:
    """Have `call` called when this process ends in an orderly way; once, and not in processes forked from it."""
    global _registered_in
    if call not in _last_words:
        _last_words.append(call)
    if _registered_in == os.getpid():
        return
    if _registered_in == 0:
        atexit.register(_speak)
    _registered_in = os.getpid()
    # The children of multiprocessing end with os._exit, after its own finalizers.
    multiprocessing = sys.modules.get("multiprocessing.process")
    util = sys.modules.get("multiprocessing.util")
    if util is not None and multiprocessing is not None and multiprocessing.parent_process() is not None:
        util.Finalize(None, _speak, exitpriority=0)


def _speak() -> None:
    calls = tuple(_last_words) if _registered_in == os.getpid() else ()
    _last_words.clear()
    for call in calls:
        with suppress(Exception):
            call()


def _in_child() -> None:
    global _forked_from, _self
    _forked_from, _self = _self, os.getpid()
    _last_words.clear()


in_child(_in_child)
