"""Settings out of all their sources: argument > environment > TOML file > default, and what only holds between two of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from queue_metrics.config.places import absolute_store, default_state_dir, project_name, spools_dir
from queue_metrics.config.settings import DAY, FLUSH_SECONDS_MAX, TABLES, Settings
from queue_metrics.config.sources import CONFIG_VARIABLE, MEND, from_arguments, from_environment, from_file
from queue_metrics.errors import ConfigurationError

_ORDERED = (
    ("flush_seconds", "flush_seconds_max", "the pause between two batches grows from one to the other"),
    ("stale_seconds", "lost_seconds", "a worker is stale before it is lost"),
    ("ttl.raw", "ttl.hours", "hours answer what minutes no longer can"),
    ("ttl.hours", "ttl.days", "days answer what hours no longer can"),
)
"""Settings of which the second must not be less than the first, and why."""


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
        **arguments: fields of `Settings`; None is not given. A table, `ttl=` or `limits=`, may be a mapping with some of its keys.

    Raises:
        ConfigurationError: a name is unknown, a value of the wrong kind, or the file cannot be read.
    """
    environ = os.environ if environ is None else environ
    values = from_file(config or environ.get(CONFIG_VARIABLE) or None)
    values.update(from_environment(environ))
    values.update(from_arguments(arguments))
    if "state_dir" not in values:
        values["state_dir"] = default_state_dir(environ)
    state_dir = values["state_dir"] = Path(os.path.abspath(values["state_dir"]))
    values["store"] = absolute_store(values.get("store") or f"sqlite:///{spools_dir(state_dir)}/metrics.db")
    values.setdefault("namespace", app or project_name())
    values.setdefault("flush_seconds_max", max(FLUSH_SECONDS_MAX, values.get("flush_seconds", FLUSH_SECONDS_MAX)))
    settings = _settings(values)
    for name, other, why in _ORDERED:
        least, value = _value(settings, name), _value(settings, other)
        if value < least:
            raise ConfigurationError(f"{other} ({value}) must not be less than {name} ({least}): {why}; {MEND}")
    days, hours = settings.baseline.sliding_window_days, settings.ttl.hours
    # By default it is as long as hours are kept, if that is shorter.
    if "baseline.sliding_window_days" in values and days * DAY > hours:
        raise ConfigurationError(
            f"baseline.sliding_window_days ({days}) must not be more than ttl.hours ({hours} s): a baseline is made of hours; {MEND}"
        )
    return settings


def _settings(values: Mapping[str, Any]) -> Settings:
    """The object of values by dotted names."""
    fields: dict[str, Any] = {name: value for name, value in values.items() if "." not in name}
    for table, kind in TABLES.items():
        of_table = {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{table}.")}
        fields[table] = kind(**of_table)
    return Settings(**fields)


def _value(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value
