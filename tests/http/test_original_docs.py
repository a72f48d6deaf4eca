"""The table "original -> ours" against the interface: each endpoint and each field of each object stands in it, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from queue_metrics.http.original.index import ENDPOINTS
from queue_metrics.http.routes import Text
from tests.http.asking import ROUTES, app_of, ask
from tests.test_docs import named

PAGE = (Path(__file__).parents[2] / "docs" / "original.md").read_text()
ENVELOPES = ("Reply", "OfQueue", "OriginalAllWorkers", "OriginalWorkersAndTrend", "OriginalEndpoint", "OriginalTotal")
"""Objects that hold others and nothing of their own, or are part of one that stands in the table."""
PARTS = {"OriginalServerWorkers", "OriginalJobProcessing"}


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return dict(ask(app_of(), "/openapi.json").json()["components"]["schemas"])


def rows(width: int) -> list[list[str]]:
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| `")]
    return [row for row in found if row[0].startswith("`/") == (width == 2)]


def test_every_endpoint_of_the_original_is_in_the_table_and_in_the_index() -> None:
    paths = [path for each in ENDPOINTS.values() for path, *_ in ([each] if isinstance(each, tuple) else each.values())]
    family = {path for path, route in ROUTES.items() if route.family == "original"} | {"/", "/health"}
    assert set(paths) == family
    assert {named(row[0])[0] for row in rows(2)} == family
    assert len(family) == 21


def test_the_table_names_the_reply_of_each_endpoint() -> None:
    for row in rows(2):
        (path,) = named(row[0])
        if isinstance(ROUTES[path].reply, Text):
            continue
        reply = ROUTES[path].reply
        kinds = getattr(reply, "__args__", (reply,))
        expected = reply.media_type.partition(";")[0] if isinstance(reply, Text) else kinds[0].__name__
        assert next(word.strip(",") for word in named(row[1])) == expected, path


def test_every_field_of_every_object_is_in_the_table(schemas: dict[str, Any]) -> None:
    told: dict[str, list[str]] = {}
    for row in rows(3):
        told.setdefault(named(row[0])[0], []).extend(named(row[1]))
    ours = {name: shape for name, shape in schemas.items() if name.startswith("Original")}
    inherited = set(told.get("OriginalHeartbeat", ()))
    for name, shape in ours.items():
        if name in PARTS or (name.endswith(ENVELOPES) and name != "OriginalClassOfQueue"):
            continue
        fields = set(shape["properties"]) - (inherited if name == "OriginalHeartbeatWithResources" else set())
        assert sorted(told.get(name, ())) == sorted(fields), name
    assert set(told) <= set(ours), "the table has an object that is none"


def test_every_endpoint_of_the_index_answers() -> None:
    index = ask(app_of(), "/", root="/jobs-of-mine").json()
    assert index["endpoints"]["queues"]["all"] == {
        "url": "/jobs-of-mine/queues/all",
        "method": "GET",
        "description": "every known queue in full",
    }
