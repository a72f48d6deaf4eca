"""Reads the `.sql` files of this folder: statements with a name, for one prefix. Runs nothing."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@functools.cache
def statements(file: str, prefix: str) -> Mapping[str, str]:
    """
    The statements of a file by name, in their order, with the prefix in place of `queue_metrics`.

    The prefix goes into the text, which no database takes as a parameter; the manager lets only a-z, 0-9 and "_" through.
    """
    text = files(__package__).joinpath(file).read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    bodies = zip(parts[::2], parts[1::2], strict=True)
    return MappingProxyType({name: _bare(body).replace("queue_metrics_", f"{prefix}_") for name, body in bodies})


def queries(dialect: str, prefix: str, now: str, second: str) -> Mapping[str, str]:
    """
    What is asked of a database: the statements of all, and in place of some of them those of the dialect.

    Args:
        now: what stands for `{now}`, the database's clock in seconds since 1970 as a double.
        second: what stands for `{second}`, the same as a whole number, rounded down.
    """
    found = {**statements("queries/common.sql", prefix), **statements(f"queries/{dialect}.sql", prefix)}
    return MappingProxyType({name: text.replace("{now}", now).replace("{second}", second) for name, text in found.items()})


def _bare(body: str) -> str:
    """A statement without the lines of comment around it and its last semicolon."""
    return "\n".join(line for line in body.strip().splitlines() if not line.startswith("--")).strip().removesuffix(";")
