"""The tests of the Rust packages hold: run beside those of Python, with which they share no file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("queue-metrics-core", "queue-metrics-model", "queue-metrics-fuzz")

pytestmark = pytest.mark.long


@pytest.mark.timeout(1800)  # a first build beside other work takes minutes
def test_the_rust_packages_do_what_their_tests_say() -> None:
    cargo = (sys.executable, ROOT / "tools" / "toolchain.py")
    packages = [f"--package={name}" for name in PACKAGES]
    ran = subprocess.run([*cargo, "test", "--locked", "--quiet", *packages], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{ran.stdout[-10_000:]}\n{ran.stderr[-10_000:]}"
