"""How often Redis is asked: counted where redis-py writes and reads."""

from __future__ import annotations

from typing import Any

import pytest
import redis


class Turns:
    """Counts how often somebody writes after having read: a pipeline is one turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        self._writing = False
        kind: Any = redis.Connection
        write, read = kind.send_packed_command, kind.read_response

        def written(connection: Any, *arguments: Any, **more: Any) -> Any:
            self.number += not self._writing
            self._writing = True
            return write(connection, *arguments, **more)

        def answered(connection: Any, *arguments: Any, **more: Any) -> Any:
            self._writing = False
            return read(connection, *arguments, **more)

        monkeypatch.setattr(kind, "send_packed_command", written)
        monkeypatch.setattr(kind, "read_response", answered)
