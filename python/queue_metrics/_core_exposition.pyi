"""The Rust core: Prometheus text. Types only; `_core.pyi` has these names."""

from collections.abc import Sequence
from typing import final

@final
class Totals:
    """Stored values of many series, decoded together: no object of Python for each."""

    def __new__(cls, packed: Sequence[bytes], /) -> Totals:
        """
        Raises:
            DecodeError: one is damaged or newer than this package.
        """

    def __len__(self) -> int: ...

@final
class Exposition:
    """
    Totals of many series as Prometheus text 0.0.4, scrape after scrape. The text of the last scrape is kept while its series are the same,
    and only numbers that changed are written anew, without the interpreter's lock.
    """

    def __new__(cls, families: Sequence[tuple[str, str, str, Sequence[tuple[str, str, str, int]]]]) -> Exposition:
        """
        Args:
            families: (name, help, type, lines); a line is (suffix, a rendered label or nothing, cell, index). Its number is that of the
                cell of a total: `counter`, `step` (a counter added to the steps before), `steps` (all of them), `count` and `sum` of a
                measure, `seconds` (its sum in µs, as seconds, exactly).

        Raises:
            ValueError: there is no such cell.
        """

    def text(self, places: tuple[str, ...], totals: Totals, /) -> bytes:
        """
        All lines of all series, by family; UTF-8.

        Args:
            places: the rendered labels of each. Where it is the tuple of the last scrape, nothing is compared.
            totals: as many, in the same order.

        Raises:
            ValueError: there are more or fewer.
        """

def exposition_family(name: str, help: str, kind: str, samples: list[tuple[str, float | None]]) -> bytes:
    """
    One family with numbers that are no totals (rendered labels, number); None is absent. Doubles as the shortest text that reads back.
    """
