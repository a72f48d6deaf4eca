"""Numbers and names as people read them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_metrics.insights.wording import ago, count, duration, name, per_minute, ratio, size, stretch
from queue_metrics.model import Window


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.000_000_5, "0.50 µs"),
        (0.000_999_4, "999 µs"),
        (0.000_999_6, "1.00 ms"),
        (0.0123, "12.3 ms"),
        (0.9996, "1.00 s"),
        (4.556, "4.56 s"),
        (99.4, "99.4 s"),
        (99.6, "1 min 40 s"),
        (192, "3 min 12 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (273_600, "3 d 4 h"),
        (-0.5, "-500 ms"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(None, "–"), (0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (-35_756_441, "-34.1 MiB"), (2**43, "8.00 TiB")]
)
def test_sizes(number: int | None, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0, "0 %"), (0.0001, "< 0.1 %"), (0.123, "12.3 %"), (0.9999, "> 99.9 %"), (1, "100 %")]
)
def test_ratios_never_round_something_to_nothing(value: float | None, text: str) -> None:
    assert ratio(value) == text


def test_counts_rates_and_ages() -> None:
    assert [count(number) for number in (None, 0, 999_999, 1_234_567, 12_345_678_901)] == ["–", "0", "999,999", "1.23 M", "12.3 G"]
    assert [per_minute(rate) for rate in (None, 0.0, 0.2, 50.0)] == ["–", "0 / min", "12.0 / min", "3,000 / min"]
    assert [ago(seconds) for seconds in (None, 0.4, 12.9, 200)] == ["–", "just now", "12 s ago", "3 min 20 s ago"]


@given(st.text(max_size=300))
def test_a_name_is_one_line_without_control_characters(text: str) -> None:
    shown = name(text)
    assert len(shown) <= 80
    assert not {unicodedata.category(letter) for letter in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_control_characters_show_as_signs() -> None:
    assert name("a\nb\x1b[31m\x7f\u202e") == "a␊b␛[31m␡\ufffd"


@pytest.mark.parametrize(
    ("observed_from", "text"),
    [
        (0.0, "last 59 min 30 s"),
        (3420.0, "last 2 min 30 s, nothing recorded before"),
        (None, "last 59 min 30 s, nothing recorded"),
    ],
)
def test_the_time_that_is_named_is_the_one_that_rates_are_divided_by(observed_from: float | None, text: str) -> None:
    window = Window(0.0, 3570.0, 60, observed_from, observed_from)
    assert stretch(window) == text
    assert window.observed_seconds is None or duration(window.observed_seconds) in text
