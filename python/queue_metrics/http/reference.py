"""`/docs`: the interface to read, made from `/openapi.json`. One document, no script, nothing from another place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from queue_metrics.http.frame import brand, document
from queue_metrics.http.html import Html, join, prose, tag

_TITLES = {"own": "Ours, in base units", "original": "The original's endpoints, with its names and units"}


def render(interface: Mapping[str, Any], root: str) -> Html:
    """
    The whole document.

    Args:
        interface: as `openapi.document` makes it.
        root: path at which the app is mounted.
    """
    operations = [(path, method, operation) for path, methods in interface["paths"].items() for method, operation in methods.items()]
    families = list(dict.fromkeys(operation["tags"][0] for _, _, operation in operations))
    main = tag(
        "main",
        tag("p", interface["info"]["summary"], " For programs: ", tag("a", "openapi.json", href=f"{root}/openapi.json"), "."),
        *(_family(family, [each for each in operations if each[2]["tags"][0] == family]) for family in families),
        tag("section", tag("h2", "Objects"), *(_object(name, schema) for name, schema in interface["components"]["schemas"].items())),
        id="main",
        class_="reference",
    )
    return document("Interface · queue-metrics", root, 0, join(tag("header", brand(root)), main))


def _family(family: str, operations: Iterable[tuple[str, str, Mapping[str, Any]]]) -> Html:
    return tag("section", tag("h2", _TITLES[family]), *(_operation(*each) for each in operations))


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Html:
    rows = [
        tag("li", tag("code", each["name"]), " ", _kind(each["schema"]), ": ", prose(each["description"]))
        for each in operation["parameters"]
    ]
    content = operation["responses"]["200"]["content"]
    answers = [join(" ", tag("code", media), " ", _kind(about["schema"])) for media, about in content.items()]
    statuses = ", ".join(status for status in operation["responses"] if status != "200")
    return tag(
        "article",
        tag("h3", tag("code", f"{method.upper()} {path}")),
        tag("p", prose(f"{operation['summary'][0].upper()}{operation['summary'][1:]}.")),
        tag("ul", *rows) if rows else None,
        tag("p", "200:", *answers, f"; otherwise {statuses}" if statuses else ""),
        id=operation["operationId"],
    )


def _object(name: str, schema: Mapping[str, Any]) -> Html:
    rows = [
        tag("li", tag("code", field), " ", _kind(kind), "" if field in schema["required"] else ", may be absent")
        for field, kind in schema["properties"].items()
    ]
    return tag("article", tag("h3", name), tag("p", prose(schema["description"])), tag("ul", *rows), id=name)


def _kind(schema: Mapping[str, Any]) -> Html:
    """A schema in a few words; an object by its name, with a link."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return tag("a", name, href=f"#{name}")
    if "oneOf" in schema:
        return _joined([_kind(each) for each in schema["oneOf"]])
    if schema.get("type") == "array":
        return join("list of ", _kind(schema["items"]) if "items" in schema else _joined([_kind(each) for each in schema["prefixItems"]]))
    if schema.get("type") == "object":
        return join("object of ", _kind(schema["additionalProperties"])) if schema.get("additionalProperties") else Html("object")
    if "const" in schema:
        return join(str(schema["const"]).lower())
    if "enum" in schema:
        return join(" or ".join(map(str, schema["enum"])))
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    bounds = f" from {schema['minimum']} to {schema['maximum']}" if "minimum" in schema and "maximum" in schema else ""
    default = f", else {schema['default']}" if "default" in schema else ""
    return join(" or ".join(kinds) + bounds + default)


def _joined(parts: Iterable[Html]) -> Html:
    first, *others = parts
    return join(first, *(each for part in others for each in (" or ", part)))
