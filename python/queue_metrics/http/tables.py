"""The three tables of the page: queues, tasks, workers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from queue_metrics.http.html import Html, icon, join, named, tag
from queue_metrics.http.spark import bars, line, meter, recorded
from queue_metrics.insights.health import FAILURES_FROM
from queue_metrics.insights.wording import ago, count, duration, per_minute, ratio, size
from queue_metrics.model import Distribution, Health, Outcome, QueueAnswer, Share, Status, TaskAnswer, WorkerAnswer

STATUS_ICONS = {Status.HEALTHY: "ok", Status.WARNING: "warning", Status.CRITICAL: "critical", Status.UNKNOWN: "unknown"}
_STATE_KINDS = {
    "busy": "ok",
    "idle": "quiet",
    "up": "quiet",
    "starting": "quiet",
    "stopped": "quiet",
    "stale": "warning",
    "lost": "critical",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a column: its head, its content, and how it is set."""

    head: str
    content: Html
    kind: str = ""


def queue_table(queues: Sequence[QueueAnswer], limit: int, more: str) -> Html:
    """Every queue, worst first."""
    return _table(
        "queues",
        "Queues",
        "Worst first. Depth and age as the broker said last.",
        [_queue(each) for each in queues[:limit]],
        len(queues),
        more,
    )


def task_table(tasks: Sequence[TaskAnswer], limit: int, more: str) -> Html:
    """Every task, most run time first."""
    note = "Those that take most of the run time first: Share is their part of it. All time counts what began since the store was made."
    return _table("tasks", "Tasks", note, [_task(each) for each in tasks[:limit]], len(tasks), more)


def worker_table(workers: Sequence[WorkerAnswer], limit: int, more: str) -> Html:
    """Every process, those that need a look first."""
    note = "What needs a look first. Busy share over the life of the process."
    return _table("workers", "Workers", note, [_worker(each) for each in workers[:limit]], len(workers), more)


def badge(kind: str, symbol: str, word: str, title: str | None = None) -> Html:
    """A state: icon, word and colour, never colour alone."""
    return tag("span", icon(symbol), word, class_=f"badge {kind}", title=title)


def _queue(queue: QueueAnswer) -> Iterable[Cell]:
    yield Cell("Queue", _title(*dict.fromkeys((queue.queue, queue.connection))), "name")
    yield Cell("Health", _health(queue.health))
    yield Cell("Ready", _two(count(queue.ready), _depth_note(queue)), "number strong")
    yield Cell("Oldest", _one(duration(queue.latency_seconds)), "number")
    yield Cell("Depth", line(recorded(queue.history, queue.history.ready), _depth_label(queue)), "chart")
    yield Cell("In", _one(per_minute(queue.arrivals_per_second)), "number")
    yield Cell("Out", _one(per_minute(queue.ends_per_second)), "number")
    yield Cell("Wait p50 / p95", _pair(queue.wait), "number")
    yield Cell("Failures", _failures(queue.failure), "number")
    yield Cell("Workers", _one(count(queue.workers)), "number")


def _task(task: TaskAnswer) -> Iterable[Cell]:
    history = task.history
    owner = " · ".join(dict.fromkeys(part for part in (task.queue, task.connection) if part is not None))
    yield Cell("Task", _title(task.task, owner), "name")
    share = ratio(task.capacity_ratio)
    yield Cell("Share", join(tag("span", share), meter(task.capacity_ratio, f"{share} of all run time")), "number meters")
    yield Cell("Ended", _two(count(task.counts.ended), _outcomes(task)), "number strong")
    yield Cell("Over time", bars(recorded(history, history.ended), recorded(history, history.failures), _ended_label(task)), "chart")
    yield Cell("Failures", _failures(task.failure), "number")
    yield Cell("Runtime p50 / p95", _pair(task.runtime), "number")
    yield Cell(
        "p95 over time",
        line(recorded(history, history.runtime_p95_seconds), f"95th percentile of the run time, at most {duration(task.runtime.max)}"),
        "chart second",
    )
    yield Cell("Wait p95", _two(duration(task.wait.p95), f"max {duration(task.wait.max)}" if task.wait.n else None), "number")
    yield Cell("CPU", _two(duration(task.cpu.mean), f"max {duration(task.cpu.max)}" if task.cpu.n else None), "number")
    yield Cell(
        "Memory", _two(size(task.memory_peak.max), f"{_signed(task.memory_change.mean)} a job" if task.memory_change.n else None), "number"
    )
    yield Cell("All time", _one(count(task.lifetime.counts.started)), "number")


