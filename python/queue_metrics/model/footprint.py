"""What the numbers take in a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the numbers take in a store."""

    store: str
    """Its URL, without a password."""
    driver: str
    version: str | None
    """Of the database: its name and version, as it tells them."""
    bytes: int
    """All of our data, as exactly as the database tells."""
    series: Mapping[str, int]
    """How many series of each kind there are: task, queue, exception, server_task, server."""
    asked_at: float
    """When the store was asked, seconds since 1970: nothing here is older."""
    points: Mapping[str, int] | None
    """How many points are kept of each kind, those that expired and were not removed yet among them; None: the store cannot count them."""
