"""What is said of a setting beside its type and default, once and for all uses; knows no setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from typing import Any, NamedTuple

from queue_metrics.config.values import Kind

ENVIRONMENT_PREFIX = "QUEUE_METRICS_"


class Declaration(NamedTuple):
    """One setting, as checks, errors, sources and the reference page know it."""

    name: str
    """Dotted where it is in a table: `ttl.raw`."""
    kind: Kind
    meaning: str
    """A line of the reference page; its links are as on that page."""
    default: object
    computed: bool
    """The default depends on where the program runs."""
    secret: bool
    """May hold a password: is in no error, and can be in a file that a variable names."""
    original: tuple[str, ...]
    """Its keys in the original system."""

    @property
    def variable(self) -> str | None:
        """The environment variable; None: what is a table of tables can be set in a file only."""
        return ENVIRONMENT_PREFIX + self.name.replace(".", "_").upper() if self.kind.in_variable else None


def setting(kind: Kind, meaning: str, *, computed: bool = False, secret: bool = False, original: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """The metadata of a field that is a setting; see `Declaration`."""
    return {"kind": kind, "meaning": meaning, "computed": computed, "secret": secret, "original": original}


def declarations(settings: type, table: str = "") -> Iterator[Declaration]:
    """Every setting of a dataclass, those of its tables (fields without metadata) with dotted names."""
    for each in fields(settings):
        if each.metadata:
            yield Declaration(name=table + each.name, default=_default(each), **each.metadata)
        else:
            yield from declarations(type(each.default), f"{table}{each.name}.")


def _default(each: Field[Any]) -> object:
    return each.default_factory() if callable(each.default_factory) else each.default


def suggestion(name: str, known: tuple[str, ...]) -> str:
    """What may have been meant by a name that is none of `known`, as the end of a sentence."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.75)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"
