"""
Writes the figures of the last run into docs/performance.md: `python -m benches.document`.

Rows that were not in the run stay as they are.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE, RESULTS = ROOT / "docs" / "performance.md", ROOT / "benches" / "out" / "results.json"
_ROW = re.compile(r"^\| (?P<name>[^|]+?) \| (?P<figure>[^|]*?) \| (?P<goal>[^|]*?) \| (?P<met>[^|]*?) ?\|$", re.MULTILINE)
_INTERVAL = re.compile(r"90 % interval ([\d.e+-]+?)-([\d.e+-]+)")


def renewed(page: str, results: list[dict[str, Any]]) -> str:
    """The page with the figures of a run in the rows that have its names."""
    by_name = {row["name"]: row for row in results}

    def row(found: re.Match[str]) -> str:
        result = by_name.get(found["name"])
        if result is None:
            return found[0]
        aside = re.search(r": [^(\d].*$", found["figure"])  # what else the row tells stays
        return f"| {found['name']} | {_figure(result)}{aside[0] if aside else ''} | {found['goal']} | {_met(result)} |"

    return _ROW.sub(row, page)


def _figure(result: dict[str, Any]) -> str:
    ours, reference, ratio, unit = result["ours"], result["reference"], result["ratio"], result["unit"]
    if ratio is None or reference is None:
        return f"{_number(ours)} {unit}"
    if unit == "instructions" or (unit in ("bytes", "requests") and "less" in (result["goal"] or "")):
        return f"{ratio:.4g} ({ours:,.{1 if ours < 100 else 0}f} : {reference:,.{1 if reference < 100 else 0}f})"
    if unit == "bytes":
        return f"{ours:,.0f} bytes"
    interval = _INTERVAL.search(result["note"] or "")
    return f"{ratio:.3g}" + (f" ({interval[1]}–{interval[2]})" if interval else "")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"


def _met(result: dict[str, Any]) -> str:
    if not result["goal"]:
        return ""
    return {True: "met", False: "**not met**", None: "undecided"}[result["met"]]


def main() -> None:
    """Renew the page."""
    PAGE.write_text(renewed(PAGE.read_text(), json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
