"""The demo that is watched for three minutes begins before the first test of the demo and is asked after all others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.watched import Watched
from tests.support.servers import binary

LAST = Path(__file__).with_name("test_watched.py")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have the questions come last, of all folders."""
    items.sort(key=lambda item: item.path == LAST)


@pytest.fixture(scope="session", autouse=True)
def watched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched | None]:
    """A demo that runs beside the tests; None when nobody is going to ask."""
    if not any(item.path == LAST for item in request.session.items):
        yield None
        return
    binary("redis-server")
    running = Watched(tmp_path_factory.mktemp("watched") / "run", "celery")
    yield running
    running.end()
