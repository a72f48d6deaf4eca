"""`queue-metrics openapi`: the HTTP interface for programs, as the app answers it under `/openapi.json`."""

from __future__ import annotations

import argparse
import json

from queue_metrics.errors import MissingDependency

HELP = "print the HTTP interface as OpenAPI 3.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of openapi."""
    parser.add_argument("--json", action="store_true", help="print it in one line")


def run(args: argparse.Namespace) -> int:
    """
    Print it.

    Raises:
        MissingDependency: the library of the HTTP interface is not installed.
    """
    try:
        from queue_metrics.http.openapi import document
        from queue_metrics.http.table import routes
    except ImportError as error:
        raise MissingDependency('the HTTP interface needs starlette: pip install "job-queue-metrics[http]"') from error
    told = document(routes(scrape_minutes=1, prometheus_namespace="").routes.values())
    print(json.dumps(told, separators=(",", ":")) if args.json else json.dumps(told, indent=1, ensure_ascii=False))
    return 0
