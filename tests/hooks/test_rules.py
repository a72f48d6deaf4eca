"""How the outcome of an execution follows from its exception, and what may interrupt our own code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from queue_metrics import _core
from tests.hooks.journal import Journal


class Stop(Exception):
    def __init__(self, again: object = None) -> None:
        self.again = again


class Incomparable:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


RULES: list[Any] = [
    (Stop, _core.RETRIED, _core.RETRY_FOLLOWS, "again", True),
    (Stop, _core.CANCELLED, 0, "again", False),
    (KeyError, _core.FAILED, 0, "no_such_attribute", True),
    (Stop, _core.TIMED_OUT, _core.RETRY_IF_LEFT),
    (Exception, _core.CANCELLED, _core.PROVISIONAL | _core.ASK_TERMINATING),
    (SystemExit, _core.CANCELLED, _core.PROVISIONAL | _core.ASK_TERMINATING),
]


class Case:
    """Runs functions under the rules and reads what was recorded."""

    def __init__(self, directory: Path) -> None:
        self.spool = directory / "spool"
        self.recorder = _core.Recorder(str(self.spool), "testhost")
        self.handle = self.recorder.series("c", "q", "t", _core.CLOCK_THREAD)

    def run(self, error: BaseException, *, left: bool = False, terminating: Callable[[], bool] | None = None) -> str:
        def body() -> None:
            raise error

        def probe() -> tuple[int, object, int, int, bool]:
            return self.handle, "job", 0, _core.NO_TIME, left

        with pytest.raises(type(error)) as caught:
            _core.Tracked(self.recorder, body, probe, RULES, terminating=terminating)()
        assert caught.value is error
        return Journal(self.spool).outcomes("job")[-1]

    def errors(self) -> int:
        return int(self.recorder.status()["hook_errors"])


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


@pytest.mark.parametrize(
    ("error", "left", "outcome"),
    [
        (Stop(True), False, "retried+"),
        (Stop(False), True, "cancelled"),
        (Stop(None), True, "timed_out+"),
        (Stop(None), False, "timed_out"),
        (Stop(Incomparable()), False, "timed_out"),
        (KeyError(), False, "failed"),
        (KeyError(), True, "retried+"),
        (SystemExit(1), True, "failed"),
        (KeyboardInterrupt(), True, "failed"),
    ],
)
def test_the_first_rule_that_matches_decides(case: Case, error: BaseException, left: bool, outcome: str) -> None:
    assert case.run(error, left=left) == outcome
    assert case.errors() == 0


@pytest.mark.parametrize("error", [ValueError(), SystemExit(1)])
def test_a_rule_for_the_teardown_holds_only_in_it(case: Case, error: BaseException) -> None:
    assert case.run(error, terminating=lambda: False) == "failed"
    assert case.run(error, terminating=lambda: True) == "cancelled?"


def test_an_answer_that_fails_is_no(case: Case) -> None:
    def broken() -> bool:
        raise OSError

    assert case.run(ValueError(), terminating=broken) == "failed"
    assert case.errors() >= 1


def test_an_error_of_the_probe_never_reaches_the_job(case: Case) -> None:
    """Not even when a rule for the teardown is wide enough to name it."""

    def probe() -> tuple[int, object, int, int, bool]:
        raise ZeroDivisionError

    assert _core.Tracked(case.recorder, lambda: 42, probe, RULES, terminating=lambda: True)() == 42
    assert case.errors() == 1


def test_an_interruption_while_the_probe_runs_is_the_end_of_the_job(case: Case) -> None:
    interrupts = [Stop(False)]

    def probe() -> tuple[int, object, int, int, bool]:
        if interrupts:
            raise interrupts.pop()
        return case.handle, "job", 0, _core.NO_TIME, False

    with pytest.raises(Stop):
        _core.Tracked(case.recorder, lambda: 42, probe, RULES)()
    assert Journal(case.spool).outcomes("job") == ["cancelled"]


@pytest.mark.parametrize("rule", [(), (ValueError, 1), (ValueError, 99, 0), (ValueError, 1, 0, "attribute"), ("ValueError", 1, 0)])
def test_a_malformed_rule_is_refused(case: Case, rule: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        _core.Tracked(case.recorder, len, lambda: None, [rule])
