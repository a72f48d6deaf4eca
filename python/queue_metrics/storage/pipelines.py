"""Several general operations in one request: a pipeline, and a transaction that happens only if nobody came in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from queue_metrics.storage.general import Call, GeneralOperations

Execute = Callable[[Sequence[Call]], list[Any]]


class Pipeline(GeneralOperations):
    """
    Collects operations, each of which answers None now; `execute()` sends them as one request and returns their answers in order.

    It is quicker than the operations one by one, not more: others may come in between, and what stands before a refused one was done.

    Raises:
        StoreRefused: by `execute()`, for the first operation that was refused; those behind it may have been done.
    """

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._calls: list[Call] = []

    def __len__(self) -> int:
        return len(self._calls)

    def _ask(self, call: Call) -> Any:
        self._calls.append(call)
        return None

    def execute(self) -> list[Any]:
        """Send what was collected; the pipeline is empty afterwards and can be used again."""
        calls, self._calls = self._calls, []
        return self._execute(calls) if calls else []


class Transaction(GeneralOperations):
    """
    What reads answers at once; what writes is collected, answers None now, and is done as a whole when the block ends without an error.

    Attributes:
        answers: the answers of what was collected, once it was done.
    """

    def __init__(self, read: Execute) -> None:
        self._read = read
        self.calls: list[Call] = []
        self.answers: list[Any] = []

    def _ask(self, call: Call) -> Any:
        if call.reads:
            return self._read([call])[0]
        self.calls.append(call)
        return None
