"""The connections that the configuration names: an app or a broker becomes something that can be asked. Installs nothing, asks nothing."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from queue_metrics.errors import ConfigurationError
from queue_metrics.hooks.base import DepthProbe, HookContext
from queue_metrics.hooks.libraries import hook_class

if TYPE_CHECKING:
    from queue_metrics._core import Recorder
    from queue_metrics.config import ConnectionSettings


def probes_of(name: str, connection: ConnectionSettings, recorder: Recorder) -> list[DepthProbe]:
    """
    The probes for a connection of the configuration; nothing is installed in its app.

    Raises:
        ConfigurationError: the library is unknown, the app cannot be imported, or its queues cannot be asked, with the reason.
    """
    kind = hook_class(connection.library)
    if connection.app is not None:
        target = _imported(name, connection.app)
    elif hasattr(kind, "app_of_broker"):
        target = kind.app_of_broker(connection.broker)
    else:
        raise ConfigurationError(f'connection {name!r}: a {connection.library} connection needs `app = "module:attribute"`, not `broker`')
    try:
        hook = kind(target, HookContext(recorder, on_main=_nothing, on_child=_nothing, on_producer=_nothing, connection=name))
        probes = list(hook.probes())
    except Exception as error:  # whatever it is that `app` names
        what = f"what `app` or `broker` names is not what {connection.library} needs"
        raise ConfigurationError(f"connection {name!r} cannot be asked: {what}: {type(error).__name__}: {error}") from error
    if not probes:
        raise ConfigurationError(f"connection {name!r} cannot be asked: {'; '.join(hook.findings()) or 'its broker is not supported'}")
    return probes


def _imported(name: str, path: str) -> Any:
    from importlib import import_module

    module, colon, attribute = path.partition(":")
    if not module or not colon or not attribute:
        raise ConfigurationError(f'connection {name!r}: `app` must be "module:attribute", not {path!r}')
    here = os.getcwd()  # an app may go elsewhere when it is imported
    sys.path.insert(0, here)
    try:
        target: Any = import_module(module)
        for part in attribute.split("."):
            target = getattr(target, part)
    except (Exception, SystemExit) as error:  # an app that misses a setting may end its process
        raise ConfigurationError(f"connection {name!r}: {path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(here)
    return target


def _nothing() -> None:
    """Who only asks executes no jobs: there is nobody to tell what it is."""
