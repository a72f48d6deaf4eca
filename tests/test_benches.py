"""What `make bench` says of a figure, and that each bench it lists is there."""

from __future__ import annotations

import importlib
import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benches import registry, rows, syscalls
from benches.document import renewed
from benches.effort import EFFORT, Effort
from benches.measure import Case, Times, calls, times


@contextmanager
def cases() -> Iterator[list[Case]]:
    def twice() -> None:
        os.getppid()
        os.getppid()

    numbers = itertools.count()

    def at_times() -> None:
        os.getppid()
        if next(numbers) == 15:  # in the first window, after ten calls without a mark
            os.uname()

    yield [Case("a call", calls(abs, 1)), Case("getppid twice", calls(twice)), Case("uname at times", calls(at_times))]


def test_a_goal_inside_the_interval_is_undecided_either_way() -> None:
    assert rows.at_most("x", 11, 10, "ns", 1.2, interval=(1.05, 1.15)).met is True
    assert rows.at_most("x", 11, 10, "ns", 1.1, interval=(1.05, 1.15)).met is None
    assert rows.at_most("x", 11, 10, "ns", 1.0, interval=(1.05, 1.15)).met is False
    assert rows.less("x", 1, 20, "ns", 13, interval=(18, 22)).met is True
    assert rows.less("x", 1, 20, "ns", 20, interval=(18, 22)).met is None
    assert rows.less("x", 1, 20, "ns", 25, interval=(18, 22)).met is False


def test_a_count_over_its_bound_has_regressed_and_zero_is_a_goal() -> None:
    assert not rows.exactly("x", 0, 0, "system calls").regressed
    over = rows.exactly("x", 0.001, 0, "system calls")
    assert over.regressed
    assert over.met is False
    reached = rows.count_at_most("x", 1600, 1500, "instructions", bound=1700)
    assert reached.met is False
    assert not reached.regressed


def test_the_figure_is_the_median_of_three_runs_of_the_ratios_inside_a_round() -> None:
    runs = [{"a": [10.0, 200.0, 10.0], "b": [5.0, 100.0, 5.0]}, {"a": [30.0] * 3, "b": [10.0] * 3}, {"a": [70.0] * 3, "b": [10.0] * 3}]
    found = Times(runs, "cpu")
    assert found.ratio("a", "b").value == 3
    assert found.of("a") == 30
    row = found.less("x", "b", "a", 2.5)
    assert (row.ratio, row.goal) == (3, ">= 2.5x less")


def test_cases_are_timed_in_processes_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EFFORT, "runs", 2)
    found = times(cases, rounds=3, visit_ns=1_000_000)
    assert [len(run["a call"]) for run in found.runs] == [3, 3]
    assert found.of("a call") > found.of("empty loop") > 0


def test_time_bounds_the_rounds_but_for_the_first_three() -> None:
    assert rows.alternate([lambda: 1.0, lambda: 2.0], 5) == [[1.0] * 5, [2.0] * 5]
    assert rows.alternate([lambda: 1.0, lambda: 2.0], 5, seconds=-1) == [[1.0] * 3, [2.0] * 3]


def test_a_quick_run_is_one_with_a_third_of_the_rounds() -> None:
    effort = Effort()
    assert (effort.runs, effort.rounds(41)) == (3, 41)
    effort.hurry()
    assert (effort.runs, effort.rounds(41), effort.rounds(4)) == (1, 13, 3)


def test_system_calls_of_a_case_are_counted_and_no_others() -> None:
    assert syscalls.counts(cases, "getppid twice", 50) == {"getppid": 100}
    assert syscalls.counts(cases, "a call", 50) == {}


def test_a_subject_of_no_such_case_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="there are empty loop, a call"):
        syscalls.counts(cases, "another", 1)


def test_every_bench_that_is_listed_can_be_loaded() -> None:
    for bench in registry.BENCHES.values():
        module, _, function = bench.where.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), bench.where


def test_what_a_bench_lacks_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = registry.Bench("benches.rows:table", "", ("no_such_package", "cc", "json"))
    monkeypatch.setitem(registry.BENCHES, "x", bench)
    monkeypatch.setattr("shutil.which", lambda _, path: None)
    assert registry.missing(["x"]) == [
        "bench: cc is missing: apt-get install gcc",
        "bench: no_such_package is missing: make setup",
    ]


def test_the_file_holds_the_promised_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "OUT", tmp_path / "out" / "results.json")
    rows.save([rows.at_most("x", 11, 10, "ns", 1.2, note="y")])
    assert json.loads(rows.OUT.read_text()) == [
        {"name": "x", "ours": 11, "reference": 10, "unit": "ns", "ratio": 1.1, "goal": "<= 1.2x", "met": True, "note": "y"}
    ]


def test_what_happens_once_in_a_while_is_not_in_the_quietest_window() -> None:
    assert syscalls.counts(cases, "uname at times", 10, windows=5) == {"getppid": 10}


def test_the_page_of_figures_is_renewed_row_by_row() -> None:
    """What was not measured, and whatever the page says beside a figure, stays."""
    page = (
        "text | of no table\n| what | ratio | goal | |\n|---|---:|---:|---|\n"
        "| calls | 4 system calls: also those of children | exactly 5 | met |\n"
        "| time / C | 9 (1–2) | ≤ 2x | met |\n| cost / C | 1 | ≤ 2x | met |\n| size | 1 bytes | ≤ 9 | met |\n| other | 7 | | met |\n"
    )

    def row(name: str, ours: float, reference: float | None, unit: str, goal: str | None, met: bool | None, note: str) -> dict[str, object]:
        ratio = None if reference is None else ours / reference
        return {"name": name, "ours": ours, "reference": reference, "unit": unit, "ratio": ratio, "goal": goal, "met": met, "note": note}

    assert renewed(
        page,
        [
            row("calls", 6.0, None, "system calls", "exactly 5", False, ""),
            row("time / C", 3.0, 2.0, "ns CPU", "<= 2x", None, "90 % interval 1.38-2.2; nine rounds"),
            row("cost / C", 2488.0, 1237.0, "instructions", "<= 2x", True, ""),
            row("size", 12_656.0, 12_000.0, "bytes", None, None, ""),
            row("unknown to the page", 1.0, None, "x", None, None, ""),
        ],
    ) == (
        "text | of no table\n| what | ratio | goal | |\n|---|---:|---:|---|\n"
        "| calls | 6 system calls: also those of children | exactly 5 | **not met** |\n"
        "| time / C | 1.5 (1.38–2.2) | ≤ 2x | undecided |\n| cost / C | 2.011 (2,488 : 1,237) | ≤ 2x | met |\n"
        "| size | 12,656 bytes | ≤ 9 |  |\n| other | 7 | | met |\n"
    )
