"""How often everything is measured: whole, or `--quick`. Knows no subject."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Effort:
    """Runs of a subject in processes of their own, and whether rounds are cut to a third."""

    runs: int = 3
    quick: bool = False

    def rounds(self, whole: int) -> int:
        """Of so many rounds, how many are taken."""
        return max(whole // 3, 3) if self.quick else whole

    def hurry(self) -> None:
        """One run with a third of the rounds: intervals are twice as wide and more."""
        self.runs, self.quick = 1, True


EFFORT = Effort()
