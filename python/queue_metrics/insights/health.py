"""How healthy a queue and the whole are, with every reason and what it takes from the score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from queue_metrics.insights.wording import count, duration, name, ratio
from queue_metrics.model import CollectorAnswer, Health, QueueAnswer, QueueHealth, Reason, Share, Status, WorkerCounts

# The original's limits: what of a backlog, an age and a failure share still counts as normal, and where their points end.
DEPTH_NORMAL, DEPTH_PER_POINT, DEPTH_POINTS = 100, 10, 30
AGE_NORMAL_SECONDS, AGE_SECONDS_PER_POINT, AGE_POINTS = 300.0, 60.0, 30
FAILURE_POINTS = 20
NO_WORKER_POINTS = 20
DEPTH_UNKNOWN, DEPTH_UNKNOWN_POINTS = "depth_unknown", 5
"""Ours: without it a backlog would look as healthy as none once nobody asks for it."""
HEALTHY_FROM, WARNING_FROM = 80, 50

_Kind = TypeVar("_Kind", bound=Health)
_NO_WORKERS = WorkerCounts(starting=0, idle=0, busy=0, stopped=0, stale=0, lost=0)
_URGENCY = (Status.CRITICAL, Status.WARNING, Status.UNKNOWN, Status.HEALTHY)
FAILURES_FROM = 0.05
"""A failure share counts from where the lower end of its interval passes this: 2 of 20 may be luck, 200 of 2,000 are not."""


def queue_health(
    ready: int | None, age: float | None, failure: Share, workers: int, starting: bool, unstarted: int = 0, lapsed: str | None = None
) -> QueueHealth:
    """
    The health of a queue; unknown, with the reason, when nothing about it is known.

    Args:
        ready: ready jobs.
        age: age of the oldest of them, seconds.
        failure: in the last hour.
        workers: live workers that serve it.
        starting: whether executions began lately, whoever executes them.
        unstarted: jobs that arrived in the last hour, when not one was started in it; 0 otherwise. Tells of a backlog where no broker can
            be asked, as when no worker was ever started.
        lapsed: why the depth is not known any more; None where it is, or never was in the last hour.

    Source:
        The original's score: 100 less up to 30 for depth above 100, up to 30 for age above 300 s, up to 20 for failures, 20 for a
        backlog without a worker.
    """
    reasons = []
    if ready is not None and ready > DEPTH_NORMAL:
        points = min(DEPTH_POINTS, (ready - DEPTH_NORMAL) // DEPTH_PER_POINT)
        reasons.append(Reason(_severity(points), "queue_depth", f"{count(ready)} jobs are waiting.", points))
    if age is not None and age > AGE_NORMAL_SECONDS:
        points = min(AGE_POINTS, int((age - AGE_NORMAL_SECONDS) // AGE_SECONDS_PER_POINT))
        reasons.append(Reason(_severity(points), "queue_age", f"The oldest ready job has waited for {duration(age)}.", points))
    if failure.ratio is not None and failure.low is not None and failure.low > FAILURES_FROM:
        points = min(FAILURE_POINTS, round(failure.ratio * 100))
        text = f"{ratio(failure.ratio)} of the executions of the last hour failed ({count(failure.part)} of {count(failure.n)})."
        reasons.append(Reason(Status.WARNING, "failures", text, points))
    if ready and not workers and not starting:
        reasons.append(Reason(Status.CRITICAL, "no_worker", f"{count(ready)} jobs wait and no worker serves the queue.", NO_WORKER_POINTS))
    if ready is None and unstarted and not workers:
        text = f"{count(unstarted)} jobs arrived, none was started and no worker serves the queue."
        reasons.append(Reason(Status.CRITICAL, "no_worker", text, NO_WORKER_POINTS))
    if lapsed:
        text = f"How many jobs wait is not known any more: {lapsed}."
        reasons.append(Reason(Status.WARNING, DEPTH_UNKNOWN, text, DEPTH_UNKNOWN_POINTS))
    if not reasons and ready is None and failure.n == 0:
        text = "Nobody can say how many jobs wait, and none ended in the last hour."
        return QueueHealth(Status.UNKNOWN, None, (Reason(Status.UNKNOWN, "unseen", text, 0),))
    return _scored(QueueHealth, reasons)


def original_score(depth: int | None, age: float | None, failure_ratio: float | None, workers: int) -> float:
    """
    The original's score of a queue to the letter, 0-100: without regard to chance, and a backlog of later jobs counts too.

    Args:
        depth: jobs, whether they could run now or not; None: not known, takes nothing. So with all that follow.
        age: of the oldest ready job, seconds.
        failure_ratio: failures among the decided, 0-1.
        workers: live ones that serve it.
    """
    taken = min(FAILURE_POINTS, (failure_ratio or 0.0) * 100)
    if depth is not None and depth > DEPTH_NORMAL:
        taken += min(DEPTH_POINTS, (depth - DEPTH_NORMAL) / DEPTH_PER_POINT)
    if age is not None and age > AGE_NORMAL_SECONDS:
        taken += min(AGE_POINTS, (age - AGE_NORMAL_SECONDS) / AGE_SECONDS_PER_POINT)
    if depth and not workers:
        taken += NO_WORKER_POINTS
    return max(100.0 - taken, 0.0)


def original_status(score: float | None) -> Status:
    """Of a score alone; None: nothing is known."""
    if score is None:
        return Status.UNKNOWN
    return Status.HEALTHY if score >= HEALTHY_FROM else Status.WARNING if score >= WARNING_FROM else Status.CRITICAL


def _severity(points: int) -> Status:
    """A backlog that takes as little as healthy queues may lose is told, and no reason to look."""
    return Status.WARNING if points > 100 - HEALTHY_FROM else Status.HEALTHY


def _scored(kind: type[_Kind], reasons: Sequence[Reason]) -> _Kind:
    score = max(100 - sum(reason.points for reason in reasons), 0)
    status = min((original_status(score), *(reason.severity for reason in reasons)), key=_URGENCY.index)
    return kind(status, score, tuple(sorted(reasons, key=lambda reason: (_URGENCY.index(reason.severity), -reason.points))))


def overall_health(
    *,
    queues: Iterable[QueueAnswer],
    failure: Share,
    workers: WorkerCounts,
    drainer_age: float | None,
    stale_seconds: float,
    dropped: Mapping[str, int] | None,
    unreadable: int,
    recorded: bool,
    settling: bool = False,
    goodbye: bool = False,
    collector: CollectorAnswer | None = None,
) -> Health:
    """
    The health of the whole: the worst of what is wrong anywhere, its score the sum of all.

    Args:
        queues: as answered.
        failure: over all queues, in the last hour.
        workers: by state.
        drainer_age: age of the youngest heartbeat in the store, seconds; None: there is none.
        stale_seconds: from which age on nobody is believed to hand over numbers.
        dropped: records that spools dropped, by reason.
        unreadable: heartbeats of a newer version, or damaged.
        recorded: whether anything was ever recorded.
        settling: whether the store may have been away until now, so that nobody could report; then it is no fault of theirs yet.
        goodbye: whether the last process left in good order, with everything counted, and none came since.
        collector: whether one runs. That none ever ran is a choice, that one stopped while workers go on is not.
    """
    # Where no worker was ever seen, an agent or a producer that came and went has left no numbers that could stand still.
    seen = recorded or workers != _NO_WORKERS
    reasons = [*_drainer(drainer_age, stale_seconds, workers, goodbye, settling)] if seen else []
    if dropped:
        causes = ", ".join(f"{cause} {count(number)}" for cause, number in sorted(dropped.items()))
        reasons.append(Reason(Status.CRITICAL, "dropped", f"Records were dropped, so the numbers are too low: {causes}.", 50))
    if workers.lost:
        reasons.append(Reason(Status.WARNING, "workers_lost", _workers(workers.lost, "was lost", "were lost"), 20))
    if workers.stale:
        reasons.append(Reason(Status.WARNING, "workers_stale", _workers(workers.stale, "has gone quiet", "have gone quiet"), 10))
    if unreadable:
        text = f"{count(unreadable)} heartbeats cannot be read: damaged, or of a newer version."
        reasons.append(Reason(Status.WARNING, "heartbeats_unreadable", text, 10))
    if collector is not None and not collector.running and collector.last_pass_seconds is not None and workers.live:
        reasons.append(Reason(Status.WARNING, "no_collector", collector.message, 5))
    told = False  # the queues' own failures say it already
    lapsed = []  # one reason for all: who asks for one asks for most, so the points of each would sum to ruin
    for queue in queues:
        told = told or any(reason.code == "failures" for reason in queue.health.reasons)
        if [reason.code for reason in queue.health.reasons] == [DEPTH_UNKNOWN]:
            lapsed.append(queue)
            continue
        if queue.health.status in (Status.WARNING, Status.CRITICAL):
            text = f"Queue {name(queue.queue)}: {' '.join(reason.text for reason in queue.health.reasons)}"
            reasons.append(Reason(queue.health.status, "queue", text, 100 - (queue.health.score or 0)))
    if lapsed and drainer_age is not None and drainer_age <= stale_seconds:  # else that nobody reports says it already
        reasons.append(Reason(Status.WARNING, DEPTH_UNKNOWN, _lapsed(lapsed), DEPTH_UNKNOWN_POINTS))
    if failure.ratio is not None and failure.low is not None and failure.low > FAILURES_FROM and not told:
        text = f"{ratio(failure.ratio)} of all executions of the last hour failed ({count(failure.part)} of {count(failure.n)})."
        reasons.append(Reason(Status.WARNING, "failures", text, min(FAILURE_POINTS, round(failure.ratio * 100))))
    if not recorded and not reasons:
        return Health(Status.UNKNOWN, None, (Reason(Status.UNKNOWN, "empty", "Nothing was ever recorded in this store.", 0),))
    return _scored(Health, reasons)


def _lapsed(queues: Sequence[QueueAnswer]) -> str:
    first = queues[0]
    if len(queues) == 1:
        return f"Queue {name(first.queue)}: how many jobs wait is not known any more: {first.depth_reason}."
    return f"How many jobs wait is not known any more of {count(len(queues))} queues; of {name(first.queue)}, {first.depth_reason}."


def _workers(number: int, one: str, more: str) -> str:
    return f"{count(number)} worker {one}." if number == 1 else f"{count(number)} workers {more}."


def _drainer(age: float | None, stale_seconds: float, workers: WorkerCounts, goodbye: bool, settling: bool) -> Iterable[Reason]:
    if age is not None and age <= stale_seconds:
        return
    since = "" if age is None else f" for {duration(age)}"
    if (workers.stopped or goodbye) and not (workers.live or workers.stale or workers.lost):
        yield Reason(Status.WARNING, "all_stopped", f"All workers have stopped; nobody has reported{since}.", 20)
    elif settling:
        text = f"No worker or agent has reported{since}, nor did a collector pass all the time: the store may have been away."
        yield Reason(Status.WARNING, "no_drainer", text, 20)
    else:
        text = f"No worker or agent has reported{since}: the numbers stand still."
        yield Reason(Status.CRITICAL, "no_drainer", text, 60)
