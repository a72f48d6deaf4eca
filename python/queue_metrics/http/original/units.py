"""The units of the original: milliseconds, megabytes, percent and ISO 8601, to two decimals. Unknown stays None."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import overload

_MEBIBYTE, _GIBIBYTE = 1 << 20, 1 << 30
_LAST_MOMENT = 253_402_300_799
"""The last second of the year 9999; a clock that says more is broken."""


@overload
def rounded(number: float) -> float: ...
@overload
def rounded(number: float | None) -> float | None: ...
def rounded(number: float | None) -> float | None:
    """To two decimals."""
    return None if number is None else round(number, 2)


def milliseconds(seconds: float | None) -> float | None:
    """Of seconds."""
    return None if seconds is None else round(seconds * 1000, 2)


def megabytes(size: float | None) -> float | None:
    """Of bytes, as the original counts them: 1,048,576 each."""
    return None if size is None else round(size / _MEBIBYTE, 2) + 0.0  # no minus before a zero


def gigabytes(size: float | None) -> float | None:
    """Of bytes: 1,073,741,824 each."""
    return None if size is None else round(size / _GIBIBYTE, 2)


def percent(ratio: float | None) -> float | None:
    """Of a ratio from 0 to 1."""
    return None if ratio is None else round(ratio * 100, 2)


def per_minute(per_second: float | None) -> float | None:
    """Of a rate per second."""
    return None if per_second is None else round(per_second * 60, 2)


def iso(moment: float) -> str:
    """A moment of ours, seconds since 1970."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def iso_if_known(moment: float | None) -> str | None:
    """The same of a moment that may not be known, or may be of a clock that is broken."""
    known = moment is not None and math.isfinite(moment) and 0 <= moment <= _LAST_MOMENT
    return iso(moment) if known and moment is not None else None


def key(*names: str) -> str:
    """
    Names joined by colons, as the keys of the original's listings.

    A colon or percent sign in a name is encoded as in a URL, so that no two keys are the same; entries hold their names themselves.
    """
    return ":".join(name.replace("%", "%25").replace(":", "%3A") for name in names)
