"""Options that stand for a setting, whose kind and default are said at its declaration and only there; and whole numbers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from queue_metrics.config.settings import DECLARATIONS


def checked(name: str) -> Callable[[str], Any]:
    """The `type=` of an option for a setting: as in an environment variable."""

    declared = DECLARATIONS[name]

    def check(text: str) -> Any:
        try:
            return declared.kind.check(text, True)
        except ValueError as error:
            given = "" if declared.secret else f", not {text!r}"
            raise argparse.ArgumentTypeError(f"must be {error}{given}") from None

    return check


def default(name: str) -> Any:
    """What a setting is where nobody says anything."""
    return DECLARATIONS[name].default


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """The `type=` of an option for a whole number between two bounds."""

    def check(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}")
        return int(text)

    return check
