"""The leaves of answers, each number or word under its full path, as the schema of the interface names them; knows no endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = dict[str, Any]
KEY = "{}"
"""In a path: any key of a mapping; at its end the keys themselves."""

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


class Leaves:
    """Finds leaves in schemas, and in answers."""

    def __init__(self, named: Mapping[str, Schema]) -> None:
        """
        Args:
            named: what schemas refer to.
        """
        self._named = named

    def told(self, schema: Schema, path: str) -> Iterator[str]:
        """Every path that a reply may have, those of all its shapes; one that is null and nothing else has no leaf."""
        for shape in self.shapes(schema):
            if "properties" in shape:
                for name, field in shape["properties"].items():
                    yield from self.told(field, f"{path}.{name}")
            elif shape.get("type") == "object":
                yield f"{path}.{KEY}"
                yield from self.told(shape["additionalProperties"], f"{path}.{KEY}")
            elif "items" in shape:
                yield from self.told(shape["items"], f"{path}[]")
            elif "prefixItems" in shape:
                for place, field in enumerate(shape["prefixItems"]):
                    yield from self.told(field, f"{path}[{place}]")
            elif shape != {"type": "null"}:
                yield path

    def of(self, answer: Any, schema: Schema, path: str) -> Iterator[tuple[str, Any]]:
        """
        Every leaf of an answer that is known.

        Raises:
            AssertionError: no shape of the schema, or more than one, is that of the answer.
        """
        shape = self._shape(answer, schema, path)
        if answer is None:
            return
        if "properties" in shape:
            for name, value in answer.items():
                yield from self.of(value, shape["properties"][name], f"{path}.{name}")
        elif isinstance(answer, dict):
            for name, value in answer.items():
                yield f"{path}.{KEY}", name
                yield from self.of(value, shape["additionalProperties"], f"{path}.{KEY}")
        elif "prefixItems" in shape:
            for place, (value, field) in enumerate(zip(answer, shape["prefixItems"], strict=True)):
                yield from self.of(value, field, f"{path}[{place}]")
        elif isinstance(answer, list):
            for value in answer:
                yield from self.of(value, shape["items"], f"{path}[]")
        else:
            yield path, answer

    def objects(self, answer: Any, schema: Schema, path: str) -> Iterator[tuple[str, dict[str, Any], Schema, Schema]]:
        """Every object with named fields in an answer, its schema and which shape of it; the outer ones first."""
        shape = self._shape(answer, schema, path)
        if "properties" in shape:
            yield path, answer, schema, shape
            for name, value in answer.items():
                yield from self.objects(value, shape["properties"][name], f"{path}.{name}")
        elif isinstance(answer, dict):
            for value in answer.values():
                yield from self.objects(value, shape["additionalProperties"], f"{path}.{KEY}")
        elif isinstance(answer, list) and "items" in shape:
            for value in answer:
                yield from self.objects(value, shape["items"], f"{path}[]")

    def fields(self, schema: Schema, path: str) -> Iterator[tuple[str, bool]]:
        """Every field that a reply may have, whatever it holds, and whether its shape requires it."""
        for shape in self.shapes(schema):
            for name, field in shape.get("properties", {}).items():
                yield f"{path}.{name}", name in shape["required"]
                yield from self.fields(field, f"{path}.{name}")
            if "items" in shape:
                yield from self.fields(shape["items"], f"{path}[]")
            if isinstance(shape.get("additionalProperties"), dict):
                yield from self.fields(shape["additionalProperties"], f"{path}.{KEY}")

    def _shape(self, answer: Any, schema: Schema, path: str) -> Schema:
        fitting = [shape for shape in self.shapes(schema) if self._fits(answer, shape)]
        if len(fitting) > 1:
            fitting = [shape for shape in fitting if self._fits_within(answer, shape)]
        assert len(fitting) == 1, (path, answer)
        return fitting[0]

    def shapes(self, schema: Schema) -> list[Schema]:
        """What it may be, with references followed."""
        if "$ref" in schema:
            return self.shapes(self._named[schema["$ref"].rpartition("/")[2]])
        if "oneOf" in schema:
            return [shape for each in schema["oneOf"] for shape in self.shapes(each)]
        return [schema]

    def _fits_within(self, answer: Any, shape: Schema) -> bool:
        """Whether the fields of an object are of this shape, too."""
        if not isinstance(answer, dict):
            return True
        return all(
            any(
                self._fits(value, each) and self._fits_within(value, each)
                for each in self.shapes(shape["properties"][name] if "properties" in shape else shape["additionalProperties"])
            )
            for name, value in answer.items()
        )

    def _fits(self, answer: Any, shape: Schema) -> bool:
        """Whether an answer is of this shape, as far as its own level tells; the whole is for a validator."""
        kinds = shape["type"] if isinstance(shape["type"], list) else [shape["type"]]
        if not any(isinstance(answer, _TYPES[kind]) and (kind == "boolean" or not isinstance(answer, bool)) for kind in kinds):
            return False
        if "const" in shape or "enum" in shape:
            return bool(answer == shape["const"]) if "const" in shape else answer in shape["enum"]
        if "properties" not in shape:
            return True
        flags = [name for name, field in shape["properties"].items() if "const" in field and name in answer]
        named = set(shape["required"]) <= set(answer) <= set(shape["properties"])
        return named and all(answer[name] == shape["properties"][name]["const"] for name in flags)
