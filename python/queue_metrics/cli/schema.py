"""`queue-metrics schema`: prints the statements that make the tables, for whoever runs them by hand."""

from __future__ import annotations

import argparse
import json
import re

from queue_metrics.errors import ConfigurationError

HELP = "print the SQL that makes the tables of a store"
_DIALECTS = ("sqlite", "postgresql", "mysql")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of schema."""
    parser.add_argument("--dialect", choices=_DIALECTS, required=True, help="mysql is MariaDB's as well")
    parser.add_argument("--prefix", default="queue_metrics", help="first part of the names of all tables")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Always 0."""
    from queue_metrics.storage.sql import migrations

    if not re.fullmatch(r"[a-z0-9_]{1,32}", args.prefix):
        raise ConfigurationError(f"the prefix {args.prefix!r} cannot be used: it is 1 to 32 of the characters a-z, 0-9 and _")
    text = migrations.schema(args.dialect, args.prefix)
    print(json.dumps({"dialect": args.dialect, "schema_version": migrations.SCHEMA_VERSION, "sql": text}) if args.json else text, end="")
    return 0
