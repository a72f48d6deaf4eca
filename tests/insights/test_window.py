"""Which steps answer for how many minutes."""

from __future__ import annotations

import pytest

from queue_metrics.insights.window import MINUTES_MAX, last_minutes


@pytest.mark.parametrize(
    ("minutes", "step", "steps"), [(1, 60, 1), (60, 60, 60), (360, 60, 360), (361, 3600, 7), (20160, 3600, 336), (20161, 86400, 15)]
)
def test_the_finest_step_that_is_kept_for_the_whole_window_is_taken(minutes: int, step: int, steps: int) -> None:
    span = last_minutes(minutes, 1_000_000_030.0)
    assert (span.step, len(span.buckets)) == (step, steps)


def test_the_last_step_is_the_open_one_that_holds_now() -> None:
    span = last_minutes(5, 1_000_000_079.9)
    assert list(span.buckets)[-1] == 1_000_000_020
    assert span.end == 1_000_000_080
    # On the very border a new step has begun.
    assert list(last_minutes(5, 1_000_000_080.0).buckets)[-1] == 1_000_000_080


@pytest.mark.parametrize("minutes", [0, -1, MINUTES_MAX + 1])
def test_a_window_out_of_bounds_is_refused_with_the_bounds(minutes: int) -> None:
    with pytest.raises(ValueError, match=f"between 1 and {MINUTES_MAX}"):
        last_minutes(minutes, 1e9)


def test_rates_are_divided_by_what_was_observed() -> None:
    span = last_minutes(60, 1_000_000_030.0)
    assert span.window(None).observed_seconds is None
    assert span.window(span.end - 120).observed_seconds == 70.0
    assert span.window(span.end - 120).seconds == 59 * 60 + 10
