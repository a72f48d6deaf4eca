"""The interface as it is told, to programs and to people. It does not change while a server runs, so each form of it is made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

from starlette.responses import Response

from queue_metrics.http import encode, openapi, reference
from queue_metrics.http.answers import tagged
from queue_metrics.http.routes import Call, Table

ROOTS = 8
"""Pages that are kept, one for each path at which the app is mounted: a path may have names in it, of which there is no end."""


class Interface:
    """What is told of a table of routes."""

    def __init__(self, table: Callable[[], Table]) -> None:
        """
        Args:
            table: asked for when somebody wants to read of it: two of its routes are answered here.
        """
        self._table = table
        self._page = lru_cache(ROOTS)(self._rendered)

    def for_programs(self, _call: Call) -> Response:
        """As OpenAPI."""
        return tagged(Response(self._encoded, media_type="application/json"))

    def for_people(self, call: Call) -> Response:
        """As a page."""
        return tagged(Response(self._page(call.root), media_type="text/html"))

    @cached_property
    def _document(self) -> dict[str, Any]:
        return openapi.document(self._table().routes.values())

    @cached_property
    def _encoded(self) -> bytes:
        return encode.dumps(self._document).encode()

    def _rendered(self, root: str) -> bytes:
        return reference.render(self._document, root).encode()
