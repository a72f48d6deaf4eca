"""`queue-metrics doctor`: is everything that workers record on its way, and if not, what to do. Takes no lock and changes nothing."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from queue_metrics import _core
from queue_metrics.cli.terminal import Screen, shown
from queue_metrics.config import Settings, load_settings
from queue_metrics.errors import StoreError, StoreUnavailable
from queue_metrics.insights.collecting import collector_now
from queue_metrics.insights.wording import size
from queue_metrics.recording import spool as look
from queue_metrics.recording.lock import UNKNOWN_HOLDER, spool_lock
from queue_metrics.storage import urls
from queue_metrics.storage.base import StorageDriver
from queue_metrics.storage.manager import open_store
from queue_metrics.storage.places import NETWORK_FILE_SYSTEMS, missing_for_good
from queue_metrics.storage.spools import SpoolReport, spool_reports

HELP = "check store and spools, and say what to do about each problem"

NOT_VERIFIED = (
    "macOS and Windows",
    "free-threaded Python builds",
    "MySQL (MariaDB is), and poolers in front of PostgreSQL",
    "Valkey, and Redis other than 7.0",
    "greenlet pools (gevent, eventlet) under kills",
    "spools on network file systems",
)
_LITTLE_SPACE = 256 * 1024 * 1024  # the bound of a spool
_COUNTED = (
    ("open", ("execution open", "executions open")),
    ("duplicates", ("duplicate",)),
    ("damaged", ("damaged record",)),
    ("uncertain", ("of a worker nobody here can judge",) * 2),
)
_OLD_REPORT = 60.0  # seconds

# What each reason of dropped records asks for.
_DROP_ADVICE = {
    "disk_full": "free space on its file system",
    "spool_full": "bring the store back, so that the spool can be drained",
    "not_writable": "make it writable for the user of the workers, or set QUEUE_METRICS_STATE_DIR",
    "io_error": "look into the kernel's log for errors of its disk",
    "overflow": "no process should run more than 4,096 executions at once",
    "too_many_names": "use fewer task and queue names; do not put ids into them",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="URL", help="the store; default: as configured")
    parser.add_argument("--namespace", metavar="NAME", help="which workers; default: all that have this store")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    examination = Examination(load_settings(store=args.store, namespace=args.namespace))
    findings = examination.findings()
    if args.json:
        json.dump(findings, sys.stdout, indent=2, default=str)
        print()
    else:
        _print(findings)
    if not findings["store"]["reachable"]:
        return 3
    return 0 if findings["ok"] else 1


class Examination:
    """What there is to see from outside, gathered once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._problems: list[dict[str, str]] = []
        self._told: dict[str, SpoolReport] = {}
        """What spools told the store, by their ids; workers without a spool have one too, and a full disk takes no report file."""

    def findings(self) -> dict[str, Any]:
        """Everything as plain data; `ok` is False when there is a problem."""
        settings = self._settings
        driver = open_store(settings)
        store = self._store(driver)
        mine = look.spools(settings.spools_dir, settings.spool_suffix)
        spools = [self._spool(path, driver if store["reachable"] else None) for path in mine]
        others = [os.fspath(path) for path in look.spools(settings.spools_dir) if path not in mine]
        for name in sorted(self._told.keys() - {spool["id"] for spool in spools}):
            self._check_drops(f"by the workers of {name}, as the store was told", self._told[name].drops)
        if (why := missing_for_good(settings.spool / "drain.lock")) is not None:
            self._problem(
                f"no spool can be made in {settings.spools_dir}, so workers drop what they record: {why}",
                "set QUEUE_METRICS_STATE_DIR to a directory of the user of the workers",
            )
        if not settings.enabled:
            self._problem("recording is disabled", "unset QUEUE_METRICS_ENABLED, or set `enabled = true`")
        elif not settings.persistence:
            self._problem(
                "nothing is stored: persistence is off",
                "unset QUEUE_METRICS_PERSISTENCE, or set `persistence = true`, if that is not meant",
            )
        return {
            "ok": not self._problems,
            "version": _core.__version__,
            "store": store,
            "namespace": settings.namespace,
            "spool": os.fspath(settings.spool),
            "spools": spools,
            "other_spools": others,
            "problems": self._problems,
            "not_verified": [*([] if sys.platform == "linux" else [f"this platform, {sys.platform}"]), *NOT_VERIFIED],
        }

    def _problem(self, what: str, advice: str) -> None:
        self._problems.append({"what": what, "advice": advice})

    def _store(self, driver: StorageDriver) -> dict[str, Any]:
        found: dict[str, Any] = {"url": driver.url, "reachable": True, "schema": None, "capabilities": {}, "bytes": None, "collector": None}
        if self._settings.store.startswith("memory:"):
            self._problem("a store in memory belongs to one process; nothing of other processes can be seen", "set QUEUE_METRICS_STORE")
            return found
        try:
            if self._settings.store.startswith("sqlite:") and not urls.sqlite_path(self._settings.store).exists():
                driver.read_mark("0" * 32, 0)
                return {**found, "note": "the file does not exist yet; it is made with the first batch"}
            found["capabilities"] = dict(driver.capabilities())
            if found["capabilities"].get("exact") is False:
                self._problem(
                    f"the store {driver.url} is not exact: {found['capabilities'].get('reason')}",
                    "mend it; what is lost meanwhile nobody can tell",
                )
            found["bytes"] = driver.size()
            driver.read_mark("0" * 32, 0)
            found["schema"] = driver.schema_version
            self._told = {report.spool_id: report for report in spool_reports(driver.read_heartbeats())}
            found["collector"] = asdict(collector_now(driver, time.time()))
        except StoreUnavailable as error:
            found.update(reachable=False, error=str(error))
            self._problem(
                f"the store {driver.url} cannot be reached: {error.reason(driver.url)}",
                f"{'mend that' if self._settings.store.startswith('sqlite:') else 'start it'}, or set QUEUE_METRICS_STORE to another; "
                "until then records wait in the spool",
            )
        except StoreError as error:
            found.update(error=str(error))
            self._problem(
                f"the store {driver.url} refuses: {error.reason(driver.url)}",
                "mend its rights or limits, or use the package version that wrote it",
            )
        return found

    def _spool(self, path: Path, driver: StorageDriver | None) -> dict[str, Any]:
        segments = look.written(path)
        reports = look.read_reports(path)
        drainer, agent = spool_lock(path / "drain.lock").holder(), spool_lock(path / "agent.lock").holder()
        found: dict[str, Any] = {
            "path": os.fspath(path),
            "configured": path == self._settings.spool,
            "id": look.spool_id(path),
            "file_system": _core.file_system(os.fspath(path)),
            "free_bytes": look.free_bytes(path),
            "way": look.way(path),
            "segments": len(segments),
            "waiting": self._waiting(path, segments, driver),
            "drainer_pid": drainer,
            "agent_pid": agent,
            "hooks": {name: report for name, report in reports.items() if name != "drainer"},
            "last_drain": reports.get("drainer"),
        }
        found["way_reason"] = self._way_reason(found)
        self._check_place(path, found)
        pages = look.pages(path)
        self._check_drain(path, found, pages.drops)
        for library, report in found["hooks"].items():
            self._check_hook(path, library, report)
        told = sum(report.get("hook_errors") or 0 for report in found["hooks"].values())
        if pages.hook_errors > told:
            self._problem(
                f"{pages.hook_errors - told} errors inside hooks of workers that left no report ({path.name})",
                "jobs are not affected; please report it with the warnings in the logs of the workers",
            )
        return found

    def _way_reason(self, found: dict[str, Any]) -> str | None:
        """Why workers append in the way they do: as one of them says, else as this process would do it; None when that is another way."""
        told = (report.get("way_reason") for report in found["hooks"].values() if report.get("way") == found["way"])
        way, reason = _core.journal_way(found["file_system"], self._settings.journal)
        return next(filter(None, told), reason if found["way"] in (None, way) else None)

    def _waiting(self, path: Path, segments: dict[bytes, int], driver: StorageDriver | None) -> int | None:
        """Records that the store has not counted; None when it cannot say."""
        name = look.spool_id(path)
        if driver is None or name is None:
            return None
        if self._settings.store.startswith("sqlite:") and not urls.sqlite_path(self._settings.store).exists():
            return sum(segments.values())
        try:
            return look.waiting(segments, driver.read_mark(name, 0).positions)
        except StoreError:
            return None

    def _check_place(self, path: Path, found: dict[str, Any]) -> None:
        status = path.stat()
        if status.st_uid == os.geteuid() and not os.access(path, os.W_OK | os.X_OK):
            self._problem(f"{path} is not writable for its owner", f"chmod 700 {path}")
        if status.st_mode & 0o077:
            self._problem(f"others can look into {path}, which holds task names and job ids", f"chmod 700 {path}")
        free = found["free_bytes"]
        if free is not None and free < _LITTLE_SPACE:
            self._problem(
                f"{path} has {free // 1024**2} MiB left; a store that is away could fill it", "free space, or set QUEUE_METRICS_STATE_DIR"
            )
        kind = found["file_system"]
        if kind in NETWORK_FILE_SYSTEMS:
            self._problem(f"{path} is on {kind}, where locks cannot be relied on", "set QUEUE_METRICS_STATE_DIR to a local disk")
        elif kind in ("tmpfs", "ramfs", "overlayfs"):
            found["note"] = f"on {kind}: what waits is lost with the container or at a reboot; a volume keeps it"

    def _check_drain(self, path: Path, found: dict[str, Any], counted: Counter[str]) -> None:
        if found["waiting"] and found["drainer_pid"] is None:
            self._problem(
                f"{found['waiting']} records wait in {path} and nobody drains it",
                "start a worker of this app, or `queue-metrics agent --all`",
            )
        drain = (found["last_drain"] or {}).get("drain") or {}
        told = self._told.get(found["id"] or "")
        # Of each the latest, which is the largest; the pages alone are never late, but those of the dead are gone.
        self._check_drops(f"in {path}", Counter(drain.get("drops") or {}) | Counter(told.drops if told is not None else {}) | counted)
        for name, what, advice in (
            ("damaged", "slots of segments are damaged", "check the disk; everything readable was counted"),
            (
                "set_aside",
                "segments could not be read and were set aside",
                f"look into {path / 'damaged'}, and for what is no file of the spool's user; nothing else is affected",
            ),
            ("newer", "segments were written by a newer version", "upgrade the package where it drains"),
            ("newer_pages", "workers are of a newer version and not shown", "upgrade the package where it drains"),
            ("damaged_pages", "pages of workers cannot be read", "check the disk; their workers are not shown, their records are counted"),
            (
                "lost_to_rollback",
                "records were counted in a store that went back further than is kept",
                "the numbers of that time are too low",
            ),
            (
                "other_names",
                "names of tasks, queues, exceptions or servers are too many and count together as __other__",
                "do not put ids into names; 1,000 tasks, 200 of a queue and 100 exceptions have numbers of their own",
            ),
            ("uncertain", "open executions belong to workers nobody here can judge", "drain in the container or host of the workers"),
        ):
            if drain.get(name):
                self._problem(f"{drain[name]} {what} ({path.name})", advice)

    def _check_drops(self, where: str, drops: Mapping[str, int]) -> None:
        for reason, count in drops.items():
            self._problem(f"{count} records were dropped {where}: {reason}", _DROP_ADVICE.get(reason, "see docs/journal-format.md"))

    def _check_hook(self, path: Path, library: str, report: dict[str, Any]) -> None:
        if report.get("hook_errors"):
            self._problem(
                f"{report['hook_errors']} errors inside the hook of {library} ({path.name}), the last: {report.get('last_error')}",
                "jobs are not affected; the log of the workers has the reason where it was a callback of `qm.on`, else please report it",
            )
        for connection, error in (report.get("depth") or {}).items():
            if error:
                self._problem(f"the broker of connection {shown(connection)} cannot be asked: {error}", "depth is unknown until it answers")


