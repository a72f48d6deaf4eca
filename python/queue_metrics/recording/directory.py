"""
The directory of a spool by its descriptor, and whose files in it are believed. Knows nothing of what is in them.

What is put in the place of the path later, or of a part of it, is not met. The core has the same rules (`rust/core/src/journal/own.rs`).
"""

from __future__ import annotations

import os
import stat
from types import TracebackType
from typing import BinaryIO, Self

_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Directory:
    """An open spool, a context manager; OSError where there is none, or a link in its place."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        found = os.fstat(self._descriptor)
        self._user = found.st_uid
        self._group = found.st_gid if found.st_mode & 0o2070 == 0o2070 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._descriptor)

    def is_own(self, found: os.stat_result) -> bool:
        """Whether that is a plain file of the spool's user, or of the group that shares it."""
        return stat.S_ISREG(found.st_mode) and (found.st_uid == self._user or found.st_gid == self._group)

    def names(self) -> list[str]:
        """What is in it, in order of names."""
        return sorted(os.listdir(self._descriptor))

    def stat(self, name: str) -> os.stat_result:
        """Of a name, a link itself."""
        return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)

    def open(self, name: str, access: int) -> int:
        """
        A descriptor of a file that is there.

        Raises:
            OSError: there is none, a link or a FIFO stands in its place, or it is a file of somebody else.
        """
        descriptor = os.open(name, access | _FILE, dir_fd=self._descriptor)
        if not self.is_own(os.fstat(descriptor)):
            os.close(descriptor)
            raise PermissionError(f"{name} is no file of the spool's user")
        return descriptor

    def read(self, name: str) -> BinaryIO:
        """A file to read; raises as `open` does."""
        return open(self.open(name, os.O_RDONLY), "rb")

    def create(self, name: str, access: int) -> int:
        """A descriptor of a new file, which the group of a shared spool may write to as well; of the one that is there without O_EXCL."""
        descriptor = os.open(name, access | os.O_CREAT | _FILE, 0o600, dir_fd=self._descriptor)
        if self._group is not None and os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, 0o660)
        return descriptor

    def rename(self, name: str, new: str) -> None:
        """Give a file another name, in the place of what had it."""
        os.rename(name, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def unlink(self, name: str) -> None:
        """Remove a name."""
        os.unlink(name, dir_fd=self._descriptor)
