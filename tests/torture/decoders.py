"""Any bytes for the decoders (`rust/fuzz`) for minutes, guided by coverage under the address sanitizer where that can be built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.flow.checks import Claim
from tests.fuzz.fuzzing import DECODERS, guided

SECONDS = 120.0
"""Of all decoders at once, where there are ten minutes."""


def fuzz(seconds: float, seed: int, directory: Path) -> dict[str, Any]:
    """The inputs of each decoder; those that broke a promise stay in the directory."""
    runner = guided()
    found = runner.run(directory, seconds, seed)
    claims = [
        Claim(f"{one.target} keeps its promises ({runner}, seed {seed})", one.broken, not one.broken and one.inputs > 10) for one in found
    ]
    claims.append(Claim("every decoder was asked", f"{runner.targets()}", {one.target for one in found} == DECODERS))
    return {"answer": {f"{one.target} inputs": one.inputs for one in found}, "claims": claims}
