"""Where each setting comes from, for people; the values themselves are `load.load_settings`'."""

from __future__ import annotations

import os
from collections.abc import Mapping

from queue_metrics.config.declared import Declaration
from queue_metrics.config.settings import DECLARATIONS
from queue_metrics.config.sources import CONFIG_VARIABLE, file_of, from_arguments, from_environment, from_file


def origins(*, environ: Mapping[str, str] | None = None, **arguments: object) -> dict[str, tuple[str, str]]:
    """
    For every setting the kind of its source, `argument`, `environment`, `file` or `default`, and which: a variable, a path, or nothing.

    Args:
        environ: instead of `os.environ`.
        **arguments: as to `load_settings`; None is not given.

    Raises:
        ConfigurationError: as `load_settings`.
    """
    environ = os.environ if environ is None else environ
    config = environ.get(CONFIG_VARIABLE) or None
    in_file, in_environment, given = from_file(config), from_environment(environ), from_arguments(arguments)
    found = {}
    for name, each in DECLARATIONS.items():
        if name in given:
            found[name] = ("argument", f"--{name.replace('_', '-')}")
        elif name in in_environment:
            found[name] = ("environment", _variable(each, environ))
        elif name in in_file:
            found[name] = ("file", str(file_of(config)))
        else:
            found[name] = ("default", "")
    return found


def _variable(setting: Declaration, environ: Mapping[str, str]) -> str:
    """The variable that is set: its own, or the one that names a file."""
    plain = setting.variable or ""
    return plain if environ.get(plain, "").strip() else f"{plain}_FILE"
