"""`queue-metrics cleanup-stale-workers`: forgets workers that are gone."""

from __future__ import annotations

import argparse
from functools import partial

from queue_metrics.cli.silence import add_silence_options, tell_silent

HELP = "forget workers that have not been heard of for long; one that beats again is there again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_silence_options(parser, "lost_seconds")
    parser.add_argument("--dry-run", action="store_true", help="say who would be forgotten, and forget nobody")


def run(args: argparse.Namespace) -> int:
    """Always 0."""
    from queue_metrics.collector.tidying import remove_silent

    def said(number: int, threshold: str) -> tuple[str, str]:
        return f"{number} processes {'would be forgotten' if args.dry_run else 'forgotten'}, silent for more than {threshold}", "plain"

    tell_silent(args, partial(remove_silent, dry_run=args.dry_run), said)
    return 0
