"""What an installation of this package with some extras brings, by the metadata of what is installed here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
OURS = "job-queue-metrics"


def brought(extras: Iterable[str]) -> set[str]:
    """Names of distributions: what `pyproject.toml` asks for, what that needs, and so on."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    left = [*declared["dependencies"], *(each for extra in extras for each in declared["optional-dependencies"][extra])]
    found: set[tuple[str, str]] = set()
    while left:
        wanted = Requirement(left.pop())
        name = canonicalize_name(wanted.name)
        for extra in ("", *wanted.extras):
            if (name, extra) in found:
                continue
            found.add((name, extra))
            if name == OURS:
                left += declared["optional-dependencies"].get(extra, ())
                continue
            for text in requires(name) or ():
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    left.append(text)
    return {name for name, _ in found}


def not_brought(extras: Iterable[str]) -> set[str]:
    """Top-level modules that are installed here, and would not be there with these extras alone."""
    there = brought(extras) | {OURS, "pip", "setuptools"}
    return {
        module
        for module, distributions in packages_distributions().items()
        if module.isidentifier() and not any(canonicalize_name(each) in there for each in distributions)
    }
