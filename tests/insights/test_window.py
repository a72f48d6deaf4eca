"""Which steps answer for how many minutes."""

from __future__ import annotations

import pytest

from queue_metrics.config import TimeToLive
from queue_metrics.insights.window import MINUTES_MAX, at_least, between, last_minutes, span_of
from queue_metrics.storage.base import EXCEPTION, QUEUE, retention_of


@pytest.mark.parametrize(
    ("minutes", "step", "steps"), [(1, 60, 1), (60, 60, 60), (360, 60, 360), (361, 3600, 7), (20160, 3600, 336), (20161, 86400, 15)]
)
def test_the_finest_step_that_is_kept_for_the_whole_window_is_taken(minutes: int, step: int, steps: int) -> None:
    span = last_minutes(minutes, 1_000_000_030.0)
    assert (span.step, len(span.buckets)) == (step, steps)


@pytest.mark.parametrize(
    ("minutes", "step"), [(60, 60), (61, 3600), (1440, 3600), (1441, 86400), (2880, 86400), (2881, 86400), (MINUTES_MAX, 86400)]
)
def test_steps_are_chosen_by_what_is_configured_to_be_kept(minutes: int, step: int) -> None:
    kept = retention_of(TimeToLive(raw=3600, hours=86400, days=2 * 86400))
    assert last_minutes(minutes, 1_000_000_030.0, kept).step == step
    assert between(1_000_000_030.0 - 60 * minutes, 1_000_000_030.0, 1_000_000_030.0, retention=kept).step == step


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
    assert span.window((span.end - 120, span.end - 60)).observed_seconds == 70.0
    assert span.window((span.end - 120, span.end - 60)).seconds == 59 * 60 + 10
    assert span.window((span.end - 120, span.end - 60)).age_seconds == 0, "the open step"
    assert span.window((span.end - 180, span.end - 120)).age_seconds == 10


NOW = 1_000_000_030.0
HOUR, DAY = 3600, 86400


@pytest.mark.parametrize(
    ("ago", "step"),
    [(1, 60), (6 * HOUR, 60), (6 * HOUR + 1, HOUR), (14 * DAY, HOUR), (14 * DAY + 1, DAY), (400 * DAY, DAY)],
)
def test_a_range_has_the_finest_steps_that_are_still_kept_from_its_start_on(ago: int, step: int) -> None:
    span = between(NOW - ago, NOW, NOW)
    assert span.step == step
    assert span.start <= NOW - ago < span.start + step
    assert span.end - step <= NOW < span.end


def test_a_range_of_the_past_is_the_whole_steps_that_hold_it_and_ends_where_they_end() -> None:
    span = span_of(NOW, start=NOW - 600.5, end=NOW - 300)
    assert list(span.buckets) == [999_999_420 + 60 * number for number in range(6)]
    window = span.window(None)
    assert (window.start, window.end, window.step_seconds) == (999_999_420.0, 999_999_780.0, 60)


def test_what_has_not_happened_is_left_out_of_a_range() -> None:
    span = span_of(NOW, start=NOW - 90, end=NOW + 10_000)
    assert (span.end, span.window(None).end) == (1_000_000_080, NOW)
    assert span_of(NOW, start=NOW - 90) == span
    assert span_of(NOW) == last_minutes(60, NOW)
    assert span_of(NOW, 5) == last_minutes(5, NOW)


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (NOW - 10, NOW - 10, "end"),
        (NOW - 10, NOW - 20, "end"),
        (NOW - 10, float("inf"), "end"),
        (NOW - 10, float("nan"), "end"),
        (NOW + 1, NOW + 2, "start"),
        (NOW - 400 * DAY - 1, NOW, "start"),
        (float("-inf"), NOW, "start"),
        (float("nan"), NOW, "start"),
    ],
)
def test_a_range_out_of_bounds_is_refused_with_the_bounds_of_the_one_that_is_wrong(start: float, end: float, said: str) -> None:
    bounds = {
        "start": r"start must be .* from 965440030 \(2000-08-05 01:47:10 UTC\) to now, 1000000030 \(2001-09-09 01:47:10 UTC\)",
        "end": r"end must be .* later than start, 1000000020 \(2001-09-09 01:47:00 UTC\)",
    }
    with pytest.raises(ValueError, match=bounds[said]):
        span_of(NOW, start=start, end=end)


def test_a_window_is_said_in_one_way() -> None:
    with pytest.raises(ValueError, match="not by both"):
        span_of(NOW, 5, NOW - 300)
    with pytest.raises(ValueError, match="needs its start"):
        span_of(NOW, end=NOW)


def test_steps_follow_what_is_kept_of_the_kind() -> None:
    assert between(NOW - 2 * DAY, NOW, NOW, kind=QUEUE).step == 60
    assert between(NOW - 60, NOW, NOW, kind=EXCEPTION).step == HOUR
    assert between(NOW - HOUR, NOW, NOW, step=DAY).step == DAY
    with pytest.raises(ValueError, match=r"steps of 60 s are not kept .*; kept are 60 s for 21600 s, 3600 s for"):
        between(NOW - DAY, NOW, NOW, step=60)
    with pytest.raises(ValueError, match=r"steps of 60 s are not kept .*; kept are 3600 s"):
        between(NOW - 60, NOW, NOW, step=60, kind=EXCEPTION)


@pytest.mark.parametrize(("seconds", "step"), [(60, 60), (3600, 60), (86400, HOUR)])
def test_a_window_that_must_hold_some_time_holds_it_and_less_than_a_step_more(seconds: int, step: int) -> None:
    for now in (1_000_000_000.0, 1_000_000_019.9, 1_000_000_020.0, 999_999_999.5):
        window = at_least(seconds, now, step).window(None)
        assert (window.end, window.end - step - seconds < window.start <= now - seconds) == (now, True)
