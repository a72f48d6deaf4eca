"""`python -m benches [--gate] [NAME ...]`: run the benches, print the table, write benches/out/results.json."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benches.rows import Row, save, table


def instructions() -> list[Row]:
    """Instructions by callgrind: Huey on SQLite, Celery on a private Redis."""
    from benches import instructions as bench
    from tests.support.servers import RedisServer

    if shutil.which("valgrind") is None:
        sys.exit("valgrind is missing: apt-get install valgrind")
    with tempfile.TemporaryDirectory(prefix="qm-bench-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            return bench.rows(server.url)
        finally:
            server.stop()


def requests() -> list[Row]:
    """Requests to the store."""
    from benches import store

    return store.request_rows()


def sizes() -> list[Row]:
    """Bytes in the store."""
    from benches import store

    return store.byte_rows()


def pair() -> list[Row]:
    """started + finished."""
    from benches import pair as bench

    return bench.rows()


def throughput() -> list[Row]:
    """Jobs a second with and without us."""
    from benches import throughput as bench

    return bench.rows()


def drainer() -> list[Row]:
    """The drainer under load."""
    from benches import drainer as bench

    return bench.rows()


BENCHES: dict[str, Callable[[], list[Row]]] = {
    "instructions": instructions,
    "requests": requests,
    "sizes": sizes,
    "pair": pair,
    "throughput": throughput,
    "drainer": drainer,
}
GATED = ("instructions", "requests", "sizes")


def main() -> int:
    """Exit 1 when a gated count is over its bound."""
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("--gate", action="store_true", help="only the counts that must hold exactly; exit 1 when one is over its bound")
    parser.add_argument("names", nargs="*", choices=[[], *BENCHES], help="run only these")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for name in arguments.names or (GATED if arguments.gate else BENCHES):
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += BENCHES[name]()
    print(table(rows))
    save(rows)
    regressed = [row for row in rows if row.regressed]
    for row in regressed:
        print(f"over its bound: {row.name}: {row.ratio:.5g} > {row.bound:.5g}", file=sys.stderr)
    return 1 if regressed else 0


if __name__ == "__main__":
    sys.exit(main())
