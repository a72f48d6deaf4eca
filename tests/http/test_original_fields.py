"""Every field of the original's endpoints: none may stay constant over random fleets, and none may be missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from queue_metrics.http.routes import Text
from tests.http.asking import ROUTES, ask
from tests.http.counted import (
    SEEDS,
    told,
    world,
)
from tests.http.test_openapi import schema_of


@pytest.fixture(params=SEEDS, scope="module")
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


# No field may stay constant, none may be missing

FAMILY = [path for path, route in ROUTES.items() if route.family == "original" and not isinstance(route.reply, Text)]
ASKED = [*FAMILY, "/overview?full=1", "/server?hostname=web-10", "/server/health?hostname=web-10"]
CONSTANT = {
    "time": ("calculated_at", "timestamp", "window_start", "window_end", "analyzed_at"),  # of the moment of reading, one for all fleets
    "names": ("connection", "queue", "job_class", "driver", "hostname", "package_version", "framework_version", "storage_driver"),
    "windows": ("window_seconds", "period_seconds", "sample_interval_seconds", "sample_count", "data_points", "threshold_seconds"),
    "said when not available": ("available", "error", "message"),
}
ALWAYS = {name for names in CONSTANT.values() for name in names}
SOMETIMES = {"message", "error", "server_resources", "statistics", "trend", "forecast", "efficiency", "resource_usage", "confidence"}
VERDICT = "verdict"
"""Ours; `tests/insights` moves each of its fields."""


def leaves(answer: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Each number or word by the names that lead to it; entries of lists and keyed listings are alike."""
    if isinstance(answer, dict):
        keyed = place.endswith((".data", ".jobs", ".queues", ".servers", ".baselines", ".queue_depth")) and not {
            "summary",
            "workers",
        } & set(answer)
        for name, value in answer.items():
            fields = isinstance(value, dict) and keyed and not name.isidentifier()
            yield from leaves(value, f"{place}.*" if fields or name.startswith(("app.", "web-")) else f"{place}.{name}")
    elif isinstance(answer, list):
        for value in answer:
            yield from leaves(value, f"{place}[]")
    else:
        yield place, answer


def test_no_field_stays_constant() -> None:
    """L14: fields that nobody filled were always 0, and no test saw it."""
    seen: dict[str, set[Any]] = {}
    for seed in SEEDS:
        for path in ASKED:
            for place, value in leaves(told(seed, path), path.partition("?")[0]):
                seen.setdefault(place, set()).add(value)
    constant = []
    for place, values in seen.items():
        name = place.rpartition(".")[2].strip("[]")
        nothing_here = values == {None} and any(each.startswith(f"{place}.") for each in seen)  # an object elsewhere
        if len(values) < 2 and name not in ALWAYS and VERDICT not in place and not nothing_here:
            constant.append(place)
    assert len(seen) > 300
    assert constant == []


@pytest.mark.parametrize("path", ASKED)
def test_an_answer_without_a_field_is_off_schema(path: str) -> None:
    """Every field that is always there is required: one that is taken away is missed."""
    interface = ask(world(0)[2], "/openapi.json").json()
    schema = schema_of(interface, path.partition("?")[0], "200", "application/json")
    answer = told(0, path)
    jsonschema.validate(answer, schema)
    checker = jsonschema.Draft202012Validator(schema)
    for holder, name in list(objects(answer))[:60]:
        value = holder.pop(name)
        optional = name in SOMETIMES
        optional = optional or (holder.get("available") is True and name in ("cpu", "memory", "disk", "network"))
        assert optional or not checker.is_valid(answer), name
        holder[name] = value


def objects(answer: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Each field with the object that holds it; not the entries of listings, any number of which may be there."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name.isidentifier() or name[0].isdigit():
                yield answer, name
            yield from objects(value)
    elif isinstance(answer, list):
        for value in answer:
            yield from objects(value)
