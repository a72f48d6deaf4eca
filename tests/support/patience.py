"""How long tests wait for what must come."""

from __future__ import annotations

PATIENCE = 240.0
"""
Seconds until a test gives up: a guard against hangs, no measure of anything. What takes a second on a machine of its own takes a minute
on one that is busy, so a bound near the expected time fails for no fault. Less than the guard of pytest, which cannot say what was missing.
"""