def _print(findings: dict[str, Any]) -> None:
    store = findings["store"]
    print(f"queue_metrics {findings['version']}")
    print(f"store      {store['url']}  {_how(store)}")
    if store["capabilities"]:
        print(f"           {_about(store)}")
    if store.get("note"):
        print(f"           {store['note']}")
    if store["collector"]:
        Screen().paragraph(store["collector"]["message"], first="collector  ", indent="           ")
    print(f"spool      {findings['spool']} (namespace {shown(findings['namespace'])})")
    if not findings["spools"]:
        print("           no worker has recorded anything for this store yet")
    for spool in findings["spools"]:
        _print_spool(spool)
    for path in findings["other_spools"]:
        print(f"also here  {path} (another store)")
    Screen().paragraph(f"not verified: {'; '.join(findings['not_verified'])}", first="", indent="  ")
    for problem in findings["problems"]:
        print(f"\nproblem: {problem['what']}\n  to do: {problem['advice']}")
    if findings["ok"]:
        print("no problem found")


def _print_spool(spool: dict[str, Any]) -> None:
    waiting = _records(spool["waiting"])
    free = "room not known" if spool["free_bytes"] is None else f"{spool['free_bytes'] // 1024**2:,} MiB free"
    print(f"\n{spool['path']}" + (" (configured)" if spool["configured"] else ""))
    reason = "" if spool["way_reason"] is None else f" ({spool['way_reason']})"
    print(f"  {spool['file_system']}, {free}, appended by {spool['way'] or 'nobody yet'}{reason}")
    print(f"  {_counted(spool['segments'], 'segment')}, {waiting}")
    print(f"  drained by {_who(spool['drainer_pid'])}" + ("" if spool["agent_pid"] is None else f", agent {_who(spool['agent_pid'])}"))
    if spool.get("note"):
        print(f"  {spool['note']}")
    report = spool["last_drain"]
    if report:
        drain = report.get("drain") or {}
        counts = ", ".join(_counted(drain.get(name, 0), *words) for name, words in _COUNTED)
        age = max(0.0, (_core.clock_us() - int(report.get("written") or 0)) / 1e6)
        print(f"  {counts}" + (f" ({age:.0f} s ago)" if age > _OLD_REPORT else ""))
    for report in spool["hooks"].values():
        for finding in report.get("findings") or ():
            print(f"  {finding}")


def _about(store: Mapping[str, Any]) -> str:
    able = store["capabilities"]
    schema = "no schema yet" if store["schema"] is None else f"schema {store['schema']}"
    kept = "survives a restart" if able["durable"] else "is lost at a restart"
    exact = "exact" if able["exact"] else f"not exact: {able.get('reason')}"
    return f"{able['name']} {able['version']}, {schema}, {size(store['bytes'])}; {kept}; {exact}"


def _records(waiting: int | None) -> str:
    return "how many records wait is not known: the store does not say" if waiting is None else f"{_counted(waiting, 'record')} waiting"


def _counted(number: int, one: str, more: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def _how(store: Mapping[str, Any]) -> str:
    if not store["reachable"]:
        return "NOT REACHABLE"
    return "REFUSES" if store.get("error") else "reachable"


def _who(pid: int | None) -> str:
    if pid is None:
        return "nobody"
    return "a process of another container" if pid == UNKNOWN_HOLDER else f"process {pid}"
