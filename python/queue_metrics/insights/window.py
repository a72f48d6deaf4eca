"""Which points answer a question about the last N minutes."""

from __future__ import annotations

from dataclasses import dataclass

from queue_metrics.model import Window
from queue_metrics.storage.base import DAY, HOUR, MINUTE, RETENTION, TASK

MINUTES_MAX = RETENTION[TASK, DAY] // 60
"""The longest window, minutes: what days are kept."""
MINUTES_DEFAULT = 60


@dataclass(frozen=True, slots=True)
class Span:
    """The steps of a window: buckets from `start` up to `end`, excluded; the last one is open."""

    start: int
    end: int
    step: int
    now: float

    @property
    def buckets(self) -> range:
        """Starts of the steps, seconds since 1970."""
        return range(self.start, self.end, self.step)

    def window(self, observed_from: int | None) -> Window:
        """As it stands in answers."""
        return Window(float(self.start), self.now, self.step, None if observed_from is None else float(observed_from))


def last_minutes(minutes: int, now: float) -> Span:
    """
    The finest steps that are kept for the whole window, ending with the open one; 60 minutes are 60 steps, the last of them unfinished.

    Raises:
        ValueError: minutes is not between 1 and MINUTES_MAX.
    """
    if not 1 <= minutes <= MINUTES_MAX:
        raise ValueError(f"minutes must be between 1 and {MINUTES_MAX}, not {minutes}")
    seconds = minutes * 60
    step = next(step for step in (MINUTE, HOUR, DAY) if seconds <= RETENTION[TASK, step])
    end = (int(now) // step + 1) * step
    return Span(end - -(-seconds // step) * step, end, step, now)
