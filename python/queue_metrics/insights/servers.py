"""How each server is: its last sample, its health, and the workers on it rolled up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from queue_metrics.insights import layout
from queue_metrics.insights.crews import crew_summary
from queue_metrics.insights.measures import counts, distribution, failure_share, rate
from queue_metrics.insights.reading import SeriesReading
from queue_metrics.insights.server_health import capacity, server_health
from queue_metrics.model import ServerAnswer, ServerJobs, ServerProcesses, Window, WorkerAnswer
from queue_metrics.storage.efficiency import CrewMinute
from queue_metrics.storage.servers import ServerReport

_LIVE = ("starting", "idle", "busy")


def servers(
    reports: Iterable[ServerReport],
    workers: Iterable[WorkerAnswer],
    window: Window,
    *,
    stale_seconds: float,
    crews: Mapping[str, Sequence[CrewMinute]],
    uncounted: str,
    jobs: Iterable[SeriesReading] = (),
) -> tuple[ServerAnswer, ...]:
    """
    Every server that reports a sample or has workers, those that need a look first.

    A worker belongs to the server whose name it gives, letter for letter: web-1 has no part in web-10.

    Args:
        reports: the last samples.
        workers: as answered of the same reading.
        window: what the busy share and the rates are about.
        stale_seconds: a sample older than this says nothing about now.
        crews: of each server, its workers' busy and idle time, as the collector counted it.
        uncounted: why there is none of it in the window, where there is none.
        jobs: the series of the servers.
    """
    sampled = {report.hostname: report for report in reports}
    people: dict[str, list[WorkerAnswer]] = {}
    for worker in workers:
        if worker.role == "worker":
            people.setdefault(worker.host, []).append(worker)
    done = {series.labels[0]: series for series in jobs}
    answers = [
        _server(host, sampled.get(host), people.get(host, []), window, stale_seconds, crews.get(host, ()), uncounted, done.get(host))
        for host in {*sampled, *people}
    ]
    answers.sort(key=lambda each: (each.health.score, each.hostname))
    return tuple(answers)


def _server(
    hostname: str,
    report: ServerReport | None,
    workers: Sequence[WorkerAnswer],
    window: Window,
    stale_seconds: float,
    crew: Sequence[CrewMinute],
    uncounted: str,
    jobs: SeriesReading | None,
) -> ServerAnswer:
    sample, age = (None, None) if report is None else (report.sample, report.age)
    together = crew_summary(workers, window, (row.time for row in crew), uncounted)
    busy = together.now_ratio if together.window_ratio is None else together.window_ratio
    return ServerAnswer(
        hostname=hostname,
        window=window,
        sample=sample,
        age_seconds=age,
        health=server_health(sample, age, stale_seconds=stale_seconds),
        workers=together,
        jobs=None if jobs is None else _jobs(jobs, window),
        processes=_processes(workers),
        capacity=capacity(busy) if together.counts.live else None,
    )


def _jobs(series: SeriesReading, window: Window) -> ServerJobs:
    ever, lately = counts(series.total), counts(series.window)
    return ServerJobs(
        processed=ever.ended,
        failure=failure_share(ever),
        window_processed=lately.ended,
        per_second=rate(lately.ended, window.observed_seconds),
        runtime_mean_seconds=distribution(series.window, layout.RUNTIME).mean,
    )


def _processes(workers: Sequence[WorkerAnswer]) -> ServerProcesses:
    live = [worker for worker in workers if worker.state in _LIVE]
    sizes = [worker.rss_bytes for worker in live if worker.rss_bytes is not None]
    shares = [worker.cpu_ratio for worker in live if worker.cpu_ratio is not None]
    return ServerProcesses(
        read=len(sizes),
        rss_mean_bytes=sum(sizes) / len(sizes) if sizes else None,
        rss_total_bytes=sum(sizes) if sizes else None,
        rss_peak_bytes=max((worker.rss_peak_bytes for worker in live if worker.rss_peak_bytes is not None), default=None),
        cpu_read=len(shares),
        cpu_mean_ratio=sum(shares) / len(shares) if shares else None,
    )
