"""
The part of `queue_metrics._core` that does statistics; types only, a file of its own for its length.

At run time there is no such module. docs/measured.md has the formulas, their sources and errors. Where there are too few numbers for
an answer, or all are alike and it is undefined, it is None. Every class is frozen and may be used from any thread and after a fork.
Nothing here raises anything but what is said under "Raises", and TypeError for arguments of other types.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeAlias, final, overload

from typing_extensions import Buffer

class _Array(Protocol):
    """An array of numpy, which to type checkers is a buffer only from Python 3.12 on."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...

_Numbers: TypeAlias = Buffer | _Array | Sequence[float]
"""
n numbers in one dimension, all finite. A contiguous buffer of float64 (`array('d')`, numpy, memoryview, Series) is read in place; one
with gaps and any other sequence of numbers is copied first (some 20 ns a number for a list). Other buffers are a TypeError, more
dimensions, NaN and infinity a ValueError that names the place.

From 65,536 numbers on, where nothing else is said, the GIL is given away while they are worked on. A buffer that others could write to,
which is any but a Series, is copied for that: 8 bytes a number as long as the call lasts. Give a Series where memory is short.
"""

_Integers: TypeAlias = Buffer | _Array | Sequence[int]
"""The same of whole numbers: buffers of int64 (`array('q')`)."""

@final
class Series:
    """
    n numbers (float64) that never change, and a read-only buffer of them: `numpy.asarray(series)` copies nothing.

    `+ - * /` with a number, or with as many numbers, go number by number by the rules of IEEE 754: NaN stays NaN, and 1 / 0 is infinite.
    Some 1 ns a number.

    Raises:
        ValueError: an operation with more or fewer numbers.
    """

    def __new__(cls, values: _Numbers, /) -> Series:
        """
        A copy of the numbers, here also of NaN and infinity, as they are at one moment. From 65,536 on without the GIL while room is made
        for them, which takes most of the time; the copying itself holds it.
        """

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: int, /) -> float: ...
    @overload
    def __getitem__(self, index: slice, /) -> Series: ...
    def __iter__(self) -> Iterator[float]: ...
    def __add__(self, other: float | _Numbers, /) -> Series: ...
    def __sub__(self, other: float | _Numbers, /) -> Series: ...
    def __mul__(self, other: float | _Numbers, /) -> Series: ...
    def __truediv__(self, other: float | _Numbers, /) -> Series: ...
    def __radd__(self, other: float | _Numbers, /) -> Series: ...
    def __rsub__(self, other: float | _Numbers, /) -> Series: ...
    def __rmul__(self, other: float | _Numbers, /) -> Series: ...
    def __rtruediv__(self, other: float | _Numbers, /) -> Series: ...
    def sum(self) -> float:
        """In twice the precision (Ogita, Rump & Oishi 2005); 0 of nothing, NaN where one is not finite."""

    def known(self) -> Series:
        """Those that are not NaN."""

    def take(self, places: _Numbers, /) -> Series:
        """
        Those at these places, whole numbers counted from 0.

        Raises:
            IndexError: there is no such place.
        """

    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Moments:
    """Count, mean, variance, skewness, kurtosis, least and greatest of n numbers. Chan, Golub & LeVeque (1983); Pébay (2008)."""

    def __new__(cls, values: _Numbers | None = None, /) -> Moments:
        """
        About 1 ns a number; from 65,536 on without the GIL. Without numbers the moments of none, neutral in `merge`.

        Raises:
            ValueError: NaN, infinity, or a spread above 1e75, whose fourth power is no double.
        """

    @staticmethod
    def decode(data: bytes, /) -> Moments:
        """
        What `encode` packed.

        Raises:
            DecodeError: damaged bytes or a newer version.
        """

    def encode(self) -> bytes:
        """65 bytes: version 1, n (u64), then f64 of mean, its rest, m2, m3, m4, min, max, little-endian."""

    def merge(self, other: Moments, /) -> Moments:
        """
        Both together; 0.2 us. Commutative to the last bit. In any grouping the mean is within two units in the last place of the
        greatest number, the deviation within 1e-14.

        Raises:
            ValueError: they lie so far apart that fourth powers of deviations leave the range of doubles.
        """

    @property
    def n(self) -> int: ...
    @property
    def mean(self) -> float | None: ...
    @property
    def variance(self) -> float | None:
        """Of a sample, with n - 1; None below two numbers. The deviation is its root."""

    @property
    def population_variance(self) -> float | None:
        """With n: what the original's `std_dev` is the root of."""

    @property
    def skewness(self) -> float | None:
        """Of a population; None if all are alike."""

    @property
    def kurtosis(self) -> float | None:
        """In excess of the normal distribution's 3; None if all are alike."""

    @property
    def min(self) -> float | None: ...
    @property
    def max(self) -> float | None: ...

