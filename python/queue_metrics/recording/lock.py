"""
Which process drains a spool: POSIX locks, kept by the kernel between living processes and dropped at their death.

A POSIX lock is gone as soon as its process closes *any* descriptor of the file. So a file is opened once per process, here, and never
closed while it is the one in the spool.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from queue_metrics.recording.directory import Directory
from queue_metrics.recording.fork import Gate

UNKNOWN_HOLDER = 0
"""Somebody holds the lock, but the kernel does not say who: a process of another container."""

_locks: dict[str, SpoolLock] = {}
_guard = Gate()


def spool_lock(path: Path) -> SpoolLock:
    """The one lock object of this process for a lock file."""
    name = os.path.join(os.path.realpath(path.parent), path.name)
    with _guard:
        return _locks.setdefault(name, SpoolLock(name))


def _new_guard() -> None:
    global _guard
    _guard = Gate()


class SpoolLock:
    """
    A lock file of a spool. Get one from `spool_lock`; owners within a process exclude each other too.

    It survives what jobs do to a process: a fork (the child holds nothing), all descriptors closed (the loss is noticed), the
    spool removed (the new file is taken).
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._opened: _Opened | None = None  # replaced as a whole: other threads ask at any moment
        self._owner: object = None
        self._pid = 0

    def acquire(self, owner: object) -> bool:
        """Take the lock for `owner` or find that it has it; False while somebody else has it or the spool does not exist."""
        if self.held_by(owner):
            return True
        if self._owner is not None and self._pid == os.getpid() and self._is_the_file():
            return False
        opened = self._open(create=True)
        if opened is None:
            return False
        try:
            fcntl.lockf(opened.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # taken, or a file system without locks: then nobody drains, and `doctor` says so
            return False
        self._owner, self._pid = owner, os.getpid()
        return True

    def held_by(self, owner: object) -> bool:
        """Whether `owner` has the lock still."""
        return self._owner is owner and self._pid == os.getpid() and self._is_the_file()

    def release(self, owner: object) -> None:
        """Let somebody else have it; nothing happens when `owner` does not have it."""
        opened = self._opened
        if opened is not None and self.held_by(owner):
            with suppress(OSError):
                fcntl.lockf(opened.descriptor, fcntl.LOCK_UN)
        if self._owner is owner:
            self._owner = None

    def holder(self) -> int | None:
        """The pid that has the lock, `UNKNOWN_HOLDER`, or None when it is free. Changes nothing."""
        if self._owner is not None and self.held_by(self._owner):
            return os.getpid()
        opened = self._open(create=False)
        return None if opened is None else _holder(opened.descriptor)

    def robbed(self) -> bool:
        """Whether a job that closes descriptors which it does not know has closed ours; its number may be another file's by now."""
        opened = self._opened
        return opened is not None and not opened.is_ours() and self._opened is opened

    def _open(self, *, create: bool) -> _Opened | None:
        opened = self._opened
        if opened is not None and self._is_the_file():
            return opened
        self._forget()
        try:
            descriptor = _open_file(self._path, create)
        except OSError:
            return None
        self._opened = opened = _Opened(descriptor, _file(os.fstat(descriptor)))
        return opened

    def _forget(self) -> None:
        """Close the descriptor of a file that is no longer in the spool, unless the number belongs to somebody else by now."""
        self._owner = None
        opened, self._opened = self._opened, None
        if opened is not None and opened.is_ours():
            with suppress(OSError):
                os.close(opened.descriptor)

    def _is_the_file(self) -> bool:
        opened = self._opened
        try:
            return opened is not None and opened.is_ours() and opened.file == _file(os.stat(self._path))
        except OSError:
            return False


class _Opened(NamedTuple):
    """The descriptor of a lock file, and which file it was given for."""

    descriptor: int
    file: tuple[int, int]

    def is_ours(self) -> bool:
        try:
            return _file(os.fstat(self.descriptor)) == self.file
        except OSError:
            return False


def _file(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _open_file(path: str, create: bool) -> int:
    """The lock file, made if need be; what somebody else put in its place, and could hold for ever, gives way to one of ours."""
    with Directory(os.path.dirname(path)) as directory:
        name = os.path.basename(path)
        if not create:
            try:
                return directory.open(name, os.O_RDWR)
            except PermissionError:
                return directory.open(name, os.O_RDONLY)
        with suppress(FileNotFoundError):
            if not directory.is_own(directory.stat(name)):
                directory.unlink(name)
        return directory.create(name, os.O_RDWR)


# struct flock: type, whence, start, length, pid on Linux; start, length, pid, type, whence on macOS.
_LINUX, _MACOS = "hhqqi4x", "qqihh"


def _holder(descriptor: int) -> int | None:
    if sys.platform == "darwin":
        query = struct.pack(_MACOS, 0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
    else:
        query = struct.pack(_LINUX, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, query)
    except OSError:
        return None
    if sys.platform == "darwin":
        _, _, pid, kind, _ = struct.unpack(_MACOS, answer)
    else:
        kind, _, _, _, pid = struct.unpack(_LINUX, answer)
    if kind == fcntl.F_UNLCK:
        return None
    return int(pid) if pid > 0 else UNKNOWN_HOLDER
