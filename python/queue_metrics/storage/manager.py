"""Opens a store by its URL; the only place that knows all drivers, and it loads the one that is asked for."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

from queue_metrics.errors import ConfigurationError, QueueMetricsError
from queue_metrics.storage import urls
from queue_metrics.storage.forks import loading
from queue_metrics.storage.prefixes import checked_prefix

if TYPE_CHECKING:
    from queue_metrics.config import Settings, TimeToLive
    from queue_metrics.storage.base import StorageDriver

PLUGINS = "queue_metrics.storage"
"""
The group of entry points by which other packages bring drivers: named for the scheme, each a callable that is given the URL and the
prefix, connects to nothing, and answers a StorageDriver whose `url` shows no password.
"""

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
        self.prefix = checked_prefix(prefix)

    def __repr__(self) -> str:
        return f"StorageManager(prefix={self.prefix!r})"

    def open(self, url: str, *, ttl: TimeToLive | None = None) -> StorageDriver:
        """
        The driver for a URL, the same one for the same URL. Connects to nothing yet.

        Args:
            url: as in `urls.FORMS`.
            ttl: how long points are kept, for all who use this driver from now on; None: as it is, by default as `TimeToLive` says.

        Raises:
            ConfigurationError: the URL is malformed or of an unknown kind; names the forms there are.
            MissingDependency: the database needs a library that is not installed; names the extra.
        """
        if not isinstance(url, str):
            raise ConfigurationError(f"a store URL is text, not {type(url).__name__}")
        scheme = url.partition("://")[0].lower()
        plugin = _plugin(scheme, url)
        if plugin is None:
            scheme = urls.scheme_of(url)
        url = scheme + url[len(scheme) :]  # clients know it in small letters only
        if scheme == "sqlite":
            url = f"sqlite:///{urls.sqlite_path(url)}"
        driver = _opened.get((self.prefix, url))
        if driver is None:
            with loading:
                made = self._make(scheme, url) if plugin is None else _made_by(plugin, url, self.prefix)
                driver = _opened.setdefault((self.prefix, url), made)
        if ttl is not None:
            from queue_metrics.storage.base import retention_of

            driver.lifetimes, driver.retention = ttl, retention_of(ttl)
        return driver

    def _make(self, scheme: str, url: str) -> StorageDriver:
        if scheme == "memory":
            from queue_metrics.storage.memory import MemoryStorageDriver

            return MemoryStorageDriver(url)
        if scheme in urls.SQL_SCHEMES:
            from queue_metrics.storage.sql import DatabaseStorageDriver

            return DatabaseStorageDriver(url, self.prefix)
        from queue_metrics.storage.redis import RedisStorageDriver

        return RedisStorageDriver(url, self.prefix)


def open_store(settings: Settings) -> StorageDriver:
    """The driver for the configured store, which keeps points as configured. Raises as `StorageManager.open`."""
    driver = StorageManager(settings.prefix).open(settings.store, ttl=settings.ttl)
    driver.baselines = settings.baseline
    return driver


def configured(store: str | StorageDriver | None, **arguments: Any) -> tuple[StorageDriver, Settings]:
    """
    The store of somebody who may name it, and the settings that hold for him: argument > environment > TOML > default.

    A driver that is open stays as it is. So does one that this process records to, perhaps as arguments of `instrument` say that are
    not known here: both use the same, and who records says how long it is kept.

    Args:
        store: its URL, or a driver that is open; None: as configured.
        **arguments: further settings; None is not given.

    Raises:
        ConfigurationError: the URL is malformed or of an unknown kind, or a setting is unknown or wrong.
        MissingDependency: the library of this database is not installed.
    """
    from queue_metrics.config import load_settings
    from queue_metrics.storage.base import StorageDriver

    if isinstance(store, StorageDriver):
        return store, load_settings(**arguments)
    settings = load_settings(store=store, **arguments)
    driver = StorageManager(settings.prefix).open(settings.store)
    return driver if driver.recording else open_store(settings), settings


def _plugin(scheme: str, url: str) -> metadata.EntryPoint | None:
    """What another package brings for a scheme that is none of ours."""
    if scheme in urls.SCHEMES or "://" not in url:
        return None
    found = list({one.value: one for one in metadata.entry_points(group=PLUGINS, name=scheme)}.values())
    if len(found) > 1:
        packages = " and ".join(sorted(str(one.dist and one.dist.name) for one in found))
        raise ConfigurationError(f"{scheme}:// is brought by {packages}: uninstall all but one")
    return found[0] if found else None


def _made_by(plugin: metadata.EntryPoint, url: str, prefix: str) -> StorageDriver:
    """The driver of another package. Its own ConfigurationError and MissingDependency go on as they are."""
    from queue_metrics.storage.base import StorageDriver

    whose = f"the driver for {plugin.name}:// ({plugin.value}, of {plugin.dist.name if plugin.dist else 'an unknown package'})"
    try:
        made = plugin.load()(url, prefix)
    except QueueMetricsError:
        raise
    except Exception as error:  # code of somebody else: anything may come, also with the password of the URL in it
        raise ConfigurationError(f"{whose} cannot be used: {str(error).replace(url, urls.masked(url)) or type(error).__name__}") from None
    if not isinstance(made, StorageDriver):
        raise ConfigurationError(f"{whose} answers {type(made).__name__}, no StorageDriver")
    return made