def quantiles_linear(values: _Numbers, qs: Sequence[float], /) -> list[float] | None:
    """
    Exact quantiles by the linear rule: `i = q (n - 1)`, between the numbers of rank floor i and ceil i in proportion. The original's rule
    and numpy's default (Hyndman & Fan 1996, type 7). None of nothing.

    By selection, O(n): 50 instructions a number for three of 10,000; from 8,192 on without the GIL (the numbers are copied first).

    Raises:
        ValueError: a q is not between 0 and 1; NaN or infinity among the numbers.
    """

def quantiles_nearest_rank(values: _Numbers, qs: Sequence[float], /) -> list[float] | None:
    """
    Exact quantiles by nearest rank: the number of rank `ceil(q n)`, at least 1. The rule of sketches (Hyndman & Fan, type 1).
    Otherwise as `quantiles_linear`.
    """

@final
class Fit:
    """
    A straight line by least squares through n points, at least two of different x. Draper & Smith (1998).

    The slope is within 4 units in the last place of its condition, `s_y / s_x`, of the exact one: also at x in seconds since 1970 and y
    of 1e9 and a little.
    """

    @property
    def n(self) -> int: ...
    @property
    def mean_x(self) -> float: ...
    @property
    def mean_y(self) -> float: ...
    @property
    def slope(self) -> float:
        """In units of y a unit of x; 0 if all y are alike."""

    @property
    def intercept(self) -> float:
        """The y of the line at x = 0; far from the points it says little, see `intercept_error`."""

    @property
    def r_squared(self) -> float | None:
        """The part of the variance of y that the line explains, 0 to 1; None if all y are alike (the original says 0)."""

    @property
    def residual_deviation(self) -> float | None:
        """`sqrt(sum of squared residuals / (n - 2))`, in units of y; None for two points, as all errors and intervals."""

    @property
    def slope_error(self) -> float | None:
        """Standard error of the slope."""

    @property
    def intercept_error(self) -> float | None:
        """Standard error of the intercept."""

    def at(self, x: float, /) -> float:
        """
        The y of the line at an x.

        Raises:
            ValueError: x is not finite.
        """

    def prediction(self, x: float, level: float, /) -> tuple[float, float] | None:
        """
        Between which y one more point at x lies with probability `level` (0 to 1, both excluded), if residuals are independent and
        normal: Student's t with n - 2 degrees of freedom. About 5 us.

        Raises:
            ValueError: x is not finite or level no probability.
        """

    def slope_interval(self, level: float, /) -> tuple[float, float] | None:
        """Between which values the slope lies with probability `level`; otherwise as `prediction`."""

def fit(x: _Numbers, y: _Numbers, /) -> Fit | None:
    """
    The line through points (x, y), in any order of x; None without two different x.

    9 instructions a point of 10,000, three times that if the line fits nearly perfectly; from 65,536 on without
    the GIL.

    Raises:
        ValueError: x and y differ in length; NaN or infinity; a spread whose square is no double (below 1e-146 or above 1e150).
    """

def fit_counted(y: _Numbers, /) -> Fit | None:
    """`fit` with x = 0, 1, 2, ..."""

