"""The last answers, for when the store is away: as many as fit, and those that nobody asked for longest go first. Knows no store."""

from __future__ import annotations

import gc
import sys
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Generic, TypeVar

from queue_metrics._core import Value

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

KEPT_BYTES = 64 << 20
"""Of all answers together. A trend takes 2 KB; all that `/v1` tells of 200 queues, 500 tasks and 1,000 workers, 5 MB."""
WEIGHED_SECONDS = 60.0
"""For so long the weight of an answer holds for the next ones to the same question: to weigh takes up to a tenth of reading it."""

_OF_THE_PROGRAM = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
"""What an answer points to and does not hold."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[V]):
    """An answer, when it was given, and how heavy one to its question was when it was weighed."""

    answer: V
    at: float
    weight: int
    weighed_at: float


class Kept(Generic[K, V]):
    """Answers by their questions."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        """
        Args:
            most: bytes of all together; the newest answer is kept however heavy it is.
        """
        self._entries: OrderedDict[K, Entry[V]] = OrderedDict()
        self._most = most
        self._weight = 0

    def __len__(self) -> int:
        return len(self._entries)

    def asked(self, question: K) -> Entry[V] | None:
        """The last answer, which somebody asks for now; None: there is none."""
        entry = self._entries.get(question)
        if entry is not None:
            self._entries.move_to_end(question)
        return entry

    def unweighed(self, question: K, now: float) -> bool:
        """Whether the next answer to a question is to be weighed; seconds of the clock by which answers are kept."""
        entry = self._entries.get(question)
        return entry is None or now - entry.weighed_at >= WEIGHED_SECONDS

    def keep(self, question: K, answer: V, now: float, weight: int | None) -> None:
        """Keep an answer in place of the last one, whose weight it has unless it was weighed itself."""
        last = self._entries.pop(question, None)
        weighed_at = now if weight is not None or last is None else last.weighed_at
        if weight is None:
            weight = 0 if last is None else last.weight
        self._entries[question] = Entry(answer, now, weight, weighed_at)
        self._weight += weight - (0 if last is None else last.weight)
        while self._weight > self._most and len(self._entries) > 1:
            self._weight -= self._entries.popitem(last=False)[1].weight


def weigh(answer: Any) -> int:
    """Bytes of an answer with all that it holds, each object once."""
    seen: set[int] = set()
    ahead, weight = [answer], 0
    while ahead:
        each = ahead.pop()
        if id(each) in seen or isinstance(each, _OF_THE_PROGRAM):
            continue
        seen.add(id(each))
        weight += sys.getsizeof(each) + (len(each.encode()) if isinstance(each, Value) else 0)
        ahead.extend(gc.get_referents(each))
    return weight
