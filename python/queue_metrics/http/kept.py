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
"""For so long the weight of an answer holds for the next ones to its question: to weigh takes up to a tenth of reading it."""

_OF_THE_PROGRAM = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
"""What an answer points to and does not hold."""


@dataclass(frozen=True, slots=True)
class Weight:
    """Of an answer, and until when the next ones to its question are taken to be as heavy."""

    size: int
    until: float


@dataclass(frozen=True, slots=True)
class Entry(Generic[V]):
    """An answer, when it was given, and how heavy it is taken to be."""

    answer: V
    at: float
    weight: Weight


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

    def keep(self, question: K, answer: V, now: float, weight: Weight) -> None:
        """Keep an answer in place of the last one; seconds of the clock by which answers are kept."""
        last = self._entries.pop(question, None)
        self._entries[question] = Entry(answer, now, weight)
        self._weight += weight.size - (0 if last is None else last.weight.size)
        while self._weight > self._most and len(self._entries) > 1:
            self._weight -= self._entries.popitem(last=False)[1].weight.size


def weighed(arguments: object, answer: V, last: Entry[V] | None, now: float) -> Weight:
    """
    How heavy an answer to a question is taken to be.

    It is the last one that is weighed, since it is complete: what is worked out when somebody asks for it is not there in a new one. So the
    weight of the first answer holds for no other.
    """
    if last is None:
        return Weight(weigh((arguments, answer)), now)
    if now < last.weight.until:
        return last.weight
    return Weight(weigh((arguments, last.answer)), now + WEIGHED_SECONDS)


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
