"""Both ways of appending: the important tests of the write side run with each."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(params=["write", "map"])
def way(request: pytest.FixtureRequest) -> str:
    """The way of appending that a recorder is to use."""
    name: str = request.param
    return name


collect_ignore = [] if os.geteuid() == 0 else ["test_planted.py", "test_shared_spool.py"]
"""Tests that take other users' places, which only root may."""
