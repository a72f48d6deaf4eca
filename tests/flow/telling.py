"""What each surface tells of a store, brought into one form: counters above 0 by (connection, queue, task)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

import queue_metrics as qm
from tests.flow.checks import stored
from tests.http.asking import HTML, ask

Counts = dict[tuple[str, ...], dict[str, int]]
PLAIN = ("started", "arrivals", "retries_following", "result_errors", "clock_skews")
OUTCOMES = ("succeeded", "failed", "retried", "timed_out", "cancelled", "lost")


def by_the_store(store: str) -> Counts:
    """The totals themselves."""
    return stored(store)[0]


def by_the_api(store: str, part: str = "lifetime") -> Counts:
    """`/v1/tasks`: of each task `lifetime`, or `counts` of the window."""
    found: Counts = {}
    for task in ask(qm.asgi_app(store), "/v1/tasks?limit=1000&minutes=60").json()["tasks"]:
        told: dict[str, Any] = task[part]
        numbers = {key: told[key] for key in (*PLAIN, *OUTCOMES)}
        key = (task["connection"], task["queue"], task["task"])
        assert key not in found
        found[key] = {name: number for name, number in (numbers | told["discarded"]).items() if number}
    return found


def by_prometheus(store: str) -> Counts:
    """`/metrics`, read by the official parser."""
    found: Counts = defaultdict(dict)
    for family in text_string_to_metric_families(ask(qm.asgi_app(store), "/metrics").text):
        for sample in family.samples:
            name = {
                **{f"queue_metrics_{plain}_total": plain for plain in PLAIN},
                "queue_metrics_executions_total": sample.labels.get("outcome"),
                "queue_metrics_discarded_total": sample.labels.get("reason"),
            }.get(sample.name)
            if name is not None:
                key = (sample.labels["connection"], sample.labels["queue"], sample.labels["task"])
                assert name not in found[key]
                found[key][name] = int(sample.value)
    return {key: {name: number for name, number in numbers.items() if number} for key, numbers in found.items()}


FATES = ("processed", "failed", "debounced")
"""How the original counts: what succeeded, what failed, timed out or was lost, what ended without an execution."""


def in_the_words_of_the_original(counts: dict[str, int]) -> dict[str, int]:
    """Of counters by hand."""
    failed = sum(counts.get(name, 0) for name in ("failed", "timed_out", "lost"))
    debounced = sum(counts.get(name, 0) for name in ("revoked", "expired", "rejected", "skipped", "unknown"))
    return {"processed": counts.get("succeeded", 0), "failed": failed, "debounced": debounced}


def by_the_original_series(store: str) -> Counts:
    """`/prometheus`, read by the official parser."""
    found: Counts = defaultdict(dict)
    for sample in _original(store):
        for fate in FATES:
            if sample.name == f"laravel_queue_job_{fate}_total":
                found[sample.labels["connection"], sample.labels["queue"], sample.labels["job"]][fate] = int(sample.value)
    return dict(found)


def sums_of_the_original(store: str) -> dict[str, int]:
    """The same over all tasks, as `/prometheus` has them."""
    values = {sample.name: int(sample.value) for sample in _original(store) if not sample.labels}
    return {fate: values[f"laravel_queue_jobs_{fate}_total"] for fate in ("processed", "failed")}


def _original(store: str) -> list[Sample]:
    text = ask(qm.asgi_app(store), "/prometheus").text
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def by_the_original_endpoint(store: str) -> Counts:
    """`/jobs`; each task of these stories is on one queue."""
    found: Counts = {}
    for job in ask(qm.asgi_app(store), "/jobs").json()["data"].values():
        found[job["connection"], job["queue"], job["job_class"]] = {fate: job["execution"][f"total_{fate}"] for fate in FATES}
    return found


def by_the_front_door(store: str) -> Counts:
    """`qm.connect`."""
    found: Counts = {}
    for task in qm.connect(store).tasks(minutes=60):
        counts = task.lifetime.counts
        numbers = {name: int(getattr(counts, name)) for name in PLAIN}
        numbers |= {outcome.value: number for outcome, number in counts.outcomes.items()}
        numbers |= {reason.value: number for reason, number in counts.discarded.items()}
        found[str(task.connection), str(task.queue), task.task] = {name: number for name, number in numbers.items() if number}
    return found


def measured(store: str) -> dict[tuple[str, ...], tuple[int, int]]:
    """Run times and waits measured, by task."""
    tasks = ask(qm.asgi_app(store), "/v1/tasks?limit=1000").json()["tasks"]
    return {
        (task["connection"], task["queue"], task["task"]): (task["lifetime"]["runtime_seconds"]["n"], task["lifetime"]["wait_seconds"]["n"])
        for task in tasks
    }


def queues(store: str) -> dict[tuple[str, str], int | None]:
    """How many jobs are ready, by (connection, queue)."""
    answer = ask(qm.asgi_app(store), "/v1/queues").json()["queues"]
    return {(queue["connection"], queue["queue"]): queue["ready"] for queue in answer}


def dropped(store: str) -> dict[str, int]:
    """Records that could not be written, by reason."""
    found: dict[str, int] | None = ask(qm.asgi_app(store), "/v1/overview").json()["dropped"]
    return found or {}


def page(store: str) -> str:
    """The page."""
    answer = ask(qm.asgi_app(store), "/", HTML)
    assert answer.status == 200
    return answer.text
