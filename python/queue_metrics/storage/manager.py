"""Opens a store by its URL; the only place that knows all drivers, and it loads the one that is asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from queue_metrics.errors import ConfigurationError, MissingDependency
from queue_metrics.storage import urls
from queue_metrics.storage.forks import loading

if TYPE_CHECKING:
    from queue_metrics.storage.base import StorageDriver

# One driver per process, prefix and place: whoever opens the same URL shares connections, and memory:// is worth its name.
# Only `setdefault` writes here, one atomic step, so a fork cannot leave a lock behind.
_opened: dict[tuple[str, str], StorageDriver] = {}


class StorageManager:
    """
    Opens drivers whose keys and tables begin with a prefix.

    Args:
        prefix: 1 to 32 of a-z, 0-9 and "_"; stores with different prefixes share a database without seeing each other.

    Raises:
        ConfigurationError: another prefix.
    """

    def __init__(self, prefix: str = "queue_metrics") -> None:
        if not isinstance(prefix, str) or not re.fullmatch(r"[a-z0-9_]{1,32}", prefix):
            raise ConfigurationError(f"the prefix {prefix!r} cannot be used: it is 1 to 32 of the characters a-z, 0-9 and _")
        self.prefix = prefix

    def __repr__(self) -> str:
        return f"StorageManager(prefix={self.prefix!r})"

    def open(self, url: str) -> StorageDriver:
        """
        The driver for a URL, the same one for the same URL. Connects to nothing yet.

        Raises:
            ConfigurationError: the URL is malformed or of an unknown kind; names the forms there are.
            MissingDependency: the database needs a library that is not installed; names the extra.
        """
        if not isinstance(url, str):
            raise ConfigurationError(f"a store URL is text, not {type(url).__name__}")
        scheme = urls.scheme_of(url)
        url = scheme + url[len(scheme) :]  # clients know it in small letters only
        if scheme == "sqlite":
            url = f"sqlite:///{urls.sqlite_path(url)}"
        known = _opened.get((self.prefix, url))
        if known is not None:
            return known
        with loading:
            return _opened.setdefault((self.prefix, url), self._make(scheme, url))

    def _make(self, scheme: str, url: str) -> StorageDriver:
        if scheme == "memory":
            from queue_metrics.storage.memory import MemoryStorageDriver

            return MemoryStorageDriver(url)
        if scheme == "sqlite":
            try:
                from queue_metrics.storage.sql import DatabaseStorageDriver
            except ImportError as error:
                raise MissingDependency(
                    f"this Python was built without sqlite3 ({error}); use one that has it, or set QUEUE_METRICS_STORE to another store"
                ) from error
            return DatabaseStorageDriver(url, self.prefix)
        from queue_metrics.storage.redis import RedisStorageDriver

        return RedisStorageDriver(url, self.prefix)
