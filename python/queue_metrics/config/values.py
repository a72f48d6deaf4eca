"""Kinds of values: what a setting takes, in a file, as an argument or as text of the environment; knows no setting."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

PREFIX = re.compile("[a-z0-9_]{1,32}")
"""What the prefix of a store may be: part of a key and of the name of a table on every database."""

METRIC_NAMESPACE = re.compile("[a-zA-Z][a-zA-Z0-9_]{0,63}")


class Kind(NamedTuple):
    """A kind of values, and how the reference page tells of it."""

    name: str
    bounds: str
    """Of this setting, for the page; empty: none."""
    in_file: str
    """What a TOML file and an argument give."""
    in_variable: str
    """What a variable gives; empty: cannot be set by one."""
    check: Callable[[object, bool], Any]
    """Answers the value of what was given, and whether that is text of the environment. Raises ValueError with what is expected."""


def text(value: object, _from_text: bool = False) -> str:
    """Text that is not empty."""
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


def _names(value: object, from_text: bool) -> tuple[str, ...]:
    if from_text and isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) and part.strip() for part in value):
        return tuple(value)
    raise ValueError("a list of names")


def prefix(value: object, _from_text: bool = False) -> str:
    """How the names of keys and tables may begin: what could reach beyond its own keys, or into a statement, is none."""
    if not isinstance(value, str) or not PREFIX.fullmatch(value):
        raise ValueError("1 to 32 of the characters a-z, 0-9 and _")
    return value


def metric_namespace(value: object, _from_text: bool = False) -> str:
    """How names of series may begin."""
    if not isinstance(value, str) or not METRIC_NAMESPACE.fullmatch(value):
        raise ValueError("a letter and up to 63 letters, digits or _")
    return value


def _group(value: object, from_text: bool) -> int:
    if from_text and isinstance(value, str) and re.fullmatch("[0-9]{1,10}", value.strip()):
        value = int(value)
    if isinstance(value, str):
        try:
            import grp

            value = grp.getgrnam(value).gr_gid
        except (ImportError, KeyError):
            raise ValueError("the name of a group of this machine, or its number") from None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32 - 1:
        raise ValueError("the name of a group of this machine, or its number")
    return value


TEXT = Kind("text", "", "text that is not empty", "the same", text)
PATH = Kind("path", "", "a path, `~` is your home; relative to the current directory", "the same", _path)
SWITCH = Kind("switch", "", "true, false", "`1 true yes on`, `0 false no off`", _switch)
NAMES = Kind("names", "", "a list of texts", "with commas between them", _names)
GROUP = Kind("group", "", "the name of a group, or its number", "the same", _group)
PREFIXES = Kind("prefix", "", "1 to 32 of the characters `a-z`, `0-9` and `_`", "the same", prefix)

METRIC_NAMESPACES = Kind("metric namespace", "", "a letter and up to 63 letters, digits or `_`", "the same", metric_namespace)


def choice(name: str, *words: str) -> Kind:
    """One of some words."""
    expected = f"{', '.join(words[:-1])} or {words[-1]}"

    def check(value: object, _from_text: bool) -> str:
        if value not in words:
            raise ValueError(expected)
        return str(value)

    shown = f"{', '.join(f'`{word}`' for word in words[:-1])} or `{words[-1]}`"
    return Kind(name, "", shown, "the same", check)


def seconds(low: float, high: float = 86400) -> Kind:
    """A time between two bounds."""
    expected = f"a number of seconds between {low:g} and {high}"

    def check(value: object, from_text: bool) -> float:
        if from_text and isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                raise ValueError(expected) from None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(expected)
        return float(value)

    return Kind("seconds", f"{low:g} to {high:,}", "a number", "the same", check)


def number(low: float, high: float) -> Kind:
    """A number between two bounds."""
    expected = f"a number between {low:g} and {high:g}"

    def check(value: object, from_text: bool) -> float:
        if from_text and isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                raise ValueError(expected) from None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(expected)
        return float(value)

    return Kind("number with decimals", f"{low:g} to {high:g}", "a number", "the same", check)


def rising(length: int, low: int, high: int) -> Kind:
    """So many whole numbers between two bounds, none less than the one before it."""
    expected = f"{length} whole numbers between {low} and {high}, none less than the one before it"

    def check(value: object, from_text: bool) -> tuple[int, ...]:
        parts = [part.strip() for part in value.split(",")] if from_text and isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)) or len(parts) != length:
            raise ValueError(expected)
        found = [int(part) if from_text and isinstance(part, str) and re.fullmatch("[0-9]{1,9}", part) else part for part in parts]
        if not all(isinstance(each, int) and not isinstance(each, bool) and low <= each <= high for each in found):
            raise ValueError(expected)
        if found != sorted(found):
            raise ValueError(expected)
        return tuple(found)

    return Kind("numbers", f"{length}, {low:,} to {high:,}", "a list of whole numbers", "with commas between them", check)


def whole(name: str, low: int, high: int, what: str = "a whole number") -> Kind:
    """A whole number between two bounds."""
    expected = f"{what} between {low} and {high}"

    def check(value: object, from_text: bool) -> int:
        if from_text and isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value.strip()):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(expected)
        return value

    return Kind(name, f"{low:,} to {high:,}", "a whole number", "the same", check)