@final
class SlidingFit:
    """
    The line through the last points. Two stacks of sums (Tangwongsan, Hirzel & Schneider 2017): nothing is subtracted, so nothing drifts.

    Any thread may push; each push is whole. 64 bytes a point.
    """

    def __new__(cls, most: int, span: float | None = None, /) -> SlidingFit:
        """
        An empty window of at most `most` points (1 to 16,777,216); with a span, only of those whose x is at most so much below the last.

        Raises:
            ValueError: most or span out of range.
        """

    def push(self, x: float, y: float, /) -> float | None:
        """
        Take a point in, let go of those that are too old; the slope, or None without two different x.

        750 instructions, of which the call is most; all points are summed again once a window's length, 2 ns each.

        Raises:
            ValueError: x or y is NaN or beyond 1e149; with a span, x is less than the one before. The window stays as it was.
        """

    def push_all(self, x: _Numbers, y: _Numbers, /) -> Series:
        """
        Push points one after the other; the slope after each, NaN where there is none. About 10 ns a point, of which nothing
        is copied: the GIL goes to whoever waits after each 8,192, and then others may push between them, and change those to come.

        Raises:
            ValueError: as `push`; the points before the refused one are in. Or x and y differ in length: then none is.
        """

    @property
    def slope(self) -> float | None: ...
    def fit(self) -> Fit | None:
        """The whole line; its residual deviation is worth 1e-6 of the deviation of y, not less."""

    def __len__(self) -> int:
        """Points in the window."""

@final
class Sketch:
    """
    Counts of whole numbers in base-2 exponential buckets: mergeable quantiles within a stated error. docs/stored-values.md.

    Any order and grouping of merges gives equal sketches, among sketches of one scale also when they collapse; once one of another scale
    has collapsed, how low the lowest kept bucket is depends on the order. DDSketch (Masson, Rim & Lee 2019) with roots of two as bases.
    """

    def __new__(cls, values: _Integers, scale: int = 5, /) -> Sketch:
        """
        Count whole numbers from 0 on. Scale 5 reads back within 1.1 %, 4 within 2.2 %, each less doubles it. 32 instructions a number; from
        8,192 on without the GIL (the numbers are copied first).

        Raises:
            ValueError: a number below 0, or a scale that is not from 0 to 5.
            OverflowError: a number from 2^63 on.
        """

    @property
    def count(self) -> int: ...
    @property
    def scale(self) -> int: ...
    @property
    def collapsed(self) -> bool:
        """Whether more than 1,024 buckets were filled, so that the lowest were joined and low quantiles are too high."""

    @property
    def zeros(self) -> int: ...
    @property
    def buckets(self) -> list[tuple[int, int]]:
        """Index and count, ascending: index i at scale s is `2^(i / 2^s) < number <= 2^((i + 1) / 2^s)`."""

    def quantiles(self, qs: Sequence[float], /) -> list[float] | None:
        """
        The numbers of rank `ceil(q n)`, at least 1, each within the error of the scale; None of nothing. 5,900 instructions for three
        of a sketch with many filled buckets.

        Raises:
            ValueError: a q is not between 0 and 1.
        """

    def deviation(self) -> float | None:
        """Standard deviation of a sample, within twice the error of the scale; None below two numbers."""

    def merge(self, other: Sketch, /) -> Sketch:
        """
        The counts of both, at the lower scale. About 2 us. To have one result of sketches of different scales whatever the order, bring
        all to the lowest scale first: what a finer one lost when it collapsed depends on what it was merged with until then.

        Raises:
            OverflowError: more than 2^63 - 1 numbers.
        """

    def at_scale(self, scale: int, /) -> Sketch:
        """The same counts with neighbours joined; unchanged for a scale above its own."""

def normal_cdf(z: float, /) -> float:
    """
    P(Z <= z) of the standard normal distribution, also of infinite z. Relative error about 1e-13; about 0.2 us. Abramowitz & Stegun
    7.1.6, 7.1.14.

    Raises:
        ValueError: z is NaN.
    """

def normal_quantile(p: float, /) -> float:
    """
    The z with P(Z <= z) = p. Relative error about 1e-15; about 0.1 us. Wichura (1988), AS 241.

    Raises:
        ValueError: p is not strictly between 0 and 1.
    """

def student_t_cdf(t: float, df: float, /) -> float:
    """
    P(T <= t) of Student's distribution; degrees of freedom need not be whole, infinity means the normal distribution. Relative
    error about 1e-13; about 1 us. DLMF 8.17.22, Hill (1970).

    Raises:
        ValueError: t is NaN, or df not above 0.
    """

def student_t_quantile(p: float, df: float, /) -> float:
    """
    The t with P(T <= t) = p, by Newton's method on `student_t_cdf`. Relative error about 1e-13; about 5 us.

    Raises:
        ValueError: p is not strictly between 0 and 1, or df not above 0.
    """
