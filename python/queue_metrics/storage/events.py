"""How events rest in a store: a log with a cap, and what they are told apart from: the last health of queues, workers that are silent."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from queue_metrics.model.events import Event
from queue_metrics.storage.general import Call, GeneralOperations

EVENTS, HEALTH, SILENT = "events", "queue_health", "silent_workers"
MOST_EVENTS = 10_000
READ_HEALTH, READ_SILENT = Call("get_hash", (HEALTH,)), Call("get_hash", (SILENT,))
"""The questions for `healths_of`; and for workers that are stale or lost, whose answer is the state by id as it stands."""
READ_OLDEST = Call("get_sorted_set_by_rank", (EVENTS, 0, 0, False))
"""The question for the oldest event that is left."""

Queue: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ToldHealth:
    """The health of a queue as it was told last."""

    score: int
    at: float
    """Seconds since 1970."""


def numbered(events: Iterable[Event], last: int) -> list[Event]:
    """Events with the numbers behind the last one."""
    return [replace(event, number=number) for number, event in enumerate(events, last + 1)]


def add_events(store: GeneralOperations, events: Sequence[Event]) -> None:
    """Write numbered events and let go of the oldest; in the transaction that moves the number of the last event."""
    if events:
        store.add_to_sorted_set(EVENTS, {_encoded(event): event.number for event in events})
        store.trim_sorted_set_by_score(EVENTS, 0, events[-1].number - MOST_EVENTS)


def reading_events(after: int, limit: int) -> Call:
    """The call whose answer `events_of` reads: at most `limit` events behind a number."""
    return Call("get_sorted_set_by_score", (EVENTS, float(after + 1), math.inf, False, 0, limit))


def events_of(members: Iterable[tuple[str, float]]) -> list[Event]:
    """Events out of an answer, in its order; damaged ones are left out."""
    found = []
    for member, score in members:
        try:
            told = json.loads(member)
            found.append(Event(int(score), str(told["kind"]), float(told["at"]), dict(told["data"])))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def healths_of(answer: Mapping[str, str] | None) -> dict[Queue, ToldHealth]:
    """The last health of each queue, by connection and queue; damaged ones are left out."""
    found = {}
    for name, value in (answer or {}).items():
        try:
            connection, queue = json.loads(name)
            score, at = json.loads(value)
            found[str(connection), str(queue)] = ToldHealth(int(score), float(at))
        except (ValueError, TypeError):
            continue
    return found


def write_healths(store: GeneralOperations, before: Mapping[Queue, ToldHealth], after: Mapping[Queue, ToldHealth]) -> None:
    """Write what changed of the last healths."""
    store.set_hash(HEALTH, {_field(queue): json.dumps([told.score, told.at]) for queue, told in after.items() if told != before.get(queue)})
    store.delete_hash_field(HEALTH, *(_field(queue) for queue in before if queue not in after))


def write_silent(store: GeneralOperations, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Write what changed of the workers that are silent, by id."""
    store.set_hash(SILENT, {worker: state for worker, state in after.items() if before.get(worker) != state})
    store.delete_hash_field(SILENT, *(worker for worker in before if worker not in after))


def _field(queue: Queue) -> str:
    return json.dumps(list(queue), ensure_ascii=False, separators=(",", ":"))


def _encoded(event: Event) -> str:
    told = {"n": event.number, "kind": event.kind, "at": round(event.at, 3), "data": event.data}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
