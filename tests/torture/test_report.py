"""What torture makes of a result: a difference is said and remembered, a test that broke off is one too."""

from __future__ import annotations

import pytest

from tests.torture.__main__ import Report


def test_a_difference_and_a_test_that_breaks_off_are_bad(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    assert report.add("good", lambda: {"answer": {"started": 3, "exact": True}, "claims": [["one", "1 = 1", True]]})
    assert report.bad == 0
    assert not report.add("wrong", lambda: {"answer": {"started": 4}, "claims": [["one", "1 = 1", True], ["two", "2 = 3", False]]})
    assert not report.add("broken off", dict)
    assert report.bad == 2
    good, wrong, broken_off = capsys.readouterr().out.splitlines()
    assert good == "exact    good: started 3"
    assert "wrong: started 4; two: 2 = 3" in wrong
    assert broken_off.startswith("DIFFERS  broken off")


def test_what_cannot_run_here_is_a_line_and_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.omit("a full xfs", "no mkfs.xfs")
    assert report.bad == 0
    assert capsys.readouterr().out == "not run  a full xfs: no mkfs.xfs\n"
