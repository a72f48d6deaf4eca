"""Other Python threads go on while many numbers are worked on, and what they write then changes no answer."""

from __future__ import annotations

import functools
import operator
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator

import pytest

from queue_metrics import _core
from tests.support.patience import PATIENCE

N = 300_000
RISING = array("d", map(float, range(N)))
SERIES = _core.Series(RISING)
WHOLE = array("q", range(N))
BYTES = memoryview(RISING.tobytes()).cast("d")

WORKS: dict[str, Callable[[], object]] = {
    "fit": functools.partial(_core.fit, RISING, RISING),
    "fit of Series": functools.partial(_core.fit, SERIES, SERIES),
    "fit_counted": functools.partial(_core.fit_counted, RISING),
    "Moments": functools.partial(_core.Moments, RISING),
    "Moments of a Series": functools.partial(_core.Moments, SERIES),
    "Moments of read-only memory": functools.partial(_core.Moments, BYTES),
    "SlidingFit.push_all": functools.partial(_core.SlidingFit(1000).push_all, RISING, RISING),
    "Ewma.push_all": functools.partial(_core.Ewma(1e9).push_all, array("d", [1.0]) * N, RISING),
    "Sketch": functools.partial(_core.Sketch, WHOLE),
    "dispersion_index": functools.partial(_core.dispersion_index, RISING),
    "effective_size": functools.partial(_core.effective_size, RISING),
    "autocorrelation": functools.partial(_core.autocorrelation, RISING, 3),
    "Series": functools.partial(_core.Series, RISING),
    "median": functools.partial(_core.median, RISING),
    "Rate.of_counts": functools.partial(_core.Rate.of_counts, RISING, 1.0),
}


@pytest.fixture(scope="module")
def steps() -> Iterator[list[None]]:
    """The steps of a thread that always wants to go on, and asks for the GIL after 0.1 ms."""
    taken: list[None] = []
    done = threading.Event()

    def go_on() -> None:
        while not done.is_set():
            taken.append(None)
            time.sleep(0)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield taken
    finally:
        done.set()
        thread.join()
        sys.setswitchinterval(interval)


def meanwhile(work: Callable[[], object], taken: list[None]) -> int:
    """How many steps another thread took inside of one call: between the three calls no line of Python is run, where it could."""
    before, _, after = tuple(map(operator.call, (taken.__len__, work, taken.__len__)))
    assert isinstance(before, int)
    assert isinstance(after, int)
    return after - before


@pytest.mark.parametrize("name", WORKS)
def test_another_thread_goes_on_while_many_numbers_are_worked_on(name: str, steps: list[None]) -> None:
    """On a busy machine the other thread may sleep through one call, so it is made until it does not."""
    deadline = time.monotonic() + PATIENCE
    seen = meanwhile(WORKS[name], steps)
    while seen == 0 and time.monotonic() < deadline:
        seen = meanwhile(WORKS[name], steps)
    assert seen > 0


def test_what_keeps_the_gil_is_told_from_what_gives_it_away(steps: list[None]) -> None:
    """The rule that the others are measured with: a sum of Python's own, as long, lets nobody in."""
    assert [meanwhile(functools.partial(sum, RISING), steps) for _ in range(50)] == [0] * 50


def test_a_buffer_may_change_while_its_moments_are_found() -> None:
    """They are those of the numbers at one moment: here all alike."""
    n = 1_000_000
    values = array("d", [0.0]) * n
    states = [array("d", [float(number)]) * n for number in range(3)]
    done = threading.Event()
    changes = 0

    def change() -> None:
        nonlocal changes
        with memoryview(values) as view:
            while not done.is_set():
                changes += 1
                view[:] = states[changes % 3]

    thread = threading.Thread(target=change)
    thread.start()
    try:
        found = [(_core.Moments(values), _core.Series(values)) for _ in range(30)]
    finally:
        done.set()
        thread.join()
    assert changes > 10
    assert all(moments.min == moments.max and series[0] == series[n // 2] == series[-1] for moments, series in found)


def test_points_pushed_in_parts_are_those_pushed_at_once_and_a_refused_one_is_named_by_its_place() -> None:
    n = 50_000
    times = array("d", map(float, range(n)))
    values = array("d", (float(number * 7 % 1000) for number in range(n)))
    for make in (lambda: _core.Ewma(100.0), lambda: _core.SlidingFit(300)):
        one, other = make(), make()
        assert one.push_all(times, values)[-1] == [other.push(*point) for point in zip(times, values, strict=True)][-1]
    spoiled = values[:]
    spoiled[40_000] = float("nan")
    window, ewma = _core.SlidingFit(n), _core.Ewma(100.0)
    with pytest.raises(ValueError, match=r"^point 40000: "):
        window.push_all(times, spoiled)
    assert len(window) == 40_000
    with pytest.raises(ValueError, match=r"^point 40000: "):
        ewma.push_all(times, spoiled)
    with pytest.raises(ValueError, match="not of one length"):
        window.push_all(times, values[1:])
    assert len(window) == 40_000
