"""Runs a test of the core with many times its size, over code that is optimised as that of users."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL = (sys.executable, ROOT / "tools" / "toolchain.py")
TEST = ("test", "--locked", "--quiet", "--profile", "fuzz", "--package", "queue-metrics-core")


def run(test: str, scale: float) -> subprocess.CompletedProcess[str]:
    """What `rust/core/tests/<test>` says at so many times the size that it has in the suite."""
    return subprocess.run(
        [*TOOL, *TEST, "--test", test, "--", "--nocapture"],
        cwd=ROOT,
        env=os.environ | {"QM_TEST_SCALE": f"{scale:g}"},
        capture_output=True,
        text=True,
        check=False,
    )


def told(ran: subprocess.CompletedProcess[str]) -> str:
    """The end of what it said, if it failed."""
    return (ran.stdout + ran.stderr)[-2_000:] if ran.returncode else ""
