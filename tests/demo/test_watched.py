"""Three real minutes of demo, with Celery and a server of its own; `make torture` has the one with Huey as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.watched import SECONDS, Watched
from tests.flow.checks import broken
from tests.support.servers import binary

pytestmark = pytest.mark.long


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    binary("redis-server")
    running = Watched(tmp_path / "run", "celery")
    yield running
    running.end()


def test_after_three_minutes_each_trend_is_available_and_no_surface_misses_a_collector(watched: Watched) -> None:
    found = watched.answer()
    assert broken(found["claims"]) == []
    assert found["answer"]["seconds"] >= SECONDS
    assert found["answer"]["trends"] > 10
