"""`queue-metrics detect-stale-workers`: which workers have gone quiet."""

from __future__ import annotations

import argparse

from queue_metrics.cli.silence import add_silence_options, tell_silent

HELP = "say which workers have gone quiet or are lost; changes nothing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_silence_options(parser, "stale_seconds")


def run(args: argparse.Namespace) -> int:
    """1 when there is any."""
    from queue_metrics.collector.tidying import silent_workers

    def said(number: int, threshold: str) -> tuple[str, str]:
        return f"{number} processes silent for more than {threshold}, or seen to be gone", "warning" if number else "ok"

    return 1 if tell_silent(args, silent_workers, said) else 0