def _worker(worker: WorkerAnswer) -> Iterable[Cell]:
    yield Cell(
        "Worker", _title(f"{worker.host}:{worker.pid}", f"{worker.role} · {worker.library}" if worker.library else worker.role), "name"
    )
    yield Cell("State", badge(_STATE_KINDS[worker.state], worker.state, worker.state))
    serves = dict.fromkeys(part for part in (worker.queue, worker.connection) if part)
    yield Cell("Serves", _title(*serves) if serves else _one("–"), "name")
    yield Cell("Now", _title(worker.task, worker.job_id or "") if worker.task else _one("–"), "name")
    yield Cell("For", _one(duration(worker.elapsed_seconds)), "number")
    busy = ratio(worker.busy_ratio)
    bar = None if worker.busy_ratio is None else meter(worker.busy_ratio, f"busy {busy} of its life")
    yield Cell("Busy", join(tag("span", busy), bar), "number meters")
    yield Cell("Memory", _two(size(worker.rss_bytes), f"peak {size(worker.rss_peak_bytes)}" if worker.rss_peak_bytes else None), "number")
    yield Cell("CPU", _two(duration(worker.cpu_seconds), None if worker.cpu_ratio is None else f"{ratio(worker.cpu_ratio)} now"), "number")
    yield Cell("Jobs", _two(count(worker.jobs), f"{count(worker.failures)} failed" if worker.failures else None), "number")
    yield Cell("Up", _one(duration(worker.uptime_seconds)), "number")
    yield Cell("Seen", _one(ago(worker.last_seen_seconds)), "number")


def _table(anchor: str, title: str, note: str, rows: Sequence[Iterable[Cell]], total: int, more: str) -> Html:
    cells = [list(row) for row in rows]
    if not cells:
        return tag("section", tag("h2", title, id=f"{anchor}-title"), tag("p", f"No {anchor} yet.", class_="none"), id=anchor)
    # As cards on narrow screens rows lose their display of a table, and with it, in some browsers, their roles: hence the roles.
    head = tag("tr", *(tag("th", cell.head, scope="col", class_=cell.kind or None, role="columnheader") for cell in cells[0]), role="row")
    body = (tag("tr", *_cells(row), role="row") for row in cells)
    shown = f"{count(len(cells))} of {count(total)}" if len(cells) < total else count(total)
    return tag(
        "section",
        tag("h2", title, " ", tag("span", shown, class_="count"), id=f"{anchor}-title"),
        tag(
            "div",
            tag(
                "table",
                tag("caption", note),
                tag("thead", head, role="rowgroup"),
                tag("tbody", *body, role="rowgroup"),
                role="table",
                aria_labelledby=f"{anchor}-title",
            ),
            class_="scroll",
            tabindex="0",
            role="region",
            aria_labelledby=f"{anchor}-title",
        ),
        tag("p", tag("a", f"Show all {count(total)}", href=more), class_="more") if len(cells) < total else None,
        id=anchor,
    )


def _cells(row: Sequence[Cell]) -> Iterable[Html]:
    first, *others = row
    yield tag("th", first.content, scope="row", class_=first.kind or None, role="rowheader")
    for cell in others:
        yield tag("td", cell.content, class_=cell.kind or None, data_label=cell.head, role="cell")


def _title(text: str, below: str = "") -> Html:
    return join(named(text), tag("small", named(below)) if below else None)


def _one(text: str) -> Html:
    return tag("span", text)


def _two(text: str, below: str | None) -> Html:
    return join(tag("span", text), tag("small", below) if below else None)


def _pair(distribution: Distribution) -> Html:
    if not distribution.n:
        return _one("–")
    return _two(f"{duration(distribution.p50)} / {duration(distribution.p95)}", f"max {duration(distribution.max)}")


def _failures(share: Share) -> Html:
    if share.ratio is None:
        return _one("–")
    between = f"{count(share.part)} of {count(share.n)}; likely {ratio(share.low)} to {ratio(share.high)} (95 % interval)"
    kind = "bad" if (share.low or 0.0) > FAILURES_FROM else None
    return tag("span", ratio(share.ratio), title=between, class_=kind)


def _health(health: Health) -> Html:
    why = " ".join(f"{reason.text} (-{reason.points})" for reason in health.reasons) or None
    word = health.status.value if health.score is None else f"{health.status.value} {health.score}"
    return badge(health.status.value, STATUS_ICONS[health.status], word, why)


def _depth_note(queue: QueueAnswer) -> str | None:
    if queue.depth_reason is not None:
        return "not known" if queue.depth_age_seconds is None else f"last asked {ago(queue.depth_age_seconds)}"
    parts = ((queue.running, "running"), (queue.reserved, "reserved"), (queue.scheduled, "scheduled"))
    return " · ".join(f"{count(number)} {word}" for number, word in parts if number) or None


def _depth_label(queue: QueueAnswer) -> str:
    known = [depth for depth in queue.history.ready if depth is not None]
    return f"ready jobs: {count(min(known))} to {count(max(known))}, {count(known[-1])} last" if known else "ready jobs: not known"


def _outcomes(task: TaskAnswer) -> str | None:
    order = (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.LOST, Outcome.RETRIED, Outcome.CANCELLED)
    outcomes = task.counts.outcomes
    return " · ".join(f"{count(outcomes[each])} {each.value.replace('_', ' ')}" for each in order if outcomes[each]) or None


def _ended_label(task: TaskAnswer) -> str:
    known = [number for number in task.history.ended if number is not None]
    return (
        f"ended per step: {count(min(known))} to {count(max(known))}, {count(task.counts.failures)} failures" if known else "nothing ended"
    )


def _signed(number: float | None) -> str:
    return f"+{size(number)}" if number is not None and number > 0 else size(number)
