"""Whether a file can be where it should be, found out without making anything."""

from __future__ import annotations

import os
from pathlib import Path

NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb2", "smb3", "9p", "fuse", "ceph", "lustre", "vboxsf"})
"""By their names for `_core.file_system`: of other machines, or perhaps so; locks and shared maps cannot be relied on there."""


def missing_for_good(path: Path) -> str | None:
    """
    Why a file that is not there cannot be made by this user either; None when the first batch will make it.

    Nothing is tried: whoever only looks must not leave a directory behind.
    """
    place = path.parent
    while not os.path.lexists(place):
        place = place.parent
    if not place.is_dir():
        return f"{place} is no directory"
    try:
        volume = os.statvfs(place)
    except OSError as error:
        return f"{place}: {error.strerror}"
    if volume.f_flag & os.ST_RDONLY:
        return f"{place} is on a file system that is mounted read-only"
    if volume.f_blocks == 0 and volume.f_files == 0:  # /proc, /sys: rights say yes to root, the kernel says no
        return f"{place} is on a file system of the kernel that holds no files of users"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"this user may not write into {place}"
    return None
