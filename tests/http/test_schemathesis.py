"""schemathesis against a real server: whatever it thinks of, no error of the server, and no answer off its schema."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from queue_metrics.http import asgi_app
from queue_metrics.http.app import Application
from queue_metrics.http.server import BackgroundServer, bound
from tests.http.asking import ROUTES, app_of, hostile_fleet
from tests.http.invented import invent
from tests.support.fleet import NOW

pytestmark = pytest.mark.long

EXAMPLES = max(2, round(3 * float(os.environ.get("QM_TEST_SCALE", "1"))))
"""For each operation and each way of making requests: right ones and wrong ones."""
SEED = int(os.environ.get("QM_TEST_SEED", "0"))
"""The same requests each time, unless told otherwise, as torture does."""

RANGES = {path for path, route in ROUTES.items() if any(each.name == "start" for each in route.parameters)}
"""Which of their parameters go together, and in which order, the interface cannot tell: a right one may be refused beside another."""
TOGETHER = {"start", "end", "minutes", "period"}
NAMED = {"/v1/series", "/v1/worker-summary"}
"""Which names one asks for depends on the kind of series, and on whose workers are meant."""
EXCLUDED: dict[str, list[Any]] = {
    **{path: [positive_data_acceptance] for path in RANGES},
    # 503 is what it says of a fleet that is critical, as its description tells; no other error of a server is.
    "/health": [not_a_server_error],
}


def invented_app() -> Application:
    return asgi_app(invent(1)[1], now=lambda: NOW)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("make", [invented_app, lambda: app_of(hostile_fleet()), app_of], ids=["invented", "hostile", "empty"])
def test_no_request_breaks_it_and_every_answer_is_as_told(make: Any, mode: GenerationMode) -> None:
    asked = []
    with BackgroundServer(make(), bound("127.0.0.1", 0)) as server:
        schema = schemathesis.openapi.from_url(f"{server.url}openapi.json")
        operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
        for operation in operations:

            @hypothesis.settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck))
            @hypothesis.seed(SEED)
            @hypothesis.given(operation.as_strategy(generation_mode=mode))
            def ask_so(case: Case) -> None:
                asked.append(case.operation.path)
                answer = case.call_and_validate(excluded_checks=EXCLUDED.get(case.operation.path, []))
                path = case.operation.path
                assert answer.status_code < 500 or (path, answer.status_code) == ("/health", 503)
                if mode is GenerationMode.POSITIVE and answer.status_code == 422 and path not in NAMED:
                    assert (path in RANGES, answer.json()["parameter"] in TOGETHER) == (True, True), answer.json()

            with suppress(hypothesis.errors.Unsatisfiable):  # an operation without a parameter has no wrong one
                ask_so()
    told = {operation.path for operation in operations}
    assert len(told) >= 40
    assert set(asked) == told if mode is GenerationMode.POSITIVE else len(set(asked)) > 20
