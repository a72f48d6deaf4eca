"""
The tables of `docs/configuration.md`, made of the declarations.

`python -m queue_metrics.config.reference docs/configuration.md` writes them between the marks of the page; a test compares them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from queue_metrics.config.original import VARIABLES, WITHOUT
from queue_metrics.config.settings import DECLARATIONS


def settings_table() -> str:
    """Every setting: its type, default, variable and meaning."""
    rows = []
    for each in DECLARATIONS.values():
        shown = each.default if not isinstance(each.default, tuple) else list(each.default)
        default = "computed" if each.computed else "none" if shown is None else f"`{json.dumps(shown)}`"
        type_ = each.kind.name + (f", {each.kind.bounds}" if each.kind.bounds else "")
        rows.append((f"`{each.name}`", type_, default, f"`{each.variable}`" if each.variable else "", each.meaning))
    return _table(("setting", "type", "default", "variable", "what"), rows)


def types_table() -> str:
    """How a value of each type is written."""
    kinds = {each.kind.name: each.kind for each in DECLARATIONS.values()}
    rows = [(kind.name, kind.in_file, kind.in_variable or "cannot be set by one") for kind in kinds.values()]
    return _table(("type", "in TOML and arguments", "in a variable"), rows)


def original_table() -> str:
    """Every key of the original: the setting that stands for it, or why there is none."""
    ours = [(f"`{key}`", _variable(key), f"`{each.name}`", "") for each in DECLARATIONS.values() for key in each.original]
    none = [(", ".join(f"`{key}`" for key in keys.split(", ")), _variable(keys), "", why) for keys, why in WITHOUT.items()]
    return _table(("original", "its variable", "here", "why there is none"), ours + none)


def _variable(key: str) -> str:
    return f"`{VARIABLES[key]}`" if key in VARIABLES else ""


TABLES = {"settings": settings_table, "types": types_table, "original": original_table}


def with_tables(page: str) -> str:
    """
    The page with each table as the code makes it.

    Raises:
        ValueError: the page lacks the marks of a table.
    """
    for name, made in TABLES.items():
        marks = re.compile(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        before, *found = marks.split(page)
        if len(found) != 3:
            raise ValueError(f"the page needs the marks of the table {name!r} once")
        begin, end, behind = found
        page = before + begin + made() + end + behind
    return page


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("|" + "|".join(f" {cell} " if cell else " " for cell in line).replace(" --- ", "---") + "|\n" for line in lines)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_tables(path.read_text()))
