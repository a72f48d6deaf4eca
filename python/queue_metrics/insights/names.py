"""Names that nobody recorded: an error that says which are near."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from queue_metrics.errors import QueueMetricsError


class UnknownName(QueueMetricsError, KeyError):
    """Nothing of this name was ever recorded; also a KeyError."""

    def __str__(self) -> str:
        return str(self.args[0])  # a KeyError would show the repr


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """What to say about a task, queue, ... that is not among the known ones."""
    names = sorted(set(known))
    if not names:
        return f"no {kind} was recorded yet"
    close = get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"known are {len(names)}, among them {names[0]!r}"
    return f"no {kind} {name!r} was recorded; {hint}"


def unknown_queue(connection: str, name: str, known: Iterable[tuple[str, str]]) -> str:
    """The same of a queue of a connection: which connections have one of this name, or that both names are in each other's place."""
    places = sorted(set(known))
    elsewhere = [repr(each) for each, queue in places if queue == name]
    if elsewhere:
        return f"connection {connection!r} has no queue {name!r}; it was recorded on {', '.join(elsewhere)}"
    if (name, connection) in places:
        return f"no queue {name!r} was recorded; the connection comes first: {name!r} {connection!r}"
    return unknown("queue", name, (queue for _, queue in places))
