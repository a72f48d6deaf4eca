"""From where values are read: arguments, the environment and one TOML file; each answers checked values by the names of settings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from queue_metrics.config.declared import ENVIRONMENT_PREFIX, suggestion
from queue_metrics.config.places import without_password
from queue_metrics.config.settings import DECLARATIONS, TABLES
from queue_metrics.errors import ConfigurationError

CONFIG_VARIABLE = "QUEUE_METRICS_CONFIG"
MEND = "mend it, then `queue-metrics doctor` checks it"

_SECRET_BYTES = 65536
"""Nobody has a longer secret: a variable that names a large file names the wrong one."""


def from_arguments(arguments: Mapping[str, object]) -> dict[str, Any]:
    """
    Values of arguments; None is not given.

    Raises:
        ConfigurationError: a name is unknown or a value wrong.
    """
    values = {}
    for name, value in _flat(arguments):
        if name not in DECLARATIONS:
            raise ConfigurationError(f"unknown setting {name!r}{suggestion(name, tuple(DECLARATIONS))}")
        if value is not None:
            values[name] = _checked(name, name, value, False)
    return values


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """
    Values of variables; an empty one is not set. A secret may stand in a file that the variable with `_FILE` behind its name names.

    Raises:
        ConfigurationError: a variable that begins as ours do is unknown, its value wrong, its file not to be read, or both are set.
    """
    known = {each.variable: name for name, each in DECLARATIONS.items() if each.variable is not None}
    files = {f"{variable}_FILE": variable for variable, name in known.items() if DECLARATIONS[name].secret}
    values = {}
    for variable, value in environ.items():
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_VARIABLE:
            continue
        if variable not in known and variable not in files:
            from queue_metrics.config.original import counterpart

            meant = counterpart(variable) or suggestion(variable, (*known, *files, CONFIG_VARIABLE))
            raise ConfigurationError(f"unknown environment variable {variable}{meant} (`unset {variable}` removes it)")
        if not value.strip():  # empty is how compose files and shells say "not set"
            continue
        plain = files.get(variable)
        if plain is None:
            values[known[variable]] = _checked(known[variable], variable, value, True, f"; `unset {variable}` gives the default")
        elif environ.get(plain, "").strip():
            raise ConfigurationError(f"{variable} and {plain} are both set and only one can hold; `unset {plain}` or `unset {variable}`")
        else:
            values[known[plain]] = _checked(known[plain], f"what {variable} names", _secret(variable, value), True)
    return values


def _secret(variable: str, path: str) -> str:
    """What a file holds, without the line ends behind it."""
    try:
        with Path(path).expanduser().open("rb") as file:
            data = file.read(_SECRET_BYTES + 1)
        if len(data) > _SECRET_BYTES:
            raise ConfigurationError(f"{variable} names {path}, which is longer than a secret; let it name a file with the secret alone")
        return data.decode().rstrip("\r\n")
    except OSError as error:
        raise ConfigurationError(f"{variable} names {path}, which cannot be read: {error.strerror}; see `ls -l {path}`") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{variable} names {path}, which is no text; let it name a file with the secret alone") from None


def from_file(config: str | os.PathLike[str] | None) -> dict[str, Any]:
    """
    Values of the file that is named, else of the one in the current directory.

    Raises:
        ConfigurationError: a named file is missing, cannot be read, a name in it is unknown or a value wrong.
    """
    found = _file(config)
    return {} if found is None else _settings_of(*found)


def file_of(config: str | os.PathLike[str] | None) -> Path | None:
    """The file that `from_file` reads; None: there is none. Raises as it does."""
    found = _file(config)
    return None if found is None else found[0]


def _file(config: str | os.PathLike[str] | None) -> tuple[Path, Mapping[str, object] | None] | None:
    if config is not None:
        path = Path(config).expanduser()
        return path, _table(path, required=True)
    for name in ("queue-metrics.toml", "pyproject.toml"):
        table = _table(Path(name), required=False)
        if table is not None:
            return Path(name), table
    return None


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
        raise ConfigurationError(f"the configuration file {path} is no TOML: {error}; {MEND}") from error
    if not shared:
        return document
    table = document.get("tool", {}).get("queue_metrics")
    return table if isinstance(table, dict) else ({} if required else None)


def _settings_of(path: Path, table: Mapping[str, object] | None) -> dict[str, Any]:
    values = {}
    for name, value in _flat(table or {}):
        if name not in DECLARATIONS:
            raise ConfigurationError(f"unknown setting {name!r} in {path}{suggestion(name, tuple(DECLARATIONS))} ({MEND})")
        values[name] = _checked(name, f"{name} in {path}", value, False, f"; {MEND}")
    return values


def _flat(given: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """The entries, those of our tables with dotted names. A table may also be given as the object that `Settings` holds."""
    for name, value in given.items():
        if name in TABLES and isinstance(value, TABLES[name]):
            yield from ((each, getattr(value, each.removeprefix(f"{name}."))) for each in DECLARATIONS if each.startswith(f"{name}."))
        elif name in TABLES and isinstance(value, Mapping):
            yield from ((f"{name}.{key}", of_key) for key, of_key in value.items())
        elif name in TABLES and value is not None:
            keys = (each.removeprefix(f"{name}.") for each in DECLARATIONS if each.startswith(f"{name}."))
            raise ConfigurationError(f"{name} must be a table of {', '.join(keys)}, not {value!r}; {MEND}")
        else:
            yield name, value


def _checked(name: str, shown: str, value: object, from_text: bool, advice: str = "") -> Any:
    try:
        return DECLARATIONS[name].kind.check(value, from_text)
    except ValueError as error:
        secret = DECLARATIONS[name].secret
        given = "" if secret else f", not {(without_password(value) if isinstance(value, str) else value)!r}"
        raise ConfigurationError(f"{shown} must be {error}{given}{advice}") from None
