"""Numbers and names as people read them, the same on page and terminal."""

from __future__ import annotations

import time
import unicodedata

from queue_metrics.model import Window

UNKNOWN = "–"
"""Not known: an en dash, which does not look like a minus."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def duration(seconds: float | None) -> str:
    """12.3 ms, 4.56 s, 3 min 12 s, 2 h 05 min, 3 d 4 h."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds == 0:
        return "0 s"
    if seconds < 0.9995e-3:
        return f"{_digits(seconds * 1e6)} µs"
    if seconds < 0.9995:
        return f"{_digits(seconds * 1e3)} ms"
    if seconds < 99.5:
        return f"{seconds:.0f} s" if seconds == int(seconds) else f"{_digits(seconds)} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def ago(seconds: float | None) -> str:
    """12 s ago; what is younger than a second is just now."""
    if seconds is None:
        return UNKNOWN
    return "just now" if seconds < 1 else f"{duration(float(int(seconds)))} ago"


def size(number: float | None) -> str:
    """512 B, 34.1 MiB; with a sign where below 0."""
    if number is None:
        return UNKNOWN
    sign, number = ("-" if number < 0 else ""), abs(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1023.5:
            return f"{sign}{round(number) if unit == 'B' else _digits(number)} {unit}"
        number /= 1024
    return f"{sign}{_digits(number)} TiB"


def count(number: int | None) -> str:
    """1,234; 1.23 M from a million on."""
    if number is None:
        return UNKNOWN
    if abs(number) < 1_000_000:
        return f"{number:,}"
    return f"{_digits(number / 1e6)} M" if abs(number) < 1_000_000_000 else f"{_digits(number / 1e9)} G"


def ratio(value: float | None) -> str:
    """12.3 %; what is not quite nothing or all never reads 0 % or 100 %."""
    if value is None:
        return UNKNOWN
    percent = value * 100
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent in (0, 100) else f"{percent:.1f} %"


def per_minute(per_second: float | None) -> str:
    """12.3 / min."""
    return UNKNOWN if per_second is None else f"{_digits(per_second * 60)} / min"


def stretch(window: Window) -> str:
    """The time that rates are about: last 59 min 30 s; last 3 min 12 s, nothing recorded before."""
    seconds = window.observed_seconds
    if seconds is None:
        return f"last {duration(window.seconds)}, nothing recorded"
    whole = f"last {duration(float(round(seconds)))}"
    return whole if window.observed_from == window.start else f"{whole}, nothing recorded before"


def moment(seconds: float) -> str:
    """2026-01-31 12:03:44 UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def name(text: str, longest: int = 80) -> str:
    """A name from outside, safe for one line of a page or terminal: no control characters, no newlines, not endless."""
    shown = "".join(_visible(letter) for letter in text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _visible(letter: str) -> str:
    code = ord(letter)
    if code < 0x20:
        return chr(0x2400 + code)  # the control pictures: a newline shows as one sign
    if code == 0x7F:
        return "\u2421"
    # Other control and format characters, among them those that turn the direction of what follows; lone surrogates.
    return "\ufffd" if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") else letter


def _digits(number: float) -> str:
    """Three significant digits; nothing is 0."""
    if number == 0:
        return "0"
    if abs(number) >= 99.95:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 9.995 else f"{number:.2f}"
