"""Connections that `agent`, `serve` and collectors ask for depth: tables of the configuration, and their check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from queue_metrics.config.declared import suggestion
from queue_metrics.config.values import Kind


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """A connection that `agent`, `serve` and collectors ask: a job library and either `module:attribute` of an app or a broker's URL."""

    library: str
    app: str | None = None
    broker: str | None = field(default=None, repr=False)


def _connections(value: object, from_text: bool) -> Mapping[str, ConnectionSettings]:
    if from_text or not isinstance(value, Mapping):
        raise ValueError("tables [connections.NAME] with `library` and `app` or `broker`, in the TOML file")
    connections = {}
    for name, entry in value.items():
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"a name for each connection, not {name!r}")
        connections[name] = entry if isinstance(entry, ConnectionSettings) else _connection(name, entry)
    return MappingProxyType(connections)


def _connection(name: str, entry: object) -> ConnectionSettings:
    if not isinstance(entry, Mapping):
        raise ValueError(f"a table for connection {name!r}")
    known = tuple(each.name for each in fields(ConnectionSettings))
    for key, given in entry.items():
        if key not in known:
            raise ValueError(f"a table of {', '.join(known)} for connection {name!r}, not {key!r}{suggestion(str(key), known)}")
        if not isinstance(given, str) or not given.strip():
            raise ValueError(f"text for `{key}` of connection {name!r}, not {given!r}")
    if "library" not in entry or ("app" in entry) == ("broker" in entry):
        raise ValueError(f"`library` (celery or huey) and either `app` or `broker` for connection {name!r}, not {sorted(entry)}")
    return ConnectionSettings(**entry)


CONNECTIONS = Kind("tables", "", "tables `[connections.NAME]`", "", _connections)
