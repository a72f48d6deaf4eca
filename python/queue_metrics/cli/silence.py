"""What the commands about workers that went quiet have in common: their threshold, which is a setting, and how they name who it is."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict

from queue_metrics.cli.options import checked, default
from queue_metrics.config import load_settings
from queue_metrics.model import WorkerAnswer
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import open_store


def add_silence_options(parser: argparse.ArgumentParser, setting: str) -> None:
    """Add the options of both; `setting` is how long silence is borne where nobody says it."""
    parser.add_argument("--store", metavar="URL", help="the store; default: as configured")
    parser.add_argument(
        "--threshold",
        type=checked(setting),
        metavar="S",
        help=f"seconds; default: {setting} as configured, else {default(setting):g}",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(setting=setting)


def tell_silent(
    args: argparse.Namespace,
    find: Callable[[StorageDriver, float, float], Sequence[WorkerAnswer]],
    said: Callable[[int, str], tuple[str, str]],
) -> Sequence[WorkerAnswer]:
    """
    Find them and print them.

    Args:
        find: in the open store, by the threshold and the `lost_seconds` that are configured.
        said: of their number and the threshold in words, the line above them and its style.
    """
    from queue_metrics.cli.terminal import Screen, shown
    from queue_metrics.http.encode import dumps
    from queue_metrics.insights.wording import ago

    settings = load_settings(store=args.store)
    threshold: float = getattr(settings, args.setting) if args.threshold is None else args.threshold
    driver = open_store(settings)
    try:
        found = find(driver, threshold, settings.lost_seconds)
    finally:
        driver.close()
    if args.json:
        print(dumps({"count": len(found), "threshold_seconds": threshold, "workers": [asdict(each) for each in found]}))
        return found
    screen = Screen()
    screen.line(*said(len(found), f"{threshold:g} s"))
    for each in found:
        screen.line(f"  {shown(each.id)} {each.state}, last heard {ago(each.last_seen_seconds)}, {each.jobs} jobs")
    return found
