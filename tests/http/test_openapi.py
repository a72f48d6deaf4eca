"""The interface as it is told, against the interface as it answers: no answer off its schema, none without one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import jsonschema
import pytest

from queue_metrics.errors import StoreUnavailable
from queue_metrics.http import openapi, reference
from queue_metrics.http.headers import MEANINGS
from queue_metrics.http.kept import Kept
from queue_metrics.http.routes import Route, Table, Text
from queue_metrics.http.schema import Schemas
from queue_metrics.model import Status
from tests.http.asking import HTML, ROUTES, TOKEN, Flaky, app_of, ask, hostile_fleet, path_of, small_fleet
from tests.http.everything import app_of_everything
from tests.support.fleet import Fleet

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return dict(ask(app_of(small_fleet()), "/openapi.json").json())


def schema_of(told: dict[str, Any], path: str, status: str, media: str) -> dict[str, Any]:
    """The schema of an answer, with all that it refers to."""
    (operation,) = told["paths"][path].values()
    answer = operation["responses"][status]
    if "$ref" in answer:
        answer = told["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return {**answer["content"][media]["schema"], "components": told["components"]}


def test_the_committed_interface_is_that_of_the_app(told: dict[str, Any]) -> None:
    assert json.loads(COMMITTED.read_text()) == told, "python -m tools.openapi writes it anew"


def test_every_route_that_can_be_asked_is_told(told: dict[str, Any]) -> None:
    assert set(told["paths"]) == {path for path, route in ROUTES.items() if route.listed}
    names = [operation["operationId"] for methods in told["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names)


def every_object(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from every_object(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from every_object(part)


def test_no_object_may_have_more_than_is_told(told: dict[str, Any]) -> None:
    objects = list(every_object(told["components"]["schemas"]))
    assert len(objects) > 20
    assert [each for each in objects if "additionalProperties" not in each] == []


@pytest.mark.parametrize("fleet", [small_fleet, hostile_fleet, None], ids=["small", "hostile", "empty"])
def test_every_answer_is_as_told(told: dict[str, Any], fleet: Callable[[], Fleet] | None) -> None:
    # Made here: heartbeats expire by the real clock, and tests of an hour may come before this one.
    app = app_of(None if fleet is None else fleet())
    for path, route in ROUTES.items():
        if not route.listed or isinstance(route.reply, Text):
            continue
        answer = ask(app, path_of(path), method=route.method)
        assert answer.status in ((200, 503) if fleet is not None or not (route.names or path == "/v1/series") else (404,)), path
        media = "application/problem+json" if answer.status == 404 else "application/json"
        jsonschema.validate(answer.json(), schema_of(told, path, str(answer.status), media))


def test_every_header_of_a_reading_is_told_where_it_may_be(told: dict[str, Any]) -> None:
    """No collector runs here, and in the end the store is away: so both are there wherever they can be."""
    driver = Flaky()
    small_fleet().store(driver)
    app = app_of(driver=driver)
    assert set(told["components"]["headers"]) == set(MEANINGS)
    for path, route in ROUTES.items():
        if not route.listed:
            continue
        html = (HTML,) if path == "/" else ()
        driver.error = None
        app._reading._kept, app._reading._clock = Kept(), lambda: 0.0
        ask(app, path_of(path), *html, method=route.method)
        driver.error = StoreUnavailable("away")
        app._reading._clock = lambda: 60.0
        found = ask(app, path_of(path), *html, method=route.method)
        (operation,) = told["paths"][path].values()
        promised = operation["responses"][str(found.status)].get("headers", {})
        assert {name for name in MEANINGS if found.has(name)} == set(promised), path
        assert all(each["$ref"] == f"#/components/headers/{name}" for name, each in promised.items()), path


def test_problems_are_as_told(told: dict[str, Any]) -> None:
    driver = Flaky()
    driver.error = StoreUnavailable("away")
    app, away, guarded = app_of(small_fleet()), app_of(driver=driver), app_of(small_fleet(), token=TOKEN)
    for answer, status in (
        (ask(app, "/v1/tasks?minutes=0"), 422),
        (ask(app, "/v1/tasks?other=0"), 422),
        (ask(app, "/v1/tasks", host=[]), 421),
        (ask(guarded, "/v1/tasks"), 401),
        (ask(away, "/v1/tasks"), 503),
    ):
        assert answer.status == status
        jsonschema.validate(answer.json(), schema_of(told, "/v1/tasks", str(status), "application/problem+json"))
    jsonschema.validate(ask(away, "/health").json(), schema_of(told, "/health", "503", "application/json"))


def test_a_field_too_many_or_too_few_is_off_schema(told: dict[str, Any]) -> None:
    """The check above can fail."""
    schema, answer = schema_of(told, "/v1/tasks", "200", "application/json"), ask(app_of(small_fleet()), "/v1/tasks").json()
    answer["tasks"][0]["counts"]["more"] = 1
    with pytest.raises(jsonschema.ValidationError, match="more"):
        jsonschema.validate(answer, schema)
    del answer["tasks"][0]["counts"]["more"], answer["tasks"][0]["counts"]["lost"]
    with pytest.raises(jsonschema.ValidationError, match="lost"):
        jsonschema.validate(answer, schema)


def test_the_page_of_the_interface_names_every_route_and_object(told: dict[str, Any]) -> None:
    answer = ask(app_of(small_fleet()), "/docs", HTML)
    assert answer["content-type"].startswith("text/html")
    for path in told["paths"]:
        assert f"{path}</code>" in answer.text
    for name in told["components"]["schemas"]:
        assert f'id="{name}"' in answer.text
    assert "<script" not in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text


TRENDS = [path for path in ROUTES if "/trends/" in path]


@pytest.mark.parametrize("path", TRENDS)
def test_a_trend_is_known_or_not_and_never_half_of_both(path: str, told: dict[str, Any]) -> None:
    """A known one has its numbers; one that is not has a reason, and no number beside it."""
    schema = jsonschema.Draft202012Validator(schema_of(told, path, "200", "application/json"))
    known = ask(app_of_everything(), path.format(connection="broker", queue="mail")).json()
    lacking = "mail" if "depth" in path else "default"  # of the small fleet: its broker was not asked; nothing of it in a whole minute
    unknown = ask(app_of(small_fleet()), path.format(connection="broker", queue=lacking)).json()
    assert (known["available"], unknown["available"]) == (True, False)
    assert schema.is_valid(known)
    assert schema.is_valid(unknown)
    for told_of, flag in ((known, False), (unknown, True)):
        assert not schema.is_valid({**told_of, "available": flag})
    parts = {"statistics", "trend", "forecast", "efficiency", "resource_usage"} & set(known)
    for part in parts - {name for name in known if known[name] is None}:
        assert not schema.is_valid({name: value for name, value in known.items() if name != part}), part
        assert not schema.is_valid({**known, part: None}), part
        assert not schema.is_valid({**unknown, part: known[part]}), part
    assert not schema.is_valid({**unknown, "message": None})
    assert {"statistics"} <= parts


# Schemas of types


class Inner(TypedDict):
    """Within."""

    word: Literal["a", "b"]
    more: NotRequired[int]


@dataclass(frozen=True)
class Outer:
    """Around."""

    inner: Inner | None
    sure: Literal[True]
    statuses: dict[Status, int]
    pairs: tuple[tuple[str, float | None], ...]


def test_types_become_schemas() -> None:
    schemas = Schemas()
    assert schemas.of(Outer) == {"$ref": "#/components/schemas/Outer"}
    assert schemas.named["Inner"] == {
        "type": "object",
        "description": "Within.",
        "properties": {"word": {"type": "string", "enum": ["a", "b"]}, "more": {"type": "integer"}},
        "required": ["word"],
        "additionalProperties": False,
    }
    words = [status.value for status in Status]
    assert schemas.named["Outer"]["properties"] == {
        "inner": {"oneOf": [{"$ref": "#/components/schemas/Inner"}, {"type": "null"}]},
        "sure": {"type": "boolean", "const": True},
        "statuses": {
            "type": "object",
            "properties": {word: {"type": "integer"} for word in words},
            "required": words,
            "additionalProperties": False,
        },
        "pairs": {
            "type": "array",
            "items": {
                "type": "array",
                "prefixItems": [{"type": "string"}, {"type": ["number", "null"]}],
                "minItems": 2,
                "maxItems": 2,
            },
        },
    }
    with pytest.raises(TypeError, match="no JSON Schema"):
        schemas.of(object)


# Paths with names in them


def route(path: str) -> Route:
    return Route(path, "", Text("text/plain"), lambda call: None)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/queues/all", ("/queues/all", {})),
        ("/queues/a/b", ("/queues/{connection}/{queue}", {"connection": "a", "queue": "b"})),
        ("/queues/a%2Fb/c%3Ad%25", ("/queues/{connection}/{queue}", {"connection": "a/b", "queue": "c:d%"})),
        ("/queues/%C3%A4/%7B", ("/queues/{connection}/{queue}", {"connection": "ä", "queue": "{"})),
        ("/queues/a/b/depth", ("/queues/{connection}/{queue}/depth", {"connection": "a", "queue": "b"})),
        ("/queues/{connection}/{queue}", ("/queues/{connection}/{queue}", {"connection": "{connection}", "queue": "{queue}"})),
        ("/queues/a", None),
        ("/queues/a/", None),
        ("/queues//b", None),
        ("/queues/a/%ff", None),
        ("/queues/a/" + "x" * 2049, None),
        ("queues/all", None),
    ],
)
def test_a_path_finds_its_route(path: str, found: tuple[str, dict[str, str]] | None) -> None:
    table = Table(map(route, ("/queues/{connection}/{queue}", "/queues/{connection}/{queue}/depth", "/queues/all")))
    got = table.find(path)
    assert (None if got is None else (got[0].path, got[1])) == found


def test_it_is_made_once_and_its_page_once_for_each_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are open to everybody, and to make them holds up all others."""
    app, made = app_of(small_fleet(), token=TOKEN), Counter[str]()

    def counting(name: str, make: Any) -> Any:
        return lambda *arguments: made.update([name]) or make(*arguments)

    monkeypatch.setattr("queue_metrics.http.openapi.document", counting("document", openapi.document))
    monkeypatch.setattr("queue_metrics.http.reference.render", counting("page", reference.render))
    for _ in range(3):
        assert ask(app, "/openapi.json", method="HEAD").body == b""
        assert ask(app, "/openapi.json").json()["openapi"] == "3.1.0"
        for root in ("", "/jobs"):
            assert f'href="{root}/openapi.json"' in ask(app, f"{root}/docs", root=root).text
    assert made == {"document": 1, "page": 2}
