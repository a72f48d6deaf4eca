"""What `/openapi.json` answers: OpenAPI 3.1, as much of it as is used here. Nothing else may stand in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

SchemaObject = TypedDict(
    "SchemaObject",
    {
        "$ref": NotRequired[str],
        "type": NotRequired["str | Sequence[str]"],
        "description": NotRequired[str],
        "properties": NotRequired["Mapping[str, SchemaObject]"],
        "required": NotRequired[Sequence[str]],
        "additionalProperties": NotRequired["bool | SchemaObject"],
        "items": NotRequired["SchemaObject"],
        "prefixItems": NotRequired["Sequence[SchemaObject]"],
        "minItems": NotRequired[int],
        "maxItems": NotRequired[int],
        "oneOf": NotRequired["Sequence[SchemaObject]"],
        "enum": NotRequired[Sequence[str]],
        "const": NotRequired[bool],
        "minimum": NotRequired[int],
        "maximum": NotRequired[int],
        "minLength": NotRequired[int],
        "default": NotRequired["int | str"],
    },
)
SchemaObject.__doc__ = "JSON Schema of something."


class MediaObject(TypedDict):
    """What is sent in one media type."""

    schema: SchemaObject


class HeaderObject(TypedDict):
    """A header that an answer may have."""

    description: str
    schema: SchemaObject


HeaderReference = TypedDict("HeaderReference", {"$ref": str})
HeaderReference.__doc__ = "A header that stands under `components`."


class ResponseObject(TypedDict):
    """An answer."""

    description: str
    content: Mapping[str, MediaObject]
    headers: NotRequired[Mapping[str, HeaderReference]]


ResponseReference = TypedDict("ResponseReference", {"$ref": str})
ResponseReference.__doc__ = "An answer that stands under `components`."

ParameterObject = TypedDict(
    "ParameterObject",
    {
        "name": str,
        "in": Literal["path", "query"],
        "required": NotRequired[bool],
        "description": str,
        "schema": SchemaObject,
    },
)
ParameterObject.__doc__ = "A name in the path, or a parameter of the query."


class OperationObject(TypedDict):
    """One thing to ask for."""

    operationId: str
    tags: Sequence[str]
    summary: str
    parameters: Sequence[ParameterObject]
    responses: Mapping[str, ResponseObject | ResponseReference]
    security: NotRequired[Sequence[Mapping[str, Sequence[str]]]]


class PathObject(TypedDict):
    """What may be done at a path."""

    get: NotRequired[OperationObject]
    post: NotRequired[OperationObject]


class LicenseObject(TypedDict):
    """Under which licence it stands."""

    name: str
    identifier: str


class InfoObject(TypedDict):
    """What it is."""

    title: str
    version: str
    summary: str
    license: LicenseObject


class SecurityObject(TypedDict):
    """A way to show who asks."""

    type: Literal["http"]
    scheme: Literal["bearer", "basic"]


class ComponentsObject(TypedDict):
    """What is referred to."""

    schemas: Mapping[str, SchemaObject]
    responses: Mapping[str, ResponseObject]
    headers: Mapping[str, HeaderObject]
    securitySchemes: Mapping[str, SecurityObject]


class InterfaceReply(TypedDict):
    """`/openapi.json`."""

    openapi: Literal["3.1.0"]
    info: InfoObject
    paths: Mapping[str, PathObject]
    components: ComponentsObject
