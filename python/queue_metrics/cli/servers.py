"""`queue-metrics servers`: every server in a table, those that need a look first; or one in full."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from queue_metrics.cli.reading import add_store_options, add_window_options, open_metrics, tell, window_of
from queue_metrics.cli.terminal import SIGNS, STYLES, Screen, shown
from queue_metrics.insights.wording import UNKNOWN, ago, count, duration, per_minute, ratio, size
from queue_metrics.model import ServerAnswer, ServerStatus

HELP = "show every server with its health, its load and its workers, what needs a look first, or one server in full"

_HEADS = ("SERVER", "HEALTH", "CPU", "MEMORY", "DISK", "LOAD/CORE", "WORKERS", "BUSY", "ENDED", "SEEN")
_SPARE = ("ENDED", "LOAD/CORE", "BUSY", "SEEN", "DISK", "MEMORY")
_STYLES: Mapping[ServerStatus, str] = MappingProxyType(
    {
        ServerStatus.HEALTHY: "plain",
        ServerStatus.DEGRADED: "warning",
        ServerStatus.WARNING: "warning",
        ServerStatus.CRITICAL: "critical",
        ServerStatus.UNKNOWN: "soft",
    }
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of servers."""
    parser.add_argument("hostname", nargs="?", metavar="HOST", help="this one in full")
    add_store_options(parser, "a list of servers as /v1/servers has them, or one,")
    add_window_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print it; 1 when what is shown is critical."""
    window = window_of(args)
    from queue_metrics.http import detail_encode

    with open_metrics(args) as metrics:
        collector = metrics.collector()
        if args.hostname is None:
            answers = metrics.servers(**window)
            tell(args, collector, lambda: [detail_encode.server(each) for each in answers], lambda screen: _list(screen, answers))
        else:
            answers = (metrics.server(args.hostname, **window),)
            tell(args, collector, lambda: detail_encode.server(answers[0]), lambda screen: _detail(screen, answers[0]))
    return 1 if any(each.health.status is ServerStatus.CRITICAL for each in answers) else 0


def _list(screen: Screen, answers: Sequence[ServerAnswer]) -> None:
    if answers:
        show(screen, answers)
    else:
        screen.line("No server reports to this store, and none has a worker.")


def show(screen: Screen, answers: Sequence[ServerAnswer]) -> None:
    """A table of them."""
    screen.listing(_HEADS, [(_STYLES[each.health.status], _row(each)) for each in answers], len(answers), spare=_SPARE)


def _health(server: ServerAnswer) -> str:
    word = server.health.status.value
    return word if server.health.status is ServerStatus.UNKNOWN else f"{word} {server.health.score}"


def _row(server: ServerAnswer) -> tuple[str, ...]:
    sample, workers = server.sample, server.workers
    return (
        shown(server.hostname),
        _health(server),
        ratio(None if sample is None else sample.cpu_ratio),
        ratio(None if sample is None else sample.memory_ratio),
        ratio(max((disk.usage_ratio for disk in sample.disks or () if disk.usage_ratio is not None), default=None) if sample else None),
        _number(None if sample is None else sample.load_per_core),
        count(workers.counts.live),
        ratio(workers.now_ratio if workers.window_ratio is None else workers.window_ratio),
        count(None if server.jobs is None else server.jobs.window_processed),
        ago(server.age_seconds),
    )


def _detail(screen: Screen, server: ServerAnswer) -> None:
    screen.line(f"{shown(server.hostname)}: {_health(server)}", _STYLES[server.health.status])
    for issue in server.health.issues:
        screen.paragraph(issue.text, STYLES[issue.severity], first=f"  {SIGNS[issue.severity]} ", indent="    ")
    screen.fields([*_sampled(server), *_worked(server)])


def _sampled(server: ServerAnswer) -> list[tuple[str, str]]:
    sample = server.sample
    if sample is None:
        return [("sample", "nobody there reports one: a worker of this package or `queue-metrics agent` does")]
    disks = [f"{shown(disk.mountpoint)} {ratio(disk.usage_ratio)} of {size(disk.total_bytes)}" for disk in sample.disks or ()]
    load = (sample.load.over_1_minute, sample.load.over_5_minutes, sample.load.over_15_minutes)
    return [
        ("sample", f"taken {ago(server.age_seconds)}"),
        ("CPU", f"{ratio(sample.cpu_ratio)} of {_number(sample.cpu.cores)} cores"),
        ("load", f"{', '.join(_number(each) for each in load)} over 1, 5 and 15 minutes; {_number(sample.load_per_core)} per core"),
        ("memory", f"{ratio(sample.memory_ratio)}; {size(sample.memory.used_bytes)} of {size(sample.memory.total_bytes)}"),
        ("disks", ", ".join(disks) or UNKNOWN),
        ("up", duration(sample.uptime_seconds)),
    ]


def _worked(server: ServerAnswer) -> list[tuple[str, str]]:
    workers, jobs = server.workers, server.jobs
    states = {name: getattr(workers.counts, name) for name in ("starting", "idle", "busy", "stopped", "stale", "lost")}
    lines = [
        ("workers", ", ".join(f"{count(number)} {name}" for name, number in states.items() if number) or "none"),
        ("busy", f"{ratio(workers.now_ratio)} now, {ratio(workers.window_ratio)} in the window"),
        ("their memory", f"{size(server.processes.rss_total_bytes)}, {size(server.processes.rss_mean_bytes)} each"),
    ]
    if jobs is not None:
        flow = f"{count(jobs.window_processed)} in the window, {per_minute(jobs.per_second)}, mean {duration(jobs.runtime_mean_seconds)}"
        lines.append(("executions", f"{flow}; {count(jobs.processed)} ever, {ratio(jobs.failure.ratio)} of them failed"))
    if server.capacity is not None:
        lines.append(("advice", server.capacity.text))
    return lines


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}".removesuffix(".00")
