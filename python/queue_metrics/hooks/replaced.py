"""
Puts callables of ours over attributes of objects and classes, and takes them away again; knows no library and no recorder.

What somebody else has put over one of ours stays, and ours below it with it, until it is on top again when the next one is taken away.
"""

from __future__ import annotations

from types import FunctionType, MethodType
from typing import Any

from queue_metrics import _core

_ABSENT = object()


class _Entry:
    __slots__ = ("name", "ours", "own", "owner", "wanted")

    def __init__(self, owner: Any, name: str, ours: Any, own: Any) -> None:
        self.owner = owner
        self.name = name
        self.ours = ours
        self.own = own
        self.wanted = True

    def is_on_top(self) -> bool:
        if isinstance(self.owner, type):
            return vars(self.owner).get(self.name) is self.ours
        return getattr(self.owner, self.name, None) is self.ours

    def put_back(self) -> None:
        if self.own is _ABSENT:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self.own)


_entries: dict[tuple[int, str], list[_Entry]] = {}
"""What lies on an attribute, the last put last; by id of the owner, which the entries keep alive."""


class Replaced:
    """What one hook has put over attributes."""

    def __init__(self) -> None:
        self._mine: list[_Entry] = []

    def put(self, owner: Any, name: str, ours: Any) -> None:
        """
        Set an attribute of an object or a class.

        The `__dict__` of an object is not asked for: once it is made, each attribute that its own code reads costs three times as much.
        """
        if isinstance(owner, type):
            own = vars(owner).get(name, _ABSENT)
        else:
            own = getattr(owner, name)
            inherited = getattr(type(owner), name, None)
            if inherited is not None and own == MethodType(inherited, owner):
                own = _ABSENT
        setattr(owner, name, ours)
        entry = _Entry(owner, name, ours, own)
        _entries.setdefault((id(owner), name), []).append(entry)
        self._mine.append(entry)

    def take_away(self) -> None:
        """Put everything back that nobody has put something over."""
        for entry in reversed(self._mine):
            entry.wanted = False
            key = id(entry.owner), entry.name
            stack = _entries.get(key, [])
            while stack and not stack[-1].wanted and stack[-1].is_on_top():
                stack.pop().put_back()
            if not stack:
                _entries.pop(key, None)
        self._mine.clear()


def is_plain_method(instance: Any, name: str) -> bool:
    """Whether a method of an object is that of its class, so that putting ours over the class reaches it."""
    method, function = getattr(instance, name), getattr(type(instance), name, None)
    return isinstance(function, FunctionType | _core.Method) and method == MethodType(function, instance)
