"""
Settings: what the user may choose, from where it is read, and what is said when it is wrong.

Order: argument > environment (`QUEUE_METRICS_STORE`, ...) > TOML file > default. Knows no job library and no database.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from queue_metrics.errors import ConfigurationError

ENVIRONMENT_PREFIX = "QUEUE_METRICS_"
CONFIG_VARIABLE = "QUEUE_METRICS_CONFIG"
_MEND = "mend it, then `queue-metrics doctor` checks it"


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """A connection whose queues `agent` and `serve` ask: a job library and either `module:attribute` of an app or a broker's URL."""

    library: str
    app: str | None = None
    broker: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Everything that can be chosen, complete and checked; made by `load_settings`.

    The store's URL, the token and brokers may hold secrets and are left out of `repr`.
    """

    store: str = field(repr=False)
    """URL of the store."""
    namespace: str
    """Which workers belong together: one spool for each namespace and store."""
    state_dir: Path
    """Where spools are, and the default store."""
    enabled: bool = True
    """False: nothing is wrapped and nothing recorded."""
    prefix: str = "queue_metrics"
    """In front of every key or table in the store."""
    journal: str = "auto"
    """How workers append records: `auto`, `write` or `map`."""
    exact_peak: bool = False
    """Measure the true peak of memory of each execution, where nobody else needs the kernel's mark."""
    flush_seconds: float = 1.0
    """Between two batches to the store."""
    heartbeat_seconds: float = 10.0
    """Between two heartbeats of a worker."""
    depth_seconds: float = 10.0
    """Between two questions for the depth of a queue."""
    stale_seconds: float = 60.0
    """A worker not heard of for so long is stale."""
    lost_seconds: float = 300.0
    """A worker not heard of for so long is lost."""
    host: str = "127.0.0.1"
    """Address of the HTTP server."""
    port: int = 8787
    """Port of the HTTP server; 0: any free one."""
    token: str | None = field(default=None, repr=False)
    """Bearer token that the HTTP server asks for."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names under which the HTTP server may be called."""
    sampling_source: str = "auto"
    """Who tells of the host: `proc`, `sysinfo`, or `auto`: `/proc` where it can be read."""
    connections: Mapping[str, ConnectionSettings] = field(default_factory=dict)
    """Connections that `agent` and `serve` ask for depth, by name."""

    @property
    def spool(self) -> Path:
        """Directory of the journal of this namespace for this store; two apps with two stores never share one."""
        return self.spools_dir / (_file_name(self.namespace) + self.spool_suffix)

    @property
    def spools_dir(self) -> Path:
        """Where all spools are."""
        return self.state_dir / "queue-metrics"

    @property
    def spool_suffix(self) -> str:
        """How the names of all spools of this store end."""
        from queue_metrics._core import hash64

        place = "\0".join((_without_password(self.store), self.prefix))
        return f"-{hash64(place.encode('utf-8', 'surrogatepass')):016x}"


def load_settings(
    *,
    config: str | os.PathLike[str] | None = None,
    app: str | None = None,
    environ: Mapping[str, str] | None = None,
    **arguments: object,
) -> Settings:
    """
    Settings from arguments, the environment, a TOML file and defaults, in this order.

    Args:
        config: the TOML file; else `QUEUE_METRICS_CONFIG`, else `queue-metrics.toml` or `[tool.queue_metrics]` of `pyproject.toml` in
            the current directory.
        app: the namespace where none is configured; None: the name of the current directory.
        environ: instead of `os.environ`.
        **arguments: fields of `Settings`; None is not given.

    Raises:
        ConfigurationError: a name is unknown, a value of the wrong kind, or the file cannot be read.
    """
    environ = os.environ if environ is None else environ
    values = _from_file(config or environ.get(CONFIG_VARIABLE) or None)
    values.update(_from_environment(environ))
    values.update(_from_arguments(arguments))
    if "state_dir" not in values:
        values["state_dir"] = _default_state_dir(environ)
    state_dir = Path(os.path.abspath(values["state_dir"]))
    values["state_dir"] = state_dir
    values["store"] = _absolute(values.get("store") or f"sqlite:///{state_dir}/queue-metrics/metrics.db")
    values.setdefault("namespace", app or _project_name())
    if values.get("lost_seconds", 300.0) < values.get("stale_seconds", 60.0):
        raise ConfigurationError(f"lost_seconds must not be less than stale_seconds: a worker is stale before it is lost; {_MEND}")
    return Settings(**values)


def _without_password(url: str) -> str:
    """A URL as the spool knows it: a changed password is no other store. It may hold "@", ":" and "/"."""
    head, mark, query = url.partition("?")
    scheme, slashes, rest = head.partition("://")
    if slashes and "@" in rest:
        user, _, place = rest.rpartition("@")
        head = f"{scheme}://{user.partition(':')[0]}@{place}"
    kept = [part for part in query.split("&") if not re.search("passw|pwd|secret|token", part.partition("=")[0], re.IGNORECASE)]
    return head + mark + "&".join(kept)


def _absolute(url: str) -> str:
    """A SQLite file by its absolute path: jobs may change the directory, and two directories are two stores."""
    scheme = "sqlite:///"
    path = url.removeprefix(scheme)
    if path == url or not path or path.startswith(("/", ":memory:")):
        return url
    return scheme + os.path.abspath(path)


