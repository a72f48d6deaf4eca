"""Where numbers stand in a stored value: the tables of docs/stored-values.md as names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from queue_metrics.model import Discard, Outcome

STARTED: Final = 0
OUTCOMES: Final[Mapping[Outcome, int]] = MappingProxyType(
    {
        Outcome.SUCCEEDED: 1,
        Outcome.FAILED: 2,
        Outcome.RETRIED: 3,
        Outcome.TIMED_OUT: 4,
        Outcome.CANCELLED: 5,
        Outcome.LOST: 6,
    }
)
ARRIVALS: Final = 7
RETRIES_FOLLOWING: Final = 8
RESULT_ERRORS: Final = 9
CLOCK_SKEWS: Final = 10
DISCARDED: Final[Mapping[Discard, int]] = MappingProxyType(
    {Discard.REVOKED: 11, Discard.EXPIRED: 12, Discard.REJECTED: 13, Discard.SKIPPED: 14, Discard.UNKNOWN: 15}
)
RUNTIME_BOUNDS: Final = 32
"""Counter of the runtimes at or below the first bound; the last, above all bounds, stands len(BOUNDS_SECONDS) further."""
WAIT_BOUNDS: Final = 64

BOUNDS_SECONDS: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
    *(300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0),
)

RUNTIME, WAIT, CPU, MEMORY_PEAK, MEMORY_CHANGE = range(5)
"""Measures, and sketches."""

READY, RESERVED, SCHEDULED, RUNNING, AGE, DUE = GAUGES = range(6)
"""Gauges of a queue."""

MICROSECONDS: Final = 1_000_000
"""Times are stored in µs."""
