"""Lines and columns for a terminal: colour only where it is wanted, names from outside made harmless, nothing wider than the screen."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TextIO

from queue_metrics.insights.wording import name
from queue_metrics.model import Status

_CODES = {"ok": "32", "warning": "33", "critical": "31;1", "soft": "2", "strong": "1", "plain": ""}

STYLES: Mapping[Status, str] = MappingProxyType(
    {Status.HEALTHY: "ok", Status.WARNING: "warning", Status.CRITICAL: "critical", Status.UNKNOWN: "soft"}
)
SIGNS: Mapping[Status, str] = MappingProxyType({Status.HEALTHY: "✓", Status.WARNING: "!", Status.CRITICAL: "✗", Status.UNKNOWN: "?"})

_GAPS = re.compile(r" (?!(?:[µm]?s|min|h|d|[KMGT]?i?B|%|/)(?:[ ,;.)]|$))")
"""Where a line may end: not between a number and its unit."""

_ROOM_OF_NAMES = 24
"""Columns that names have before a column of numbers is left out."""


class Screen:
    """Where a command prints."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self.width, self.height = shutil.get_terminal_size((100, 24))
        self.printed = 0
        """Lines so far."""
        # https://no-color.org: any value that is not empty
        self._coloured = self._stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def line(self, text: str = "", style: str = "plain") -> None:
        """One line; cut at the width of the screen when it is one."""
        if self._stream.isatty():
            text = fitted(text, self.width)
        print(self._styled(text, style), file=self._stream)
        self.printed += 1

    def paragraph(self, text: str, style: str = "plain", *, first: str = "  ", indent: str = "  ", most: int | None = None) -> None:
        """
        A text over as many lines as it needs.

        Args:
            text: without line ends.
            style: of all of it.
            first: in front of the first line.
            indent: in front of the others.
            most: lines; what is beyond is cut.
        """
        lines = _wrapped(text, max(self.width - len(indent), 20))
        if most is not None and len(lines) > most:
            lines = [*lines[: most - 1], fitted(" ".join(lines[most - 1 :]), self.width - len(indent))]
        for number, line in enumerate(lines):
            self.line((indent if number else first) + line, style)

    def fields(self, pairs: Sequence[tuple[str, str]]) -> None:
        """What something is, line by line: names to the left, and beside them texts over as many lines as they need."""
        widest = max((len(name) for name, _ in pairs), default=0)
        for label, text in pairs:
            self.paragraph(text, first=f"  {label:<{widest}}  ", indent=" " * (widest + 4))

    def table(self, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], *, spare: Sequence[str] = ()) -> None:
        """
        Columns under their heads; the first is to the left and gives way when the screen is narrow, the others are to the right.

        Args:
            heads: one per column.
            rows: a style and one text per column.
            spare: heads of columns that are left out, one after the other, where the screen is too narrow for the first.
        """
        widths = [max(_cells(row[at]) for row in (heads, *(texts for _, texts in rows))) for at in range(len(heads))]
        kept = list(range(len(heads)))
        for head in spare:
            if min(widths[0], _ROOM_OF_NAMES) + sum(widths[at] + 2 for at in kept[1:]) + 2 <= self.width:
                break
            kept.remove(list(heads).index(head))
        widths[0] = max(min(widths[0], self.width - sum(widths[at] + 2 for at in kept[1:]) - 2), 12)
        for style, texts in (("soft", heads), *rows):
            first = shortened(texts[0], widths[0])
            cells = [" " * (widths[at] - _cells(texts[at])) + texts[at] for at in kept[1:]]
            self.line("  " + first + " " * (widths[0] - _cells(first)) + "".join(f"  {cell}" for cell in cells), style)

    def listing(self, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]], total: int, *, spare: Sequence[str] = ()) -> None:
        """A table of the first rows of so many: its first head says when these are not all."""
        first = heads[0] if total <= len(rows) else f"{heads[0]}, {len(rows)} of {total}"
        self.table([first, *heads[1:]], rows, spare=spare)

    def _styled(self, text: str, style: str) -> str:
        code = _CODES[style]
        return f"\x1b[{code}m{text}\x1b[0m" if self._coloured and code else text


def fitted(text: str, width: int) -> str:
    """A text that takes at most so many columns."""
    if _cells(text) <= width:
        return text
    shown, used = [], 0
    for letter in text:
        used += _cells(letter)
        if used > width - 1:
            break
        shown.append(letter)
    return "".join(shown) + "…"


def shortened(text: str, width: int) -> str:
    """A name that takes at most so many columns; its middle gives way, since names often differ at their end."""
    if _cells(text) <= width:
        return text
    behind = fitted(text[::-1], (width + 1) // 2).removesuffix("…")[::-1]
    return fitted(text, width - _cells(behind)) + behind


def shown(text: str) -> str:
    """A name from outside: escape sequences in it reach no terminal."""
    return name(text, 120) or "(empty)"


def placed(*names: str | None) -> str:
    """Names from the narrowest place to the widest, each once: a connection is often called as its only queue."""
    return " · ".join(dict.fromkeys(shown(each) for each in names if each is not None))


def _cells(text: str) -> int:
    """Columns that a text takes: two for wide letters, none for those that join the one before."""
    return sum(0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


@contextlib.contextmanager
def progress(*, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """What to tell what is being done: a line on stderr that is gone at the end, and nothing where nobody looks at it."""
    shows = sys.stderr.isatty() and not quiet

    def say(text: str) -> None:
        if shows:
            print(f"\r\x1b[K{text} ...", end="", file=sys.stderr, flush=True)

    try:
        yield say
    finally:
        if shows:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of whole words; a word that is longer than a line is cut into several."""
    lines, line = [], ""
    for word in _GAPS.split(text):
        longer = f"{line} {word}" if line else word
        if _cells(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while _cells(line) > width:
            head = fitted(line, width + 1).removesuffix("…")
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line]


def rows_that_fit(wanted: Sequence[int], space: int) -> list[int]:
    """
    How many rows each of some tables may have, so that all of them fit: each in turn gets one.

    Args:
        wanted: rows that each table has.
        space: lines for all of them; a table that is shown takes two more, for a gap and its heads.
    """
    given = [0] * len(wanted)
    while True:
        before = sum(given)
        for at, rows in enumerate(wanted):
            cost = 1 if given[at] else 3
            if given[at] < rows and cost <= space:
                given[at] += 1
                space -= cost
        if sum(given) == before:
            return given


def spark(values: Sequence[float], width: int) -> str:
    """A curve of one line, from the least to the greatest value; of several that share a column the greatest."""
    columns = min(len(values), max(width, 1))
    tops = [max(values[at * len(values) // columns : (at + 1) * len(values) // columns]) for at in range(columns)]
    low, high = min(tops, default=0.0), max(tops, default=0.0)
    bars = "▁▂▃▄▅▆▇█"
    return "".join(bars[0 if high == low else round((top - low) / (high - low) * (len(bars) - 1))] for top in tops)
