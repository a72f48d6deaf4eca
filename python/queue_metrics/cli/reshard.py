"""`queue-metrics reshard`: a store in Redis that has one shard gets many, so that a cluster can spread it."""

from __future__ import annotations

import argparse
import json
import sys

from queue_metrics.config import load_settings
from queue_metrics.errors import ConfigurationError
from queue_metrics.storage.urls import REDIS_SCHEMES, masked

HELP = "split a store in Redis into shards, for a cluster"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", metavar="N", type=int, required=True, help="the number of shards, from then on: 2 to 100, 64 is advised")
    parser.add_argument("--store", metavar="URL", help="the store; default: as configured")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """Drainers wait while it runs; stopped half way, it is run again."""
    settings = load_settings(store=args.store)
    if settings.store.partition("://")[0].lower() not in REDIS_SCHEMES:
        raise ConfigurationError(f"only a store in Redis has shards, not {masked(settings.store)}")
    from queue_metrics.storage.redis_reshard import Reshard

    moved = Reshard(settings.store, settings.prefix, args.to).run()
    told = {"store": masked(settings.store), "prefix": settings.prefix, "shards": args.to, "moved_series": moved}
    if args.json:
        json.dump(told, sys.stdout)
        print()
    else:
        print(f"{told['store']} (prefix {settings.prefix}) has {args.to} shards; {moved} series were moved")
    return 0
