"""
The settings: one frozen object, and one declaration for each, from which checks, errors and `docs/configuration.md` come.

A new setting is a field here; `python -m queue_metrics.config.reference docs/configuration.md` then writes the page. Where it stands for a
key of the original, that key goes from `original.WITHOUT` to the field.

Knows no job library, no database, and nothing of where values are read from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from queue_metrics.config.connections import CONNECTIONS, ConnectionSettings
from queue_metrics.config.declared import Declaration, declarations, setting
from queue_metrics.config.places import spool_suffix, spools_dir, unique_file_name
from queue_metrics.config.values import (
    GROUP,
    METRIC_NAMESPACES,
    NAMES,
    PATH,
    PREFIXES,
    SWITCH,
    TEXT,
    choice,
    number,
    rising,
    seconds,
    whole,
)

HOUR, DAY = 3600, 86400
FLUSH_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class TimeToLive:
    """
    How long points are kept, whole seconds behind the end of their step; totals are kept for ever.

    `raw`, `aggregated` and the order of the three steps follow the original. An hour at least: a store that goes back is counted anew
    from the records of the last hour, and must not find its points expired.
    """

    raw: int = field(
        default=6 * HOUR,
        metadata=setting(whole("whole seconds", HOUR, 400 * DAY), "minutes of tasks", original=("storage.ttl.raw",)),
    )
    aggregated: int = field(
        default=8 * DAY,
        metadata=setting(whole("whole seconds", HOUR, 400 * DAY), "minutes of queues", original=("storage.ttl.aggregated",)),
    )
    servers: int = field(
        default=7 * DAY,
        metadata=setting(whole("whole seconds", HOUR, 400 * DAY), "minutes of servers: executions, and samples of the host"),
    )
    workers: int = field(
        default=7 * DAY,
        metadata=setting(whole("whole seconds", HOUR, 400 * DAY), "minutes of what workers spent their time on"),
    )
    baseline: int = field(
        default=30 * DAY,
        metadata=setting(whole("whole seconds", HOUR, 400 * DAY), "baselines that nobody renews", original=("storage.ttl.baseline",)),
    )
    hours: int = field(
        default=14 * DAY,
        metadata=setting(whole("whole seconds", DAY, 400 * DAY), "hours of all; not less than `ttl.raw`"),
    )
    days: int = field(
        default=400 * DAY,
        metadata=setting(whole("whole seconds", DAY, 400 * DAY), "days of all; not less than `ttl.hours`"),
    )


@dataclass(frozen=True, slots=True)
class BaselineRules:
    """What a baseline is made of, and when; see docs/insights.md."""

    sliding_window_days: int = field(
        default=7,
        metadata=setting(
            whole("days", 1, 400, "a whole number of days"),
            "executions of so many days count; not more than `ttl.hours`",
            original=("baseline.sliding_window_days",),
        ),
    )
    decay_factor: float = field(
        default=0.1,
        metadata=setting(
            number(0, 1), "an execution that is d days old counts exp(-`decay_factor` d)", original=("baseline.decay_factor",)
        ),
    )
    target_sample_size: int = field(
        default=200,
        metadata=setting(
            whole("number", 1, 1_000_000), "executions from which on the confidence is 1", original=("baseline.target_sample_size",)
        ),
    )
    intervals: tuple[int, ...] = field(
        default=(1, 5, 10, 30, 60),
        metadata=setting(
            rising(5, 1, 1440),
            "minutes between two calculations of a queue without a baseline, and with a confidence below 0.5, 0.7, 0.9, and from there on",
            original=("baseline.intervals",),
        ),
    )
    deviation: bool = field(
        default=True,
        metadata=setting(SWITCH, "the newest executions are compared with the baseline", original=("baseline.deviation",)),
    )
    deviation_threshold: float = field(
        default=2.0,
        metadata=setting(number(0.1, 100), "spreads from which on the newest executions deviate", original=("baseline.deviation",)),
    )
    deviation_interval: int = field(
        default=5,
        metadata=setting(
            whole("minutes", 1, 1440),
            "minutes between two calculations of a queue that deviates, at most",
            original=("baseline.deviation",),
        ),
    )


_SCHEDULED = ("scheduling.tasks.*",)


@dataclass(frozen=True, slots=True)
class Duties:
    """
    What a pass of the collector does. What is switched off is missing, and answers say so; a command that does it by hand does it all the
    same.
    """

    servers: bool = field(default=True, metadata=setting(SWITCH, "minutes of servers", original=_SCHEDULED))
    workers: bool = field(
        default=True,
        metadata=setting(
            SWITCH, "minutes of what workers spent their time on: their utilisation, and the trend of efficiency", original=_SCHEDULED
        ),
    )
    baselines: bool = field(default=True, metadata=setting(SWITCH, "baselines of the queues that are due", original=_SCHEDULED))
    silence: bool = field(
        default=True, metadata=setting(SWITCH, "events of workers that went quiet, are lost or came back", original=_SCHEDULED)
    )
    events: bool = field(
        default=True, metadata=setting(SWITCH, "events of depth, health, efficiency and recorded minutes", original=_SCHEDULED)
    )
    cleanup: bool = field(
        default=True, metadata=setting(SWITCH, "baselines that nobody renewed for `ttl.baseline` are removed", original=_SCHEDULED)
    )

    @property
    def off(self) -> tuple[str, ...]:
        """Those that are switched off, by name."""
        return tuple(each.name for each in fields(self) if not getattr(self, each.name))


@dataclass(frozen=True, slots=True)
class Limits:
    """The most names that have series of their own; what is beyond is counted as `__other__`."""

    tasks: int = field(
        default=1000,
        metadata=setting(whole("number", 1, 100_000), "tasks, and as many queues, in a store"),
    )
    tasks_of_queue: int = field(default=200, metadata=setting(whole("number", 1, 100_000), "tasks of one queue"))
    exceptions: int = field(default=100, metadata=setting(whole("number", 1, 100_000), "types of exceptions in a store"))
    servers: int = field(default=200, metadata=setting(whole("number", 1, 100_000), "servers in a store"))
    server_tasks: int = field(default=10_000, metadata=setting(whole("number", 1, 100_000), "tasks on servers, all together"))


@dataclass(frozen=True, slots=True)
class PrometheusNames:
    """How series are called."""

    namespace: str = field(
        default="laravel_queue",
        metadata=setting(
            METRIC_NAMESPACES,
            "in front of the names of `/prometheus`; by default as there, so that its boards go on, see [prometheus.md](prometheus.md)",
            original=("prometheus.namespace",),
        ),
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Everything that can be chosen, complete and checked; made by `load_settings`. What each field means stands in its declaration.

    The store's URL, the token and brokers may hold secrets and are left out of `repr`.
    """

    store: str = field(
        repr=False,
        metadata=setting(
            TEXT,
            "URL of the store, see [stores.md](stores.md); by default a SQLite file, see below",
            computed=True,
            secret=True,
            original=("storage.driver", "storage.connection"),
        ),
    )
    namespace: str = field(
        metadata=setting(TEXT, "which workers belong together: the name of the app, else of the current directory", computed=True)
    )
    state_dir: Path = field(metadata=setting(PATH, "where spools and the default store are, see below", computed=True))
    enabled: bool = field(default=True, metadata=setting(SWITCH, "false: nothing is wrapped and nothing recorded", original=("enabled",)))
    persistence: bool = field(
        default=True,
        metadata=setting(
            SWITCH,
            "false: jobs are measured and told by [events](events.md), nothing is stored and no store needed",
            original=("persistence.enabled",),
        ),
    )
    prefix: str = field(
        default="queue_metrics",
        metadata=setting(PREFIXES, "in front of every key or table in the store", original=("storage.prefix",)),
    )
    journal: str = field(
        default="auto", metadata=setting(choice("journal", "auto", "write", "map"), "how workers append records, see below")
    )
    exact_peak: bool = field(
        default=False,
        metadata=setting(SWITCH, "the true peak of memory of each execution, see [measured.md](measured.md#peak-memory)"),
    )
    flush_seconds: float = field(
        default=1.0, metadata=setting(seconds(0.01), "between two batches to a store that is quick, see [stores.md](stores.md#how-often)")
    )
    flush_seconds_max: float = field(
        default=FLUSH_SECONDS_MAX,
        metadata=setting(seconds(0.01), "the same to one that is slow; where it is not set, not less than `flush_seconds`"),
    )
    heartbeat_seconds: float = field(default=10.0, metadata=setting(seconds(0.01), "between two heartbeats of a worker"))
    depth_seconds: float = field(default=10.0, metadata=setting(seconds(0.01), "between two questions for the depth of a queue"))
    stale_seconds: float = field(
        default=60.0,
        metadata=setting(
            seconds(1), "a worker, or a depth, not heard of for so long is stale", original=("worker_heartbeat.stale_threshold",)
        ),
    )
    lost_seconds: float = field(
        default=300.0,
        metadata=setting(seconds(1), "a worker not heard of for so long is lost; not less than `stale_seconds`"),
    )
    host: str = field(default="127.0.0.1", metadata=setting(TEXT, "address of `serve`; another than loopback needs a token"))
    port: int = field(
        default=8787,
        metadata=setting(whole("port", 0, 65535, "a port number"), "port of `serve`, 0: any free one; the default takes the next free one"),
    )
    token: str | None = field(
        default=None,
        repr=False,
        metadata=setting(TEXT, "what `serve` and a mounted app ask for; 16 characters at least", secret=True, original=("middleware",)),
    )
    allowed_hosts: tuple[str, ...] = field(
        default=(),
        metadata=setting(NAMES, "further names, addresses or networks under which `serve` and a mounted app answer, as `--allow-host`"),
    )
    collector: bool = field(
        default=True,
        metadata=setting(
            SWITCH,
            "`serve` and `agent` collect each minute what `duties` says, with the rights of a worker, see [collector.md](collector.md)",
            original=("scheduling.enabled",),
        ),
    )
    sampling_source: str = field(
        default="auto",
        metadata=setting(
            choice("source", "auto", "proc", "sysinfo"),
            "who tells of the host, see [measured.md](measured.md#where-there-is-no-proc); `auto`: `/proc` where it can be read",
        ),
    )
    shared_group: int | None = field(
        default=None,
        metadata=setting(GROUP, "a group whose members share one spool and trust each other, see below; none: each user has his own"),
    )
    ttl: TimeToLive = TimeToLive()
    limits: Limits = Limits()
    duties: Duties = Duties()
    baseline: BaselineRules = BaselineRules()
    prometheus: PrometheusNames = PrometheusNames()
    connections: Mapping[str, ConnectionSettings] = field(
        default_factory=dict,
        metadata=setting(CONNECTIONS, "brokers that `agent` and `serve` ask, see below; in TOML only", secret=True),
    )

    @property
    def spool(self) -> Path:
        """Directory of the journal of this namespace for this store; two apps with two stores never share one."""
        return self.spools_dir / (unique_file_name(self.namespace) + self.spool_suffix)

    @property
    def spools_dir(self) -> Path:
        """Where all spools are."""
        return spools_dir(self.state_dir)

    @property
    def spool_suffix(self) -> str:
        """How the names of all spools of this store end."""
        return spool_suffix(self.store, self.prefix)


DECLARATIONS: dict[str, Declaration] = {each.name: each for each in declarations(Settings)}
"""Every setting by its name, in the order of the reference page."""

TABLES: dict[str, type] = {
    "ttl": TimeToLive,
    "limits": Limits,
    "duties": Duties,
    "baseline": BaselineRules,
    "prometheus": PrometheusNames,
}
"""The settings that are tables of settings."""
