"""`python -m benches [--gate] [--quick] [--list] [NAME ...]`: run the benches, print the table, write benches/out/results.json."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from benches.effort import EFFORT
from benches.registry import BENCHES, missing
from benches.rows import Row, markdown, save, table


def main() -> int:
    """Exit 1 when a gated count is over its bound or a bench failed, 2 when something is missing that a bench needs."""
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("--gate", action="store_true", help="only the counts that must hold exactly; exit 1 when one is over its bound")
    parser.add_argument("--quick", action="store_true", help="one run instead of three with a third of the rounds: wide intervals")
    parser.add_argument("--list", action="store_true", help="say what there is and run nothing")
    parser.add_argument("--markdown", action="store_true", help="print a table of Markdown for each bench, as in docs/performance.md")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"run only these of {', '.join(BENCHES)}")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in BENCHES]
    if unknown:
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    if arguments.list:
        for name, bench in BENCHES.items():
            print(f"{name:<18} {'gated ' if bench.gated else '      '} {bench.what}")
        return 0
    if arguments.quick:
        EFFORT.hurry()
    names = arguments.names or [name for name, bench in BENCHES.items() if bench.gated or not arguments.gate]
    if lacking := missing(names):
        print("\n".join(lacking), file=sys.stderr)
        return 2
    rows: list[Row] = []
    failed = []
    begin = time.monotonic()
    for number, name in enumerate(names, 1):
        print(f"bench: {number}/{len(names)} {name}, {time.monotonic() - begin:.0f} s so far", file=sys.stderr, flush=True)
        try:
            found = BENCHES[name].rows()
        except Exception:  # the other figures are worth having; the exit code tells
            traceback.print_exc()
            failed.append(name)
            continue
        rows += found
        save(rows)  # what was measured stays when the rest is interrupted
        if arguments.markdown:
            print(f"**{BENCHES[name].what}** (`{name}`)\n\n{markdown(found)}\n", flush=True)
    if not arguments.markdown:
        print(table(rows))
    regressed = [row for row in rows if row.regressed]
    for row in regressed:
        print(f"over its bound: {row.name}: {row.held:.5g} > {row.bound:.5g}", file=sys.stderr)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if regressed or failed else 0


if __name__ == "__main__":
    sys.exit(main())
