"""Where things lie when nobody says: state directory, default store, names of spools."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from queue_metrics.errors import ConfigurationError


def spools_dir(state_dir: Path) -> Path:
    """Where all spools and the default store are."""
    return state_dir / "queue-metrics"


def spool_suffix(store: str, prefix: str) -> str:
    """How the names of all spools of a store end, whatever its password."""
    from queue_metrics._core import hash64

    place = "\0".join((without_password(store), prefix))
    return f"-{hash64(place.encode('utf-8', 'surrogatepass')):016x}"


def without_password(url: str) -> str:
    """A URL as the spool knows it: a changed password is no other store. It may hold "@", ":" and "/"."""
    head, mark, query = url.partition("?")
    scheme, slashes, rest = head.partition("://")
    if slashes and "@" in rest:
        user, _, place = rest.rpartition("@")
        head = f"{scheme}://{user.partition(':')[0]}@{place}"
    kept = [part for part in query.split("&") if not re.search("passw|pwd|secret|token", part.partition("=")[0], re.IGNORECASE)]
    return head + mark + "&".join(kept)


def absolute_store(url: str) -> str:
    """A SQLite file by its absolute path: jobs may change the directory, and two directories are two stores."""
    scheme = "sqlite:///"
    path = url.removeprefix(scheme)
    if path == url or not path or path.startswith(("/", ":memory:")):
        return url
    return scheme + os.path.abspath(path)


def unique_file_name(namespace: str) -> str:
    """A namespace as part of a file name; one that had to be changed gets a hash, so that two never become one."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", namespace)[:64].lstrip(".") or "_"
    if plain == namespace:
        return plain
    from queue_metrics._core import hash64

    return f"{plain}~{hash64(namespace.encode('utf-8', 'replace')) & 0xFFFFFFFF:08x}"


def project_name() -> str:
    """The name of the current directory."""
    try:
        return Path.cwd().name or "default"
    except OSError:  # the directory is gone
        return "default"


def default_state_dir(environ: Mapping[str, str]) -> Path:
    """
    As the XDG standard says, else below the directory for temporary files.

    Raises:
        ConfigurationError: that one cannot be made, or another user could write there.
    """
    state = environ.get("XDG_STATE_HOME")
    if state and os.path.isabs(state):
        return Path(state)
    home = environ.get("HOME") or os.path.expanduser("~")
    if os.path.isabs(home):
        return Path(home) / ".local" / "state"
    return _shared_state_dir()


def _shared_state_dir() -> Path:
    """Without a home directory: one below the directory for temporary files, refused when another user could write there."""
    import stat
    import tempfile

    path = Path(tempfile.gettempdir()) / f"queue-metrics-{os.getuid()}"
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigurationError(f"no HOME is set and {path} cannot be made ({error.strerror}); set QUEUE_METRICS_STATE_DIR") from error
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise ConfigurationError(f"no HOME is set and {path} belongs to somebody else; set QUEUE_METRICS_STATE_DIR to a directory of yours")
    return path