def _file_name(namespace: str) -> str:
    """A namespace as part of a file name; one that had to be changed gets a hash, so that two never become one."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", namespace)[:64].lstrip(".") or "_"
    if plain == namespace:
        return plain
    from queue_metrics._core import hash64

    return f"{plain}~{hash64(namespace.encode('utf-8', 'replace')) & 0xFFFFFFFF:08x}"


def _project_name() -> str:
    try:
        return Path.cwd().name or "default"
    except OSError:  # the directory is gone
        return "default"


def _default_state_dir(environ: Mapping[str, str]) -> Path:
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


# Kinds of values. Each takes what was given and whether it is text of the environment, and answers the value or raises ValueError
# with what is expected.


def _text(value: object, _from_text: bool) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("text that is not empty")
    return value


def _path(value: object, _from_text: bool) -> Path:
    if not isinstance(value, (str, os.PathLike)) or not str(value).strip():
        raise ValueError("the path of a directory")
    return Path(value).expanduser()


def _switch(value: object, from_text: bool) -> bool:
    if from_text and isinstance(value, str):
        known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
        if value.strip().lower() in known:
            return known[value.strip().lower()]
    elif isinstance(value, bool):
        return value
    raise ValueError("true or false")


def _seconds(value: object, from_text: bool) -> float:
    expected = "a number of seconds between 0.01 and 86400"
    if from_text and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise ValueError(expected) from None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.01 <= value <= 86400:
        raise ValueError(expected)
    return float(value)


def _journal(value: object, _from_text: bool) -> str:
    if value not in ("auto", "write", "map"):
        raise ValueError("auto, write or map")
    return str(value)


def _port(value: object, from_text: bool) -> int:
    if from_text and isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise ValueError("a port number between 0 and 65535")
    return value


def _names(value: object, from_text: bool) -> tuple[str, ...]:
    if from_text and isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) and part.strip() for part in value):
        return tuple(value)
    raise ValueError("a list of names")


def _source(value: object, _from_text: bool) -> str:
    if value not in ("auto", "proc", "sysinfo"):
        raise ValueError('"auto", "proc" or "sysinfo"')
    return str(value)


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


_KINDS: Mapping[str, Callable[[object, bool], Any]] = MappingProxyType(
    {
        "store": _text,
        "namespace": _text,
        "state_dir": _path,
        "enabled": _switch,
        "prefix": _text,
        "journal": _journal,
        "exact_peak": _switch,
        "flush_seconds": _seconds,
        "heartbeat_seconds": _seconds,
        "depth_seconds": _seconds,
        "stale_seconds": _seconds,
        "lost_seconds": _seconds,
        "host": _text,
        "port": _port,
        "token": _text,
        "allowed_hosts": _names,
        "sampling_source": _source,
        "connections": _connections,
    }
)
assert set(_KINDS) == {each.name for each in fields(Settings)}


def _checked(name: str, shown: str, value: object, from_text: bool, advice: str = "") -> Any:
    try:
        return _KINDS[name](value, from_text)
    except ValueError as error:
        secret = name in ("token", "connections")
        given = "" if secret else f", not {(_without_password(value) if isinstance(value, str) else value)!r}"
        raise ConfigurationError(f"{shown} must be {error}{given}{advice}") from None


def suggestion(name: str, known: tuple[str, ...]) -> str:
    """What may have been meant by a name that is none of `known`, as the end of a sentence."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.75)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


def _from_arguments(arguments: Mapping[str, object]) -> dict[str, Any]:
    values = {}
    for name, value in arguments.items():
        if name not in _KINDS:
            raise ConfigurationError(f"unknown setting {name!r}{suggestion(name, tuple(_KINDS))}")
        if value is not None:
            values[name] = _checked(name, name, value, False)
    return values


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    known = {ENVIRONMENT_PREFIX + name.upper(): name for name in _KINDS if name != "connections"}
    values = {}
    for variable, value in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        if variable not in known:
            meant = suggestion(variable, (*known, CONFIG_VARIABLE))
            raise ConfigurationError(f"unknown environment variable {variable}{meant} (`unset {variable}` removes it)")
        if value.strip():  # empty is how compose files and shells say "not set"
            values[known[variable]] = _checked(known[variable], variable, value, True, f"; `unset {variable}` gives the default")
    return values


def _from_file(config: str | os.PathLike[str] | None) -> dict[str, Any]:
    if config is not None:
        path = Path(config).expanduser()
        return _settings_of(path, _table(path, required=True))
    for name in ("queue-metrics.toml", "pyproject.toml"):
        table = _table(Path(name), required=False)
        if table is not None:
            return _settings_of(Path(name), table)
    return {}


def _table(path: Path, *, required: bool) -> Mapping[str, object] | None:
    """Our table in a TOML file; None when a file that need not exist has none."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if not required:
            return None
        raise ConfigurationError(
            f"the configuration file {path} does not exist; make it, or point QUEUE_METRICS_CONFIG at another or unset it"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"the configuration file {path} cannot be read: {error.strerror}; see `ls -l {path}`") from error
    shared = path.name == "pyproject.toml"
    if shared and b"queue_metrics" not in data:  # spares most programs the parser
        return {} if required else None

    import tomllib

    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the configuration file {path} is no TOML: {error}; {_MEND}") from error
    if not shared:
        return document
    table = document.get("tool", {}).get("queue_metrics")
    return table if isinstance(table, dict) else ({} if required else None)


def _settings_of(path: Path, table: Mapping[str, object] | None) -> dict[str, Any]:
    values = {}
    for name, value in (table or {}).items():
        if name not in _KINDS:
            raise ConfigurationError(f"unknown setting {name!r} in {path}{suggestion(name, tuple(_KINDS))} ({_MEND})")
        values[name] = _checked(name, f"{name} in {path}", value, False, f"; {_MEND}")
    return values
