"""Which benches there are, and what each needs; a bench is loaded when it runs."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from benches.rows import Row

PACKAGES_HINT = "make setup"
HIDDEN = ("/usr/sbin", "/usr/local/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin")))
"""Where Debian keeps servers, beside what is in PATH."""
TOOLS = {
    "cc": "apt-get install gcc",
    "initdb": "apt-get install postgresql",
    "mariadbd": "apt-get install mariadb-server",
    "redis-server": "apt-get install redis-server",
    "strace": "apt-get install strace",
    "valgrind": "apt-get install valgrind",
}
SQL = ("initdb", "mariadbd", "psycopg", "pymysql")


@dataclass(frozen=True, slots=True)
class Bench:
    """A function `module:function` that returns rows."""

    where: str
    what: str
    needs: tuple[str, ...] = ()
    """Packages and tools; a name in TOOLS is a tool."""
    gated: bool = False
    """Counts only, repeatable: part of `make bench-gate`, which has three minutes for all."""

    def rows(self) -> list[Row]:
        """Run it."""
        module, _, function = self.where.partition(":")
        return cast("Callable[[], list[Row]]", getattr(importlib.import_module(module), function))()


BENCHES: dict[str, Bench] = {
    # A job library with us.
    "instructions": Bench("benches.instructions:all_rows", "instructions of a whole cycle", ("cc", "valgrind", "redis-server"), gated=True),
    "throughput": Bench("benches.throughput:rows", "jobs a second with and without us", ("redis-server",)),
    # The hook.
    "hook": Bench("benches.hook:rows", "started + finished beside C and prometheus_client", ("cc", "prometheus_client", "psutil")),
    "hook-counts": Bench(
        "benches.hook:counts", "its system calls and instructions", ("cc", "prometheus_client", "psutil", "strace", "valgrind"), gated=True
    ),
    # The journal.
    "append": Bench("benches.append:rows", "one append by map and by write beside C", ("cc",)),
    "append-counts": Bench("benches.append:counts", "its system calls and instructions", ("cc", "strace", "valgrind"), gated=True),
    # Sampling of a process.
    "process": Bench("benches.sampling:process_rows", "samples of processes beside C and psutil", ("cc", "psutil")),
    "process-counts": Bench(
        "benches.sampling:process_counts", "their system calls and instructions", ("cc", "psutil", "strace", "valgrind"), gated=True
    ),
    # Sampling of a host.
    "host": Bench("benches.host:rows", "a sample of the host beside C and psutil", ("cc", "psutil")),
    "host-counts": Bench("benches.host:counts", "its system calls and instructions", ("cc", "psutil", "strace", "valgrind"), gated=True),
    # The heartbeat.
    "heartbeat": Bench("benches.heartbeat:rows", "a heartbeat as JSON beside orjson", ("cc", "orjson")),
    "heartbeat-counts": Bench("benches.heartbeat:counts", "its instructions", ("cc", "orjson", "valgrind"), gated=True),
    # Prometheus.
    "exposition": Bench("benches.exposition:rows", "a scrape of 10,000 series beside C and prometheus_client", ("cc", "prometheus_client")),
    "exposition-counts": Bench("benches.exposition:counts", "its instructions a line", ("cc", "prometheus_client", "valgrind"), gated=True),
    "scrape": Bench("benches.exposition:http_rows", "a scrape of 10,000 series over HTTP", ("starlette", "uvicorn")),
    # Statistics.
    "stats": Bench("benches.stats:rows", "lines, windows, percentiles, sketches and the fold, beside C and numpy", ("cc", "numpy")),
    "stats-counts": Bench("benches.stats:counts", "their instructions", ("cc", "numpy", "valgrind"), gated=True),
    "trends": Bench("benches.trends:rows", "a day's line beside numpy.polyfit, answers over eight days of minutes", ("numpy", "msgpack")),
    "trends-counts": Bench("benches.trends:counts", "the instructions of the line", ("cc", "numpy", "valgrind"), gated=True),
    # The fold and the drainer.
    "drainer": Bench("benches.drainer:rows", "CPU and memory of the drainer at 1,000 jobs a second"),
    # The store.
    "requests": Bench("benches.store:request_rows", "requests a flush and a job", ("redis-server",), gated=True),
    "duties": Bench("benches.store:duty_rows", "requests of heartbeats, leases and marks", ("redis-server",), gated=True),
    "reading": Bench("benches.store_redis:reading_rows", "requests of readings", ("redis-server",), gated=True),
    "layout": Bench("benches.store_redis:layout_rows", "memory and round trips beside the original's layout", ("redis-server",)),
    "apply": Bench("benches.store_redis:apply_rows", "a batch beside its bare script and beside increments", ("redis-server",)),
    "sql-apply": Bench("benches.store_sql:apply_rows", "a batch beside its bare SQL and beside increments", SQL),
    "sql-writers": Bench("benches.store_sql:writers_rows", "16 writers on the same series beside one", SQL),
    "sql-reading": Bench("benches.store_sql:reading_rows", "transactions of readings", SQL, gated=True),
    "sql-sizes": Bench("benches.store_sql:byte_rows", "bytes of an hour of one task in SQL", SQL, gated=True),
    "sizes": Bench("benches.store:byte_rows", "bytes of an hour of one task", ("redis-server",), gated=True),
}


def missing(names: Sequence[str]) -> list[str]:
    """What the named benches need and this machine lacks, a line each, with the command to run."""
    needed = sorted({need for name in names for need in BENCHES[name].needs})
    lines = []
    for need in needed:
        there = shutil.which(need, path=_search_path()) if need in TOOLS else importlib.util.find_spec(need)
        if not there:
            lines.append(f"bench: {need} is missing: {TOOLS.get(need, PACKAGES_HINT)}")
    return lines


def _search_path() -> str:
    return os.pathsep.join((os.environ.get("PATH", os.defpath), *HIDDEN))
