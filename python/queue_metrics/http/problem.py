"""Errors as RFC 9457 problem documents: what is wrong and what to do, never how it looks inside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response


def problem(status: HTTPStatus, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any) -> Response:
    """A problem document with further members."""
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail, **members}
    return Response(json.dumps(body), status.value, headers, "application/problem+json")
