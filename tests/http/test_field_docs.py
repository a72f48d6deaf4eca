"""Every field of every reply is named on its page, and the table of objects has neither more nor less than the interface."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.http.asking import app_of, ask
from tests.test_docs import named, table

DOCS = Path(__file__).parents[2] / "docs"
PAGE, ORIGINAL = (DOCS / "http.md").read_text(), (DOCS / "original.md").read_text()


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return dict(ask(app_of(), "/openapi.json").json()["components"]["schemas"])


def ours(schemas: dict[str, Any]) -> dict[str, set[str]]:
    """The fields of our own objects; those of the original stand on their own page, OpenAPI and JSON Schema are told elsewhere."""
    theirs, left = {"IndexParameter"}, {"InterfaceReply"}
    while left:
        one = left.pop()
        theirs.add(one)
        left |= set(re.findall(r"#/components/schemas/(\w+)", json.dumps(schemas[one]))) - theirs
    return {
        name: set(shape.get("properties", ())) for name, shape in schemas.items() if name not in theirs and not name.startswith("Original")
    }


def words(page: str) -> set[str]:
    """All that is set as code within a line."""
    return set(re.findall(r"\w+", " ".join(named(re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)))))


def test_every_field_of_a_reply_is_named_on_its_page(schemas: dict[str, Any]) -> None:
    original = {name: set(shape["properties"]) for name, shape in schemas.items() if name.startswith("Original")}
    for objects, page in ((ours(schemas), PAGE), (original, ORIGINAL)):
        told = words(page)
        assert {name: fields - told for name, fields in objects.items() if fields - told} == {}
        assert len(objects) > 40


def test_the_table_of_objects_has_each_with_all_its_fields(schemas: dict[str, Any]) -> None:
    rows = {name: set(named(row[1])) for row in table(PAGE, "object") for name in named(row[0])}
    assert len(rows) > 15
    assert rows == {name: fields for name, fields in ours(schemas).items() if name in rows}
