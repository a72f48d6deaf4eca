"""What all our HTML has around it: head, style, brand."""

from __future__ import annotations

from queue_metrics.http.html import Html, icon, join, tag
from queue_metrics.http.symbols import SYMBOLS


def document(title: str, root: str, refresh: int, body: Html) -> Html:
    """
    A whole document.

    Args:
        title: of the window.
        root: path at which the app is mounted.
        refresh: seconds until it loads itself anew; 0: never.
        body: what it shows, with an element of the id `main`.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("title", title),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="refresh", content=refresh) if refresh else None,
        tag("link", rel="icon", type="image/svg+xml", href=f"{root}/icon.svg"),
        tag("link", rel="stylesheet", href=f"{root}/style.css"),
    )
    skip = tag("a", "To the numbers", href="#main", class_="skip")
    return join(Html("<!doctype html>"), tag("html", head, tag("body", skip, SYMBOLS, body), lang="en"))


def brand(root: str) -> Html:
    """The name in the head, which leads to the page."""
    return tag("a", icon("brand"), tag("span", "queue", tag("b", "metrics")), href=f"{root}/", class_="brand", aria_label="queue-metrics")
