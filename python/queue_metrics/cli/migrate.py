"""`queue-metrics migrate`: makes the tables of a store, or brings older ones up to date."""

from __future__ import annotations

import argparse
import json

from queue_metrics.config import load_settings
from queue_metrics.errors import ConfigurationError

HELP = "make the tables of a store in SQL, or bring older ones up to date"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of migrate."""
    parser.add_argument("--store", metavar="URL", help="the store; default: as configured")
    parser.add_argument("--dry-run", action="store_true", help="only say what is missing")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when the tables are as they must be; with --dry-run 1 when something is missing."""
    from queue_metrics.storage import DatabaseStorageDriver
    from queue_metrics.storage.manager import open_store

    settings = load_settings(store=args.store)
    driver = open_store(settings)
    if not isinstance(driver, DatabaseStorageDriver):
        raise ConfigurationError(f"the store {driver.url} has no tables: there is nothing to migrate but in SQL")
    found = driver.migrate(dry_run=args.dry_run)
    if args.json:
        listed = [{"number": one.number, "name": one.name, "checksum": one.checksum} for one in found]
        print(json.dumps({"store": driver.url, "prefix": settings.prefix, "dry_run": args.dry_run, "migrations": listed}))
    else:
        done = "is missing" if args.dry_run else "applied"
        for one in found:
            print(f"{one.number:04} {one.name}: {done}")
        if not found:
            print(f"{driver.url}: the tables are up to date")
    return 1 if args.dry_run and found else 0
