"""The page of lessons: each of the original's 35 has a row, and every test that it names is there and is a test of that file."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LESSONS = [f"L{number}" for number in range(1, 36)]
NOT_SHOWN: frozenset[str] = frozenset()
"""Lessons whose row says "not shown yet" in place of a test."""


def rows() -> dict[str, list[str]]:
    """The cells behind each lesson."""
    found = re.findall(r"^\| (L\d+) \|(.*)\|$", (ROOT / "docs" / "lessons.md").read_text(), re.MULTILINE)
    assert [name for name, _ in found] == LESSONS
    return {name: [cell.strip() for cell in cells.split(" | ")] for name, cells in found}


@cache
def defined_in(file: str) -> frozenset[str]:
    """What a file of tests defines, by its text."""
    tree = ast.parse((ROOT / file).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_lesson_is_told_and_shown(lesson: str) -> None:
    there, here, shown = rows()[lesson]
    assert there
    assert here
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", shown)
    assert "".join(re.sub(r"`[^`]+`", "", shown).split()) == ("notshownyet" if lesson in NOT_SHOWN else "")
    assert bool(named) != (lesson in NOT_SHOWN)
    assert [f"{file}::{test}" for file, test in named if test not in defined_in(file)] == []


def test_every_test_that_is_named_after_a_lesson_is_in_its_row() -> None:
    told = rows()
    for lesson in LESSONS:
        for test in defined_in("tests/insights/test_lessons.py"):
            if lesson.lower() in test.split("_"):
                assert f"`tests/insights/test_lessons.py::{test}`" in told[lesson][-1]
