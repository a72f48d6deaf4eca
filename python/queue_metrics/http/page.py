"""The page: one glance at everything, what is wrong first. No script; made anew by the server every few seconds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from queue_metrics import _core
from queue_metrics.http.frame import brand, document
from queue_metrics.http.html import Html, icon, join, named, prose, tag
from queue_metrics.http.spark import bars, line, meter, recorded
from queue_metrics.http.tables import STATUS_ICONS, queue_table, task_table, worker_table
from queue_metrics.insights.wording import ago, count, duration, moment, per_minute, ratio, stretch
from queue_metrics.model import Overview, Snapshot, Status

_WINDOWS = ((15, "15 min"), (60, "1 h"), (360, "6 h"), (1440, "24 h"), (10080, "7 d"))
_HEADLINES = {
    Status.HEALTHY: "All is well",
    Status.WARNING: "Needs a look",
    Status.CRITICAL: "Critical",
    Status.UNKNOWN: "Nothing to judge yet",
}
_MOST_REASONS = 8


@dataclass(frozen=True, slots=True)
class PageView:
    """What the page shows, and how it was asked for."""

    snapshot: Snapshot
    stale_seconds: float | None
    """Age of the snapshot if the store cannot be read now."""
    store: str
    root: str
    """Path at which the app is mounted."""
    minutes: int
    limit: int
    refresh: int
    """Seconds; 0: never."""

    def link(self, **changed: int) -> str:
        """The page asked for in another way."""
        values = {"minutes": self.minutes, "limit": self.limit, "refresh": self.refresh, **changed}
        return f"{self.root}/?" + "&".join(f"{key}={value}" for key, value in values.items())


def render(view: PageView) -> Html:
    """The whole document."""
    overview = view.snapshot.overview
    status = Status.CRITICAL if view.stale_seconds is not None else overview.health.status
    content = (
        _stale(view.stale_seconds) if view.stale_seconds is not None else None,
        _content(view) if overview.tasks or overview.queues else _empty(view),
    )
    title = f"{_HEADLINES[status]} · queue-metrics"
    return document(title, view.root, view.refresh, join(_header(view), tag("main", *content, id="main"), _footer(view)))


def render_unavailable(root: str, why: str, *, refresh: int) -> Html:
    """The page while the store cannot be read and never could; it tries again by itself."""
    banner = _banner(Status.CRITICAL, "The store cannot be read", f"{why[0].upper()}{why[1:]}.")
    body = join(tag("header", brand(root)), tag("main", banner, id="main"))
    return document("No store · queue-metrics", root, refresh, body)


def _header(view: PageView) -> Html:
    windows = (
        tag("a", text, href=view.link(minutes=minutes), aria_current="page" if minutes == view.minutes else None)
        for minutes, text in _WINDOWS
    )
    if view.refresh:
        live = tag("a", icon("pause"), "Pause", href=view.link(refresh=0), class_="live", title=f"loads anew every {view.refresh} s")
    else:
        live = tag("a", icon("play"), "Go live", href=view.link(refresh=5), class_="live paused")
    return tag("header", brand(view.root), tag("nav", *windows, aria_label="Window"), live)


def _content(view: PageView) -> Html:
    snapshot = view.snapshot
    return join(
        _health(snapshot.overview),
        _tiles(view),
        queue_table(snapshot.queues, view.limit, view.link(limit=min(len(snapshot.queues), 1000))),
        task_table(snapshot.tasks, view.limit, view.link(limit=min(len(snapshot.tasks), 1000))),
        worker_table(snapshot.workers, view.limit, view.link(limit=min(len(snapshot.workers), 1000))),
    )


def _banner(status: Status, headline: str, *lines: str | None) -> Html:
    return tag(
        "section",
        tag("div", icon(STATUS_ICONS[status]), class_="seal"),
        tag("div", tag("h1", headline), *lines, class_="words"),
        class_=f"banner {status.value}",
        role="status",
    )


def _stale(age: float) -> Html:
    text = f"These are the numbers of {ago(age)}. Jobs go on, and what they record waits in the spool."
    return _banner(Status.CRITICAL, "The store cannot be read", tag("p", text))


def _health(overview: Overview) -> Html:
    health = overview.health
    reasons = [
        tag("li", icon(STATUS_ICONS[reason.severity]), tag("span", tag("b", f"{reason.severity.value.capitalize()}: "), prose(reason.text)))
        for reason in health.reasons[:_MOST_REASONS]
    ]
    more = len(health.reasons) - len(reasons)
    if more > 0:
        reasons.append(tag("li", f"and {more} more"))
    summary = None if reasons else tag("p", prose(_sentence(overview)))
    return _banner(health.status, _HEADLINES[health.status], tag("ul", *reasons) if reasons else None, summary)


def _sentence(overview: Overview) -> str:
    live, busy = overview.workers.live, overview.workers.busy
    return (
        f"{count(live)} {'worker' if live == 1 else 'workers'} live, {count(busy)} busy; "
        f"{count(overview.counts.ended)} executions ended ({stretch(overview.window)}), {count(overview.counts.failures)} failed."
    )


def _tiles(view: PageView) -> Html:
    tiles = _each_tile(view.snapshot.overview)
    return tag("section", tag("h2", "At a glance", class_="hidden"), tag("dl", *tiles), class_="tiles")


def _each_tile(overview: Overview) -> Iterable[Html]:
    if overview.queues_unknown:
        where = f"depth of {count(overview.queues_unknown)} not known"
    else:
        where = "in 1 queue" if overview.queues == 1 else f"in {count(overview.queues)} queues"
    yield _tile("Waiting now", count(overview.ready), where)
    oldest = overview.latency_queue
    yield _tile("Oldest wait", duration(overview.latency_seconds), None if oldest is None else join("in ", named(oldest[1])))
    history = overview.history
    yield _tile(
        "Throughput",
        per_minute(overview.throughput_per_second),
        f"{count(overview.counts.ended)} ended",
        bars(
            recorded(history, history.ended),
            recorded(history, history.failures),
            f"{count(overview.counts.ended)} executions ended, {count(overview.counts.failures)} failed",
        ),
    )
    failure = overview.failure
    interval = "nothing was decided yet" if failure.ratio is None else f"likely {ratio(failure.low)} to {ratio(failure.high)}"
    yield _tile("Failures", ratio(failure.ratio), interval)
    runtime = overview.runtime
    yield _tile(
        "Runtime p95",
        duration(runtime.p95),
        f"p50 {duration(runtime.p50)}" if runtime.n else None,
        line(recorded(history, history.runtime_p95_seconds), f"95th percentile of the run time, {duration(runtime.p95)} over the window"),
    )
    workers = overview.workers
    part = workers.busy / workers.live if workers.live else None
    yield _tile(
        "Workers busy",
        f"{count(workers.busy)} of {count(workers.live)}",
        _gone(workers.stale, workers.lost) or f"{count(workers.idle + workers.starting)} idle",
        meter(part, f"{ratio(part)} of the live workers are busy"),
    )


def _gone(stale: int, lost: int) -> str | None:
    return ", ".join(f"{count(number)} {word}" for number, word in ((lost, "lost"), (stale, "stale")) if number) or None


def _tile(title: str, value: str, note: str | None, chart: Html | None = None) -> Html:
    return tag(
        "div",
        tag("dt", title),
        tag("dd", value, class_="value"),
        tag("dd", note if isinstance(note, Html) else prose(note or ""), class_="note"),
        tag("dd", chart) if chart else None,
    )


def _empty(view: PageView) -> Html:
    workers = view.snapshot.workers
    return join(
        _health(view.snapshot.overview) if workers else None,
        _first_steps(view.store),
        worker_table(workers, view.limit, view.link(limit=min(len(workers), 1000))) if workers else None,
    )


def _first_steps(store: str) -> Html:
    code = "import queue_metrics as qm\n\nqm.instrument(app)  # your Celery app or Huey instance"
    return tag(
        "section",
        tag("h1", "Nothing recorded yet"),
        tag("p", "Put two lines where your worker is set up, start it, and run a job. Its numbers stand here within seconds."),
        tag("pre", tag("code", code)),
        tag("p", "Nothing comes? Worker and page must use the same store. This page reads ", tag("code", named(store)), "."),
        tag("p", "To see it with real jobs first: ", tag("code", "queue-metrics demo")),
        class_="empty",
    )


def _footer(view: PageView) -> Html:
    window, overview = view.snapshot.overview.window, view.snapshot.overview
    start = window.start if window.observed_from is None else max(window.start, window.observed_from)
    error = (
        ""
        if overview.error_ratio is None
        else f" Percentiles are within {ratio(overview.error_ratio)}; counts, means and maxima are exact."
    )
    handed = "" if overview.drainer_age_seconds is None else f" Last heartbeat {ago(overview.drainer_age_seconds)}."
    told = any(reason.code == "no_collector" for reason in overview.health.reasons)
    waiting = f" {count(overview.waiting_records)} records wait in spools." if overview.waiting_records else ""
    return tag(
        "footer",
        tag(
            "p",
            f"Read {moment(window.end)}. From {moment(start)}, steps of {duration(window.step_seconds)}, the last one still open.",
            error,
            handed,
            waiting,
            prose(f" {overview.collector.message}") if overview.lacks_collector and not told else None,
        ),
        tag(
            "p",
            "Store ",
            tag("code", named(view.store)),
            f" · queue-metrics {_core.__version__} · ",
            tag("a", "JSON", href=f"{view.root}/v1/overview"),
            " · ",
            tag("a", "Prometheus", href=f"{view.root}/metrics"),
            " · ",
            tag("a", "Interface", href=f"{view.root}/docs"),
        ),
    )
