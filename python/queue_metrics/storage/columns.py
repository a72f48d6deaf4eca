"""Columns of numbers as the core makes them, for Python and for the core again: one buffer each. Knows none of their meanings."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from queue_metrics._core import Series


def column(numbers: Series | Iterable[float]) -> array[float]:
    """Doubles that can be sliced, walked through at the price of a list, and lent to the core without a copy."""
    if not isinstance(numbers, Series):
        return array("d", numbers)
    found = array("d")
    found.frombytes(memoryview(numbers).cast("B"))
    return found
