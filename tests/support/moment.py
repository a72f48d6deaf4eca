"""The moment of a run of the tests, the same in all its processes, so that they call a test that is named for a time alike."""

from __future__ import annotations

import os
import time

MOMENT = int(os.environ.setdefault("QM_TESTS_NOW", str(int(time.time()))))
"""Seconds since 1970; processes that are started after it was read have it by their environment."""
