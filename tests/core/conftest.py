"""Both ways of appending: the important tests of the write side run with each."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["write", "map"])
def way(request: pytest.FixtureRequest) -> str:
    """The way of appending that a recorder is to use."""
    name: str = request.param
    return name
