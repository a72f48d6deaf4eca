"""What holds for the whole tree: sizes, names at the front door, what an import loads, words that have no place in it."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import queue_metrics

ROOT = Path(__file__).resolve().parent.parent
LONGEST_FILE = 400
MADE = {
    ".git",
    ".venv",
    "target",
    "dist",
    "out",
    "__pycache__",
    ".hypothesis",
    ".import_linter_cache",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
}
SOURCES = {".c", ".lua", ".py", ".pyi", ".rs", ".sh", ".sql"}
# Written apart, so that this file does not find itself.
FORBIDDEN = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "/ro" + "ot/", "/wo" + "rk/", "todo" + "!", "unimplemented" + "!")))


def files() -> Iterator[Path]:
    """Every file that belongs to the project, not what was made from it."""
    for directory, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in MADE and not name.endswith(".egg-info")]
        made = (".so", ".pyc")
        yield from (Path(directory) / name for name in names if name not in {*MADE, "Cargo.lock"} and not name.endswith(made))


def test_no_source_file_is_over_400_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files() if path.suffix in SOURCES}
    assert lengths, "no sources found"
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_the_files_with_unsafe_are_those_of_the_list() -> None:
    """docs/decisions.md names each with its reason; the compiler refuses `unsafe` without the attribute, and the reverse."""
    attribute = re.compile(r'expect\(unsafe_code, reason = "([^"]+)"\)')
    allowed = {
        str(path.relative_to(ROOT)): attribute.findall(path.read_text())
        for path in files()
        if path.suffix == ".rs" and re.search(r"(expect|allow)\(\s*unsafe_code", path.read_text())
    }
    listed = (ROOT / "docs/decisions.md").read_text().split("## Where `unsafe` is allowed")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+\.rs)` \| (.+) \|$", listed, re.MULTILINE)
    assert rows, "no list found"
    assert [(name, [reason]) for name, reason in rows] == sorted(allowed.items())


def test_every_source_file_says_its_responsibility_in_its_first_line() -> None:
    openings = {".py": ('"""', "#!"), ".pyi": ('"""',), ".rs": ("//!",), ".lua": ("--",), ".sql": ("--",), ".c": ("//", "/*")}
    silent = [
        str(path.relative_to(ROOT))
        for path in files()
        if path.suffix in openings and path.stat().st_size and not path.read_text().startswith(openings[path.suffix])
    ]
    assert silent == []


def test_no_unfinished_work_and_no_place_of_a_machine_is_in_the_tree() -> None:
    found = []
    for path in files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in FORBIDDEN.finditer(text)]
    assert found == []


def test_every_name_of_the_front_door_can_be_had() -> None:
    assert sorted(queue_metrics.__all__) == list(queue_metrics.__all__)
    for name in queue_metrics.__all__:
        assert getattr(queue_metrics, name) is not None


def test_all_names_only_what_is_there() -> None:
    package = ROOT / "python" / "queue_metrics"
    for path in sorted(package.rglob("*.py")):
        if path.name == "__main__.py":
            continue
        parts = path.relative_to(package.parent).with_suffix("").parts
        module = importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{module.__name__}.__all__ names {name}"


@pytest.mark.parametrize("command", ["import queue_metrics", "import queue_metrics; queue_metrics.load_settings()"])
def test_import_loads_no_driver_no_job_library_and_nothing_heavy(command: str) -> None:
    heavy = {"asyncio", "sqlite3", "redis", "celery", "kombu", "huey", "starlette", "uvicorn", "numpy"}
    code = f"{command}; import sys; print(' '.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(package_path())}
    )
    assert heavy & {name.partition(".")[0] for name in loaded.stdout.split()} == set()


def package_path() -> Path:
    """Where the package under test is imported from."""
    return Path(queue_metrics.__file__).parent.parent
