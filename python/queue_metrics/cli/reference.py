"""
The commands of `docs/cli.md`, made of their parsers.

`python -m queue_metrics.cli.reference docs/cli.md` writes them between the marks of the page; a test compares them.
"""

from __future__ import annotations

import argparse
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from queue_metrics.cli import EXAMPLES

MARKS = re.compile(r"(<!-- commands: [^\n]*-->\n).*?(<!-- end of commands -->)", re.DOTALL)


def section(name: str) -> str:
    """A command: what it does, a call of it, and what it takes."""
    module: Any = import_module(f"queue_metrics.cli.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(add_help=False)
    module.add_arguments(parser)
    rows = [f"| `{_form(each)}` | {_help(each)} |\n" for each in parser._actions]
    about = f"{module.HELP[0].upper()}{module.HELP[1:]}."
    table = f"| takes | |\n|---|---|\n{''.join(rows)}\n" if rows else ""
    return f"### {name}\n\n{about}\n\n```shell\n{EXAMPLES[name]}\n```\n\n{table}"


def _form(action: argparse.Action) -> str:
    names = ", ".join(action.option_strings)
    choices = None if action.choices is None else " or ".join(map(str, action.choices))
    value = "" if action.nargs == 0 else str(action.metavar or choices or action.dest.upper())
    return " ".join(part for part in (names, value) if part)


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("|", "\\|") % {**vars(action), "prog": "queue-metrics"}


def with_commands(page: str) -> str:
    """
    The page with every command as the code has it.

    Raises:
        ValueError: the page lacks the marks.
    """
    before, *found = MARKS.split(page)
    if len(found) != 3:
        raise ValueError("the page needs the marks of the commands once")
    begin, end, behind = found
    return before + begin + "\n" + "".join(map(section, EXAMPLES)) + end + behind


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_commands(path.read_text()))
