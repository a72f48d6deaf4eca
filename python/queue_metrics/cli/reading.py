"""What the commands that read a store have in common: their options, the open store, the one JSON value. Knows no answer."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NoReturn

from queue_metrics.cli.options import whole_number
from queue_metrics.cli.terminal import Screen
from queue_metrics.config import load_settings
from queue_metrics.insights import Metrics
from queue_metrics.insights.window import MINUTES_MAX, Asked, span_of
from queue_metrics.model import CollectorAnswer
from queue_metrics.storage.manager import open_store


def add_store_options(parser: argparse.ArgumentParser, json_value: str) -> None:
    """
    Add the options of every command that reads.

    Args:
        parser: of the command.
        json_value: what `--json` prints.
    """
    parser.add_argument("--store", metavar="URL", help="the store; default: as configured")
    parser.add_argument("--json", action="store_true", help=f"print {json_value} as JSON and nothing else")
    parser.set_defaults(wrong=parser.error)


def add_window_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a window."""
    parser.add_argument("--minutes", type=whole_number(1, MINUTES_MAX), metavar="N", help="length of a window that ends now (default: 60)")
    add_range_options(parser)


def add_range_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a range alone, where the length of a window has another name."""
    parser.add_argument("--start", type=_moment, metavar="TIME", help="begin of a range: seconds since 1970, or 2026-01-31T12:00 in UTC")
    parser.add_argument("--end", type=_moment, metavar="TIME", help="its end (default: now)")


def window_of(args: argparse.Namespace) -> Asked:
    """The window that was asked for; leaves with a message for one that cannot be."""
    window = Asked()
    if args.minutes is not None:
        window["minutes"] = args.minutes
    if args.start is not None:
        window["start"] = args.start
    if args.end is not None:
        window["end"] = args.end
    try:
        span_of(time.time(), **window)
    except ValueError as error:
        wrong_use(args, str(error))
    return window


def wrong_use(args: argparse.Namespace, message: str) -> NoReturn:
    """Leave as for an option that is not known."""
    args.wrong(message)
    raise AssertionError("argparse has left")


@contextmanager
def open_metrics(args: argparse.Namespace) -> Iterator[Metrics]:
    """The store of the configuration or of `--store`, open for reading."""
    settings = load_settings(store=args.store)
    metrics = Metrics(open_store(settings), stale_seconds=settings.stale_seconds, lost_seconds=settings.lost_seconds)
    try:
        yield metrics
    finally:
        metrics.close()


def tell(
    args: argparse.Namespace,
    collector: CollectorAnswer,
    value: Callable[[], Mapping[str, object] | Sequence[object]],
    show: Callable[[Screen], None],
    *,
    said: str | None = None,
) -> None:
    """
    Print an answer, and that no collector runs where none does: under it, or with `--json` in it.

    Args:
        args: of the command.
        collector: whether one runs.
        value: makes the JSON value. A list has no place for the collector, so there stderr has the sentence.
        show: prints it on a screen.
        said: what `show` prints of the answer's own words: nothing is said twice.
    """
    if args.json:
        told = value()
        print_json({**told, "collector": collector} if isinstance(told, Mapping) else told)
        if not isinstance(told, Mapping) and not collector.running:
            print(f"queue-metrics: {collector.message}", file=sys.stderr)
        return
    screen = Screen()
    show(screen)
    if not collector.running and collector.message not in (said or ""):
        screen.paragraph(collector.message, "soft")


def print_json(value: object) -> None:
    """The one JSON value on stdout."""
    from queue_metrics.http.encode import dumps

    print(dumps(value))


def _moment(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be seconds since 1970, or a date and time as 2026-01-31T12:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
