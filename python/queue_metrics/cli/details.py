"""Lines that the details of several things have in common; knows no command."""

from __future__ import annotations

from collections.abc import Callable

from queue_metrics.insights.wording import count, duration, moment, ratio, size
from queue_metrics.model import Distribution, Moment, Outcome, QueueAnswer, Share, TaskAnswer


def outcomes(answer: TaskAnswer | QueueAnswer) -> list[tuple[str, str]]:
    """How executions ended and jobs were discarded in the window, and the share of failures."""
    counts = answer.counts
    ended = [f"{count(counts.outcomes[each])} {each.value}" for each in Outcome if counts.outcomes[each]]
    gone = [f"{count(number)} {reason.value}" for reason, number in counts.discarded.items() if number]
    lines = [("outcomes", ", ".join(ended) or "none ended")]
    if gone:
        lines.append(("discarded", ", ".join(gone)))
    return [*lines, ("failed", share(answer.failure))]


def share(found: Share) -> str:
    """1.2 % of 340 (likely 0.4 % to 3.1 %)."""
    if found.ratio is None:
        return "–"
    return f"{ratio(found.ratio)} of {count(found.n)} (likely {ratio(found.low)} to {ratio(found.high)})"


def spread(found: Distribution) -> str:
    """mean 1.2 s, p50 1 s, p95 2 s, p99 3 s, 0.1 s to 4 s (340)."""
    if not found.n:
        return "–"
    say: Callable[[float | None], str] = size if found.unit == "bytes" else duration
    quantiles = "" if found.p50 is None else f", p50 {say(found.p50)}, p95 {say(found.p95)}, p99 {say(found.p99)}"
    bounds = "" if found.min is None else f", {say(found.min)} to {say(found.max)}"
    return f"mean {say(found.mean)}{quantiles}{bounds} ({count(found.n)} measured)"


def when(found: Moment | None) -> str:
    """2026-01-31 12:03:00 UTC, give or take a minute."""
    if found is None:
        return "–"
    return f"{moment(found.at)}, or up to {duration(float(found.resolution_seconds))} later"
