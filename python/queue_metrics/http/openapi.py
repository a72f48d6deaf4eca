"""`/openapi.json`, made from the table of routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from queue_metrics._core import __version__
from queue_metrics.http.headers import MEANINGS, headers_of
from queue_metrics.http.parameters import Name
from queue_metrics.http.routes import Access, Route, Text
from queue_metrics.http.schema import Schemas
from queue_metrics.http.shapes import ProblemObject

_PROBLEMS: Mapping[str, str] = {
    "401": "a token is needed, and was not given or is wrong",
    "403": "the page of another site asks for a duty, or it comes with a password instead of the token",
    "404": "nothing of this name was ever recorded",
    "421": "this server does not answer to that Host",
    "422": "a parameter is unknown, given twice or out of bounds; says which bounds hold",
    "503": "the store cannot be read, and no earlier answer is kept; come again after Retry-After seconds",
}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole interface as OpenAPI 3.1."""
    schemas = Schemas()
    paths = {route.path: {route.method.lower(): _operation(route, schemas)} for route in routes if route.listed}
    problem = schemas.of(ProblemObject)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "queue-metrics",
            "version": __version__,
            "summary": "What every background job costs, which workers live, how deep each queue is.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": {name: schemas.named[name] for name in sorted(schemas.named)},
            "responses": {
                f"Problem{status}": {"description": text, "content": {"application/problem+json": {"schema": problem}}}
                for status, text in _PROBLEMS.items()
            },
            "headers": {name: {"description": text, "schema": {"type": "string"}} for name, text in MEANINGS.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}, "password": {"type": "http", "scheme": "basic"}},
        },
    }


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    statuses = ["421", "422"]
    if route.access is not Access.OPEN:
        statuses.append("401") if route.access is Access.TOKEN else None
        statuses.append("503") if route.question is not None and route.access is Access.TOKEN else None
    if route.names or route.missing is not None or any(isinstance(each, Name) for each in route.parameters):
        statuses.append("404")
    if route.method != "GET":
        statuses.append("403")
    operation: dict[str, Any] = {
        "operationId": _identifier(route),
        "tags": [route.family],
        "summary": route.summary,
        "parameters": [*(_in_path(name) for name in route.names), *(_in_query(each) for each in route.parameters)],
        "responses": {
            "200": {"description": route.summary, "content": _content(route, schemas), **_headers(route)},
            **{status: {"$ref": f"#/components/responses/Problem{status}"} for status in sorted(statuses)},
        },
    }
    if route.access is Access.BRIEF:
        operation["responses"]["503"] = {"description": "something is critical", "content": _content(route, schemas), **_headers(route)}
    if route.access is Access.TOKEN:
        # Empty: where no token is configured, whoever reaches the server may ask.
        operation["security"] = [{"token": []}, *([{"password": []}] if route.method == "GET" else []), {}]
    return operation


def _identifier(route: Route) -> str:
    words = [segment.strip("{}").replace("-", "_").replace(".", "_") for segment in route.segments if segment]
    return "_".join([route.method.lower(), *words]) if words else f"{route.method.lower()}_index"


def _content(route: Route, schemas: Schemas) -> dict[str, Any]:
    if isinstance(route.reply, Text):
        kind = route.reply.media_type.partition(";")[0]
        return {kind: {"schema": {"type": "string"}}}
    content: dict[str, Any] = {"application/json": {"schema": schemas.of(route.reply)}}
    return {**content, **{kind: {"schema": {"type": "string"}} for kind in route.also}}


def _headers(route: Route) -> dict[str, Any]:
    found = headers_of(route)
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in found}} if found else {}


def _in_path(name: str) -> dict[str, Any]:
    about = "percent-encoded; `/` in it is `%2F`"
    return {"name": name, "in": "path", "required": True, "description": about, "schema": {"type": "string", "minLength": 1}}


def _in_query(parameter: Any) -> dict[str, Any]:
    return {"name": parameter.name, "in": "query", "description": parameter.meaning, "schema": dict(parameter.schema())}
