"""
The part of `queue_metrics._core` that a few wrong numbers, or neighbours that are alike, do not deceive; types only.

At run time there is no such module. docs/measured.md has the formulas, their sources and errors. What holds of `_core_stats.pyi` holds
here: numbers must be finite, what is undefined is None, every class may be used from any thread and after a fork.
"""

from typing import final

from queue_metrics._core_stats import Series, _Numbers

def median(values: _Numbers, /) -> float | None:
    """
    The middle one of n numbers, or the middle of the two in the middle. None of nothing.

    O(n): about 2 ns a number; from 8,192 on without the GIL (the numbers are copied first).

    Raises:
        ValueError: NaN or infinity.
    """

def median_and_mad(values: _Numbers, /) -> tuple[float, float] | None:
    """
    The median, and the median of the absolute distances from it, in the unit of the numbers: not yet times `MAD_TO_DEVIATION`.
    Hampel (1974). The second is 0 if more than half of the numbers are alike. None of nothing; twice the time of `median`.

    Raises:
        ValueError: NaN, infinity, or distances that are no doubles.
    """

def weighted_median(values: _Numbers, weights: _Numbers, /) -> float | None:
    """
    The number up to which half of the weight lies; where it is exactly half, the middle of it and the next one. None without a weight
    above 0. Edgeworth (1888). O(n log n): about 15 ns a number; from 8,192 on without the GIL.

    Raises:
        ValueError: other lengths, NaN, infinity, or a weight below 0.
    """

def autocorrelation(values: _Numbers, lag: int, /) -> float | None:
    """
    How alike a series is to itself `lag` steps later, -1 to 1. Box & Jenkins (1976). None of nothing, of a constant series, and for a lag
    that has no two numbers. About 2 ns a number; from 65,536 on without the GIL.

    Raises:
        ValueError: NaN, infinity, or a spread whose square is no double.
        OverflowError: a lag below 0.
    """

def autocorrelations(values: _Numbers, most: int, /) -> Series | None:
    """
    Those at lags 0, 1, ... up to `most`, or as far as there are numbers; otherwise as `autocorrelation`. About 1 ns a number and lag,
    without the GIL where that is long.
    """

def effective_size(values: _Numbers, /) -> float:
    """
    How many independent numbers have a mean as certain as that of this series: `n (1 - r) / (1 + r)`, with the first lag r without bias
    (Kendall 1954), held between 0 and 0.99. n of a constant series and below 3 numbers. Raises as `autocorrelation`.
    """

def dispersion_index(counts: _Numbers, /) -> float | None:
    """
    Variance by mean of counts in windows of equal length (Fano 1947): 1 of a Poisson process, above 1 of bursts. None below two
    counts and when all are 0. About 2 ns a count; from 65,536 on without the GIL.

    Raises:
        ValueError: NaN, infinity, or a count below 0.
    """

def spread(values: _Numbers, /) -> Series:
    """
    Each number that occurs more than once moved by up to half of the distance to its nearest other one, evenly, so that small counts have
    ranks (Machado & Santos Silva 2005). Always the same for a place, as far from either end. O(n log n); from 8,192 on without the GIL.

    Raises:
        ValueError: NaN or infinity.
    """

def wilson_interval(k: int, n: int, level: float, /) -> tuple[float, float] | None:
    """
    Between which values the share behind k of n lies with a confidence of `level` (0 to 1, both excluded). Wilson (1927). None of n = 0.
    About 0.2 us.

    Raises:
        ValueError: k above n, or level is no probability.
        OverflowError: k or n is below 0 or above 2^64 - 1.
    """

@final
class TheilSen:
    """A straight line by the median of the slopes between points (Theil 1950, Sen 1968); up to 29 % of the points may be wrong."""

    @property
    def n(self) -> int: ...
    @property
    def slope(self) -> float:
        """In units of y a unit of x."""

    @property
    def intercept(self) -> float:
        """The y of the line at x = 0, such that the median residual is 0."""

    @property
    def autocorrelation(self) -> float:
        """Of the ranks of the residuals at lag 1 in order of x, without bias, -0.5 to 0.99; 0 of a perfect line."""

    @property
    def effective_size(self) -> float:
        """How many independent points the line rests on, n at most (Hamed & Rao 1998)."""

    @property
    def growing(self) -> float | None:
        """
        The probability that the slope is above 0, by how many pairs rise (Mann 1945): Student's t with `effective_size` - 2 degrees of
        freedom. None when two points or fewer are left, as the two below.
        """

    @property
    def p_value(self) -> float | None:
        """The probability that without a trend so many pairs more rise, or fall. 1 of a level line, 0 of another without residuals."""

    def at(self, x: float, /) -> float:
        """
        The y of the line at an x.

        Raises:
            ValueError: x is not finite.
        """

    def slope_interval(self, level: float, /) -> tuple[float, float] | None:
        """
        Between which values the slope lies with probability `level`, by the ranks of the slopes (Sen 1968); at most all of them, and then 0
        too. Up to half as long as the line took, and without the GIL where that is long.

        Raises:
            ValueError: level is not strictly between 0 and 1.
        """

