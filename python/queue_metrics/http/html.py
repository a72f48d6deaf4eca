"""HTML made of parts that escape by themselves: only what this module built is markup, all other text is text."""

from __future__ import annotations

import re
from html import escape
from typing import Final

from queue_metrics.insights.wording import name as readable

LONGEST_TITLE: Final = 1000
"""Characters of a name in a tooltip; the API has all of it."""
_VOID = frozenset({"meta", "link", "use", "wbr"})
_SEPARATORS = re.compile(r"(?<=[._/:,-])(?=\w)")
"""Where a name may be broken: behind these, and only else in the middle of a word."""

_CODE = re.compile(r"`([^`]+)`")
_UNITS = re.compile(r"(?<=\d) (?=(?:[µm]?s|min|h|d|[KMGT]?i?B|%)(?:[ ,;.)]|$))")


class Html(str):
    """Markup. Made by `tag` and `join` only; never from a name."""

    __slots__ = ()


def tag(kind: str, /, *children: str | None, **attributes: str | int | None) -> Html:
    """
    An element.

    Args:
        kind: its name.
        *children: markup stays, text is escaped, None is left out.
        **attributes: `class_` is class, other `_` are `-`; None is left out.
    """
    head = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_printable(str(value)))}"' for key, value in attributes.items() if value is not None
    )
    if kind in _VOID:
        return Html(f"<{kind}{head}>")
    return Html(f"<{kind}{head}>{join(*children)}</{kind}>")


def join(*children: str | None) -> Html:
    """Elements and texts one behind the other."""
    return Html("".join(each if isinstance(each, Html) else escape(_printable(each)) for each in children if each is not None))


def prose(text: str) -> Html:
    """A sentence of ours: what stands between backticks is set as code, and no line ends between a number and its unit."""
    kept = _UNITS.sub("\u00a0", text)
    return join(*(tag("code", part) if place % 2 else part for place, part in enumerate(_CODE.split(kept))))


def named(text: str, **attributes: str | int | None) -> Html:
    """A name from outside: on its own for the direction of text, cut where it is endless, whole in the tooltip."""
    shown = readable(text, 160)
    title = None if shown == text and len(text) < 24 else readable(text, LONGEST_TITLE)
    parts = _SEPARATORS.split(shown or "(empty)")
    breaks = (each for part in parts for each in (tag("wbr"), part))
    next(breaks)
    return tag("bdi", *breaks, title=title, **attributes)


def icon(symbol: str) -> Html:
    """One of the symbols of the page; always beside its word."""
    return tag("svg", tag("use", href=f"#i-{symbol}"), class_="icon", aria_hidden="true", viewBox="0 0 16 16")


def _printable(text: str) -> str:
    # A NUL has no place in HTML at all, a lone surrogate none in UTF-8.
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
