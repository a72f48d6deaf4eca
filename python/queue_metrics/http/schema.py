"""JSON Schema of answers, from the types that they are made with; knows no route."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Literal, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

Schema = dict[str, Any]

_SCALARS: Mapping[Any, Schema] = types.MappingProxyType(
    {str: {"type": "string"}, int: {"type": "integer"}, float: {"type": "number"}, bool: {"type": "boolean"}, type(None): {"type": "null"}}
)


class Schemas:
    """Schemas of types, each object named once under `#/components/schemas`."""

    def __init__(self) -> None:
        self.named: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        """
        The schema of a type: TypedDict, dataclass, enumeration, literal, union, list, tuple, mapping or scalar.

        Raises:
            TypeError: there is no schema for it; an answer of no type cannot be promised.
        """
        if kind in _SCALARS:
            return dict(_SCALARS[kind])
        if isinstance(kind, type) and issubclass(kind, Enum):
            return {"type": "string", "enum": [member.value for member in kind]}
        if is_typeddict(kind) or dataclasses.is_dataclass(kind):
            return self._object(kind)
        origin, parts = get_origin(kind), get_args(kind)
        if origin in (typing.Union, types.UnionType):
            return _either([self.of(part) for part in parts])
        if origin is Literal:
            return _literal(parts)
        if origin in (list, Sequence) or (origin is tuple and len(parts) == 2 and parts[1] is Ellipsis):
            return {"type": "array", "items": self.of(parts[0])}
        if origin is tuple:
            return {"type": "array", "prefixItems": [self.of(part) for part in parts], "minItems": len(parts), "maxItems": len(parts)}
        if origin in (dict, Mapping):
            return self._mapping(*parts)
        raise TypeError(f"no JSON Schema for {kind!r}")

    def _mapping(self, key: Any, value: Any) -> Schema:
        names = [member.value for member in key] if isinstance(key, type) and issubclass(key, Enum) else None
        if names is None:
            return {"type": "object", "additionalProperties": self.of(value)}
        # Such a mapping always has all of its keys: "every outcome is there".
        return {"type": "object", "properties": {name: self.of(value) for name in names}, "required": names, "additionalProperties": False}

    def _object(self, kind: Any) -> Schema:
        name = kind.__name__
        if name not in self.named:
            self.named[name] = {}  # a type may hold itself
            hints = get_type_hints(kind, include_extras=True)
            # Not __required_keys__: those of a module with postponed annotations know nothing of NotRequired.
            required = [field for field, hint in hints.items() if get_origin(hint) is not NotRequired]
            shape: Schema = {"type": "object", "description": _summary(kind)}
            shape["properties"] = {field: self.of(_bare(hint)) for field, hint in hints.items()}
            shape["required"] = required
            shape["additionalProperties"] = False
            self.named[name] = shape
        return {"$ref": f"#/components/schemas/{name}"}


def _literal(values: Sequence[Any]) -> Schema:
    if len(values) == 1 and isinstance(values[0], bool):
        return {"type": "boolean", "const": values[0]}
    return {"type": "string", "enum": list(values)}


def _either(schemas: list[Schema]) -> Schema:
    """One of them and no other: an answer that fits two would leave open which it is."""
    simple = [schema["type"] for schema in schemas if set(schema) == {"type"}]
    return {"type": simple} if len(simple) == len(schemas) else {"oneOf": schemas}


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint


def _summary(kind: Any) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]
