"""
Which names have series of their own in a store: what all drainers of all spools let in together stays within the limits.

A store knows nothing of namespaces: the limits hold for all that is under one prefix. Made of the general operations, so it is the same on
every database. A drainer asks before it sends a batch with a name that is new; so no batch is ever refused for its names, and what has no
room is folded once more as `__other__`. The names are in one hash: a field for each, written in the transaction in which they were counted.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from queue_metrics import _core
from queue_metrics.errors import StoreRefused, TransactionConflict
from queue_metrics.storage.base import EXCEPTION, QUEUE, SERVER, SERVER_TASK, TASK, Series

if TYPE_CHECKING:
    from queue_metrics.storage.base import StorageDriver

Name: TypeAlias = tuple[int, int, int]
"""Kind; id of the series, or of an exception the hash of its type; of a task the id of its queue, else 0. As in `Drainer.know`."""

Limits: TypeAlias = tuple[int, int, int, int, int]

KEY = "queue-metrics/names"
ATTEMPTS = 50
"""How often it is tried while others let in names. Each time somebody got ahead, and names come to an end."""

_PAUSE_SECONDS = 0.002
OTHER = "__other__"
_NAME = 7  # the kind of a label list that is a name alone; docs/journal-format.md


def known_names(store: StorageDriver) -> list[Name]:
    """The names that a store has let in. Two requests where it never let in any, else one."""
    return _names(store.get_hash(KEY)) or _names_of(store.known_series())


def let_in(store: StorageDriver, asked: Sequence[Name], limits: Limits | None = None) -> list[Name]:
    """
    Let in those of these names that there is room for; may be asked again after an unknown result.

    Args:
        limits: the most names, as a `Drainer` takes them; None: as it has them by default.

    Returns:
        All names that are in now.

    Raises:
        StoreUnavailable: also when others were always quicker.
    """
    for attempt in range(ATTEMPTS):
        try:
            with store.transaction([KEY]) as transaction:
                written = _names(transaction.get_hash(KEY))
                known = written or _names_of(store.known_series())
                new = _core.admitted_names(known, asked, limits)
                fields = _fields(new if written else [*known, *new])
                if fields:
                    transaction.set_hash(KEY, fields)
            return [*known, *new]
        except TransactionConflict:
            time.sleep(random.uniform(0.0, _PAUSE_SECONDS * attempt))  # a fleet that starts has all its names at once
    raise TransactionConflict(f"{store.url}: the names in the store change all the time; nothing is changed, try again")


def _fields(names: Iterable[Name]) -> dict[str, str]:
    return {f"{kind}/{id_:016x}": f"{queue:016x}" for kind, id_, queue in names}


def _names(fields: dict[str, str]) -> list[Name]:
    names = []
    for field, queue in fields.items():
        kind, _, id_ = field.partition("/")
        try:
            names.append((int(kind), int(id_, 16), int(queue, 16)))
        except ValueError:
            raise StoreRefused(f"what is stored in {KEY!r} as {field[:40]!r} is no name of ours") from None
    return names


def _names_of(series: Iterable[Series]) -> list[Name]:
    """The names that an older version wrote without asking."""
    names: dict[Name, None] = {}
    for one in series:
        if one.kind == SERVER_TASK and one.labels[0] != OTHER:  # the rest of a queue has a series of its own on each server
            names[SERVER_TASK, one.id, 0] = None
        elif OTHER in one.labels:
            continue
        elif one.kind == TASK:
            queue = _core.series_id(QUEUE, one.labels[:2])
            names.update({(QUEUE, queue, 0): None, (TASK, one.id, queue): None})
        elif one.kind in (QUEUE, SERVER):
            names[one.kind, one.id, 0] = None
        elif one.kind == EXCEPTION:
            names[EXCEPTION, _core.hash64(_core.label_list(_NAME, one.labels[-1:])), 0] = None
    return list(names)
