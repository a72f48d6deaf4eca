"""Whether a job runs far longer than jobs of its task do: a worker that hangs still beats, and shows by the age of its job only."""

from __future__ import annotations

from collections.abc import Callable

from queue_metrics._core import Value
from queue_metrics.insights import layout
from queue_metrics.insights.wording import duration, name

LEAST_SECONDS = 60.0
"""No job is stuck before."""
TIMES_P99 = 3.0
LEAST_EXECUTIONS = 20
"""So many runtimes are needed before a p99 says what is usual."""
MOST_COMPARED = 64
"""Among so many running jobs a worker finds the one that runs longest; of more, one of the oldest."""


def stuck(elapsed: float | None, task: str, usual: Callable[[], Value | None], running: int = 1) -> tuple[bool | None, str | None]:
    """
    Whether a job has run for longer than a minute and three times the p99 of its task, and why, or why nobody can say (None).

    A heartbeat has room for one job, that which runs longest. So of a worker that runs several it is said that none is stuck only while
    that one is younger than a minute, as the others then are.

    Args:
        elapsed: seconds that it has been running; None: not known.
        task: its name.
        usual: what is known of the task's runtimes; asked only where it matters.
        running: how many jobs the worker runs, this among them.
    """
    if elapsed is None:
        return None, "nobody knows when the job began"
    if elapsed <= LEAST_SECONDS and running <= MOST_COMPARED:
        return False, None
    value = usual() or Value()
    measured = value.measure(layout.RUNTIME)
    n = 0 if measured is None else measured[0]
    quantiles = value.quantiles(layout.RUNTIME, (0.99,)) if n >= LEAST_EXECUTIONS else None
    if quantiles is None:
        return None, f"the job has run for {duration(elapsed)}; what is usual is known from {LEAST_EXECUTIONS} executions on, not {n}"
    p99 = quantiles[0] / layout.MICROSECONDS
    if elapsed <= max(LEAST_SECONDS, TIMES_P99 * p99):
        return (
            (False, None)
            if running == 1
            else (None, f"it runs {running} jobs, and only the one that runs longest is known, which is not stuck")
        )
    return True, f"the job has run for {duration(elapsed)}; 99 % of {n} executions of {name(task)} took {duration(p99)} at most"
