"""How soon a process hands over again: the rule as it is, whatever a store, a spool and chance do."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_metrics.recording.pace import (
    FEW_RECORDS,
    FIRST_RETRY_SECONDS,
    OUTAGE_SECONDS,
    RETURN_SECONDS,
    Handed,
    next_interval,
    next_retry,
    spread,
    until_retry,
)

SPOOL_RECORDS = (256 << 20) // 64
SHORTEST, LONGEST = 1.0, 10.0

seconds = st.floats(0.0, 1e6)
chances = st.floats(0.0, 1.0)
handed = st.builds(Handed, st.integers(0, 1000), st.integers(0, 10**9), seconds, seconds)


def after_many(batch: Handed, before: float = SHORTEST) -> float:
    """Where the interval settles when every turn is like this one."""
    for _ in range(20):
        before = next_interval(before, batch, SHORTEST, LONGEST)
    return before


@given(st.floats(SHORTEST, LONGEST), handed)
def test_an_interval_stays_between_the_shortest_and_the_longest_and_moves_by_two_at_most(before: float, batch: Handed) -> None:
    after = next_interval(before, batch, SHORTEST, LONGEST)
    assert SHORTEST <= after <= min(LONGEST, 2 * before)


@given(st.floats(SHORTEST, LONGEST), st.integers(1, 10**6), st.integers(0, 10**6), seconds, seconds)
def test_a_store_that_needs_longer_is_never_asked_sooner(before: float, batches: int, records: int, one: float, other: float) -> None:
    quick, slow = sorted((one, other))
    intervals = [next_interval(before, Handed(batches, records, needed, 1.0), SHORTEST, LONGEST) for needed in (quick, slow)]
    assert intervals == sorted(intervals)


@given(st.floats(SHORTEST, LONGEST), st.floats(0.0, 0.05), st.integers(1, 10_000), st.floats(0.5, 12.0))
def test_on_a_quick_store_numbers_are_a_second_old_whatever_came_before(
    before: float, needed: float, records: int, gathered: float
) -> None:
    assert after_many(Handed(1, records, needed, gathered), before) == SHORTEST


@given(st.floats(0.0, 0.5), st.integers(FEW_RECORDS, 50_000))
def test_a_spool_has_a_tenth_of_its_store_at_most_until_it_asks_as_seldom_as_it_may(needed: float, records: int) -> None:
    interval = after_many(Handed(1, records, needed, 1.0))
    assert needed <= 0.1 * interval * 1.001


def test_a_slow_store_is_asked_less_often_and_for_little_half_as_often() -> None:
    slowing = itertools.accumulate(
        range(5), lambda before, _: next_interval(before, Handed(1, 5_000, 2.0, before), SHORTEST, LONGEST), initial=SHORTEST
    )
    assert list(slowing) == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert after_many(Handed(1, FEW_RECORDS, 0.3, 3.0)) == pytest.approx(3.0)
    assert after_many(Handed(1, FEW_RECORDS - 1, 0.3, 6.0)) == pytest.approx(6.0)


def test_a_turn_without_a_batch_changes_nothing() -> None:
    """It cost the store nothing, and waiting longer would only make the first job after it be seen later."""
    assert [next_interval(before, Handed(0, 0, 0.0, before), SHORTEST, LONGEST) for before in (1.0, 3.0, 10.0)] == [1.0, 3.0, 10.0]


@given(st.floats(1.0, SPOOL_RECORDS / 12.5), st.floats(SHORTEST, LONGEST), seconds)
def test_a_spool_never_comes_near_nine_tenths_between_two_turns(a_second: float, before: float, needed: float) -> None:
    """However slow the store: three quarters are what is kept of drained records, at most, and the pause may be a quarter longer."""
    for _ in range(20):
        before = next_interval(before, Handed(1, int(a_second * before), needed, before), SHORTEST, LONGEST)
    assert 0.75 * SPOOL_RECORDS + a_second * spread(before, 1.0) < 0.9 * SPOOL_RECORDS


@given(seconds, chances)
def test_chance_changes_a_pause_by_a_quarter_at_most(pause: float, chance: float) -> None:
    assert 0.75 * pause <= spread(pause, chance) <= 1.25 * pause


@given(st.floats(0.0, OUTAGE_SECONDS, exclude_max=True), st.integers(0, 40), st.floats(0.0, RETURN_SECONDS), chances)
def test_a_short_trouble_is_over_within_seconds(failing: float, tries: int, moment: float, chance: float) -> None:
    pause = FIRST_RETRY_SECONDS
    for _ in range(tries):
        pause = next_retry(pause)
    assert 0.0 < until_retry(failing, pause, moment, chance) <= 1.25 * min(2.0**tries, OUTAGE_SECONDS)


@given(st.floats(OUTAGE_SECONDS, 1e6), st.floats(0.0, RETURN_SECONDS, exclude_max=True), chances)
def test_in_an_outage_a_host_tries_once_in_thirty_seconds_always_at_its_own_moment(failing: float, moment: float, chance: float) -> None:
    pause = until_retry(failing, OUTAGE_SECONDS, moment, chance)
    assert 0.0 < pause <= RETURN_SECONDS
    off = (failing + pause - moment) % RETURN_SECONDS
    assert min(off, RETURN_SECONDS - off) < 1e-6
    assert until_retry(failing + pause + 1e-3, OUTAGE_SECONDS, moment, chance) == pytest.approx(RETURN_SECONDS - 1e-3)


@settings(max_examples=20)
@given(st.floats(20.0, 1_000.0), st.integers(0, 2**32))
def test_a_fleet_returns_evenly_within_thirty_seconds(outage: float, seed: int) -> None:
    """600 hosts that lost their store in one moment, whose tries take some time: each sixth of the thirty seconds has its share of them."""
    draw, returned = random.Random(seed).random, [0] * 6
    for host in range(600):
        now, pause, moment = 0.0, FIRST_RETRY_SECONDS, RETURN_SECONDS * (host + draw()) / 600
        while now < outage:
            now += until_retry(now, pause, moment, draw())
            pause = next_retry(pause)
            if now < outage:
                now += 0.2 * draw()
        returned[int((now - outage) // (RETURN_SECONDS / 6))] += 1
    assert sum(returned) == 600
    assert all(70 <= part <= 130 for part in returned), returned
