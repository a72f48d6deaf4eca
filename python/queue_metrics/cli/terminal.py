"""Lines and columns for a terminal: colour only where it is wanted, names from outside made harmless, nothing wider than the screen."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from queue_metrics.insights.wording import name

_CODES = {"ok": "32", "warning": "33", "critical": "31;1", "soft": "2", "strong": "1", "plain": ""}


class Screen:
    """Where a command prints."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self.width = shutil.get_terminal_size((100, 24)).columns
        # https://no-color.org: any value that is not empty
        self._coloured = self._stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def line(self, text: str = "", style: str = "plain") -> None:
        """One line; cut at the width of the screen when it is one."""
        if self._stream.isatty():
            text = fitted(text, self.width)
        print(self._styled(text, style), file=self._stream)

    def table(self, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> None:
        """
        Columns under their heads; the first is to the left and gives way when the screen is narrow, the others are to the right.

        Args:
            heads: one per column.
            rows: a style and one text per column.
        """
        widths = [max(_cells(row[at]) for row in (heads, *(texts for _, texts in rows))) for at in range(len(heads))]
        widths[0] = max(min(widths[0], self.width - sum(widths[1:]) - 2 * len(widths[1:]) - 2), 12)
        for style, texts in (("soft", heads), *rows):
            first = fitted(texts[0], widths[0])
            cells = [" " * (width - _cells(text)) + text for text, width in zip(texts[1:], widths[1:], strict=True)]
            self.line("  " + first + " " * (widths[0] - _cells(first)) + "".join(f"  {cell}" for cell in cells), style)

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


def shown(text: str) -> str:
    """A name from outside: escape sequences in it reach no terminal."""
    return name(text, 120) or "(empty)"


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
