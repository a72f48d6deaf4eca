"""`queue-metrics agent`: drains apart from the workers, and asks the brokers that the configuration names."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from queue_metrics import _core
from queue_metrics.collector import collector
from queue_metrics.config import Settings, load_settings
from queue_metrics.errors import ConfigurationError
from queue_metrics.hooks.base import DepthProbe
from queue_metrics.recording.named import probes_of
from queue_metrics.recording.runtime import Runtime
from queue_metrics.recording.spool import spools
from queue_metrics.storage.places import missing_for_good

HELP = "drain the journal of this host's workers, in place of the workers themselves"

_LINE_EVERY, _LOOK_EVERY = 60.0, 5.0
_TROUBLES = ("damaged", "set_aside", "newer", "newer_pages", "damaged_pages", "lost_to_rollback", "uncertain")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="URL", help="the store; default: as configured")
    parser.add_argument("--namespace", metavar="NAME", help="which workers; default: as configured, else the name of this directory")
    parser.add_argument("--all", action="store_true", help="every namespace of this user that has this store")


def run(args: argparse.Namespace) -> int:
    settings = load_settings(store=args.store, namespace=args.namespace)
    if not settings.persistence:
        raise ConfigurationError("nothing is recorded that could be drained: unset QUEUE_METRICS_PERSISTENCE, or set `persistence = true`")
    why = missing_for_good(settings.spool / "drain.lock")
    if why is not None:
        raise ConfigurationError(
            f"no spool can be drained in {settings.spools_dir}: {why}; set QUEUE_METRICS_STATE_DIR to a directory of yours"
        )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return Agent(settings, every_namespace=args.all).run(stop)


class Agent:
    """One runtime a spool, until told to stop."""

    def __init__(self, settings: Settings, *, every_namespace: bool = False) -> None:
        self._settings = settings
        self._every_namespace = every_namespace
        self._runtimes: dict[Path, Runtime] = {}
        self._shown: dict[Path, tuple[object, ...]] = {}
        self._shown_at: dict[Path, float] = {}

    def run(self, stop: threading.Event) -> int:
        """Drain until `stop` is set, then flush for the last time; returns the exit code."""
        own = self._settings.spool
        runtime = self._made(own)
        if self._others(own) and not self._every_namespace:
            print(f"the agent with pid {runtime.drain.agent_pid} drains {own} already", file=sys.stderr)
            return 1
        # Before anything begins: an agent that ends over its configuration leaves no heartbeat.
        probes = list(self._probes(runtime))
        self._begin(own)
        for probe in probes:
            runtime.watch(probe)
        collecting = collector(settings=self._settings, asks=False) if self._settings.collector else None
        looked_at = float("-inf")
        while not stop.is_set():
            if self._every_namespace and time.monotonic() - looked_at >= _LOOK_EVERY:
                looked_at = time.monotonic()
                for spool in spools(self._settings.spools_dir, self._settings.spool_suffix):
                    if spool not in self._runtimes:
                        self._made(spool)
                        self._begin(spool)
            for spool, runtime in self._runtimes.items():
                self._show(spool, runtime)
            stop.wait(1.0)
        if collecting is not None:
            collecting.stop()
        for runtime in self._runtimes.values():
            runtime.stop()
        return 0

    def _made(self, spool: Path) -> Runtime:
        runtime = self._runtimes[spool] = Runtime(self._settings, spool=spool, agent=True)
        runtime.recorder.describe(_core.AGENT, "", "", "")
        return runtime

    def _begin(self, spool: Path) -> None:
        runtime = self._runtimes[spool]
        runtime.on_producer()
        _say(f"agent for {spool}, store {runtime.store.url}")

    def _others(self, spool: Path) -> bool:
        return self._runtimes[spool].drain.agent_pid not in (None, os.getpid())

    def _show(self, spool: Path, runtime: Runtime) -> None:
        """A line when something changed that matters, and each minute."""
        status = runtime.reporter.status()
        drain = status["drain"]
        if not spool.exists():
            state = "no spool yet: nothing has been recorded"
        elif not status["draining"]:
            state = "another agent drains" if self._others(spool) else "waiting for the drainer of a worker to make way"
        elif status["failing_seconds"] is not None:
            state = f"failing: {status['last_error']}"
        else:
            state = "draining"
        troubles = tuple(drain.get(name) for name in ("drops", *_TROUBLES))
        now = time.monotonic()
        if self._shown.get(spool) != (state, troubles) or now - self._shown_at[spool] >= _LINE_EVERY:
            self._shown[spool], self._shown_at[spool] = (state, troubles), now
            _say(f"{spool.name}: {state}" + (f"; {_counts(drain)}" if drain else ""))

    def _probes(self, runtime: Runtime) -> Iterator[DepthProbe]:
        for name, connection in self._settings.connections.items():
            yield from probes_of(name, connection, runtime.recorder)


def _counts(drain: dict[str, Any]) -> str:
    parts = [f"{drain['records']} records in {drain['batches']} batches, {drain['waiting']} waiting, {drain['open']} executions open"]
    parts += [f"{reason} dropped {count}" for reason, count in drain["drops"].items()]
    parts += [f"{drain[name]} {name.replace('_', ' ')}" for name in _TROUBLES if drain[name]]
    return ", ".join(parts)


def _say(text: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", flush=True)