def theil_sen(x: _Numbers, y: _Numbers, /) -> TheilSen | None:
    """
    The line through points (x, y), in any order of x; None without two different x.

    All pairs up to 512 points: 60 give 1,770 slopes in some 6 us, 512 give 130,816 in some 2 ms. Of more points about as many pairs, spread
    evenly over all distances; the line is told to be less certain by those left out. From 64 on without the GIL (the points are
    copied first).

    Raises:
        ValueError: x and y differ in length; NaN or infinity; spreads whose squares or slopes are no doubles.
    """

def intervals(times: _Numbers, values: _Numbers, origin: float, length: float, /) -> tuple[Series, Series, Series, Series]:
    """
    A series in intervals of time, of those that have a number: their places (one begins at `origin` + place `length`), how many numbers
    each has, their sums, and the index of the last of each. `times` ascend; NaN among `values` is a gap. Some 5 ns a number.

    Raises:
        ValueError: times and values differ in length, a time is not finite, or `length` is not above 0.
    """

def balance(starts: _Numbers, step: float, depths: _Numbers, left: _Numbers, /) -> Series:
    """
    What arrived in each step, by the depth at its end: what left plus the change of depth; below 0 where something left between a look at
    the depth and its being counted. NaN in the first step, and where a depth or the step before is missing.

    Raises:
        ValueError: they differ in length, or a start is not finite.
    """

def variation(counts: _Numbers, sums: _Numbers, /) -> float | None:
    """
    The squared coefficient of variation of a single number, of which only counts and sums of groups are known: the mean square between
    groups (Fisher 1925) by the squared mean. None below two groups that have numbers, and of a mean of 0.

    Raises:
        ValueError: they differ in length, or one is not finite.
    """

@final
class Rate:
    """Events a second, and how sure that is."""

    @staticmethod
    def of_counts(counts: _Numbers, seconds: float, /) -> Rate | None:
        """
        The rate of counts in windows of `seconds` each; the variance of its logarithm is the index of dispersion of the counts by their
        sum (Cox & Lewis 1966). A sum of 0 is taken for half an event, and less than one event is never uncertain. None without a window.

        Raises:
            ValueError: NaN, infinity, a count below 0, or seconds that are not above 0.
        """

    @staticmethod
    def of_slots(slots: float, executions: float, busy_seconds: float, variation: float, /) -> Rate | None:
        """
        The rate at which so many slots end executions while all are busy.

        Args:
            slots: how many executions run at once, above 0.
            executions: how many were measured.
            busy_seconds: how long they took together.
            variation: squared coefficient of variation of a run time: 1 of an exponential one, 0 if all are alike.

        Returns:
            `slots executions / busy_seconds`, whose logarithm has the variance `variation / executions`; None of no execution.

        Raises:
            ValueError: a number is below 0 or not finite.
        """

    @property
    def per_second(self) -> float: ...
    @property
    def variance(self) -> float:
        """Of the logarithm of the rate: the square of its relative error."""

    @property
    def size(self) -> float:
        """How many independent events it is as sure as."""

@final
class Flow:
    """
    What arrives at a queue beside what could be started, two rates that were found apart; a microsecond.

    A stable queue wanders so long that every test of a line through its depth calls trends where there are none; this one asks whether
    the load is above 1. docs/insights.md has what it rests on.
    """

    def __new__(cls, arrivals: Rate, capacity: Rate, /) -> Flow: ...
    @property
    def load(self) -> float:
        """Arrivals by capacity; above 1 the queue grows for ever."""

    @property
    def load_error(self) -> float:
        """Standard error of the logarithm of the load."""

    @property
    def growing(self) -> float:
        """The probability that the load is above 1: the normal distribution at `ln load / load_error`."""

    @property
    def drift(self) -> float:
        """Arrivals less capacity: the change of depth in a second while jobs wait."""

    def drift_interval(self, level: float, /) -> tuple[float, float]:
        """
        Between which values the drift lies with probability `level`.

        Raises:
            ValueError: level is not strictly between 0 and 1.
        """

@final
class Ewma:
    """
    Mean and variance of a series with weights that halve in `half_life`, whatever the gaps. West (1979). Any thread may push; each push is
    whole.
    """

    def __new__(cls, half_life: float, /) -> Ewma:
        """
        Args:
            half_life: in the unit of the times, above 0.

        Raises:
            ValueError: another half-life.
        """

    def push(self, time: float, value: float, /) -> float:
        """
        Take a number in; the mean after it: of the first number that number. About 60 ns.

        Raises:
            ValueError: NaN, infinity, a time before the last one, or a distance whose square is no double. Nothing changes then.
        """

    def push_all(self, times: _Numbers, values: _Numbers, /) -> Series:
        """
        Push numbers one after the other; the mean after each. About 12 ns a number, of which nothing is copied: the GIL goes to whoever
        waits after each 8,192, and then others may push between them, and change those to come.

        Raises:
            ValueError: as `push`; the numbers before the refused one are in. Or the lengths differ: then none is.
        """

    @property
    def mean(self) -> float | None: ...
    @property
    def variance(self) -> float | None:
        """Without bias; of equal weights that of a sample. None below two numbers, or when nothing is left of all but the last."""

    @property
    def effective_size(self) -> float:
        """How many numbers of equal weight the mean is worth; 0 of nothing."""
