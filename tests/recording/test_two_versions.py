"""
Two versions of the package write to one store at once: every job counts once, nothing of the newer one is overwritten, and it is told.

The newer version is this package, copied and changed where versions differ, in processes of its own: what it writes carries a version more.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from queue_metrics.storage.baselines import BASELINES
from queue_metrics.storage.efficiency import ALL_KEY
from queue_metrics.storage.manager import StorageManager
from queue_metrics.storage.servers import server_reports
from queue_metrics.storage.spools import spool_reports
from tests.recording.tools import ROOT, Program, counts, environment, eventually, size
from tests.support.servers import RedisServer

JOBS = 400
"""Of each child, one a millisecond, so that two versions flush many times beside each other."""
LAYOUTS = {
    "storage/spools.py": ("_VERSION = 1\n", "_VERSION = 2\n"),
    "storage/servers.py": ("_VERSION = 1\n", "_VERSION = 2\n"),
    "storage/baselines.py": ("_VERSION = 1\n", "_VERSION = 2\n"),
    "storage/efficiency.py": ("_VERSION = 2\n", "_VERSION = 3\n"),
    # A heartbeat begins with its version; the rest is longer than ours.
    "recording/beats.py": (
        "others = [(name, beat) for",
        'others = [(name, b"\\x02" + beat[1:] + b"more" if beat[:2] == b"\\x01\\x00" else beat) for',
    ),
    "__init__.py": (
        "from __future__ import annotations\n",
        'from __future__ import annotations\n\nimport socket\n\nsocket.gethostname = lambda: "a-newer-host"\n',
    ),
}
"""Where the newer version writes otherwise: each layout is one further, and it runs on a host of its own."""
SCHEMA = {"storage/sql/migrations.py": ("SCHEMA_VERSION = 2\n", "SCHEMA_VERSION = 3\n")}
NEXT_TABLE = '-- Schema version 3.\n\n-- name: create_next\nCREATE TABLE "queue_metrics_next" (\n    id INTEGER PRIMARY KEY\n);\n'


def newer(directory: Path, changes: dict[str, tuple[str, str]]) -> Path:
    """Another version of the package; where to find it."""
    copy = directory / "newer"
    shutil.copytree(ROOT / "python" / "queue_metrics", copy / "queue_metrics", ignore=shutil.ignore_patterns("__pycache__", "static"))
    for name, (before, after) in changes.items():
        file = copy / "queue_metrics" / name
        text = file.read_text()
        assert text.count(before) == 1, f"{name} no longer says what another version would say otherwise"
        file.write_text(text.replace(before, after))
    return copy


def command(words: list[str], store: str, state: Path, *, package: Path = ROOT / "python", code: int = 0) -> Any:
    """What `queue-metrics` of a version answers."""
    ran = subprocess.run(
        [sys.executable, "-m", "queue_metrics", *words, "--store", store, "--json"],
        env={**environment(package), "QUEUE_METRICS_STATE_DIR": os.fspath(state), "QUEUE_METRICS_NAMESPACE": "test"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db"
        return
    with RedisServer(tmp_path) as server:
        yield server.url


def test_both_count_at_the_same_time_and_what_the_newer_one_keeps_stays(store: str, tmp_path: Path) -> None:
    package = newer(tmp_path, LAYOUTS)
    places = {"older": tmp_path / "one", "newer": tmp_path / "two"}
    for place in places.values():
        place.mkdir()
    older = Program(places["older"], store, children=2, child_jobs=JOBS)
    later = Program(places["newer"], store, children=2, child_jobs=JOBS, package=package)
    with older, later:
        for program in (older, later):
            program.ready()
            for _ in range(2):
                program.hear("child_done")
        assert older.ask("flush", "flushed") is True
        assert later.ask("flush", "flushed") is True
        # The truth is what the jobs themselves wrote, a byte each.
        done = sum(size(place / "ended") for place in places.values())
        assert done == 4 * JOBS
        assert counts(store)["succeeded"] == done

        driver = StorageManager().open(store)
        eventually(
            lambda: sum(beat.payload[:1] == b"\x02" for beat in driver.read_heartbeats()) == 3,
            "all processes of the newer version are seen",
        )
        beats = driver.read_heartbeats()
        assert {report.hostname for report in server_reports(beats)} == {os.uname().nodename}, "no sample of a layout that is not known"
        assert len(spool_reports(beats)) >= 1
        status = command(["status"], store, places["older"] / "state")
        told = {reason["code"]: reason["text"] for reason in status["overview"]["health"]["reasons"]}
        assert told["heartbeats_unreadable"] == "3 heartbeats cannot be read: damaged, or of a newer version."

        # The newer one collects first, so all baselines are of a layout that ours does not know.
        assert command(["record-trends"], store, places["newer"] / "state", package=package)["done"] is True
        theirs = driver.get_hash(BASELINES)
        assert {json.loads(value)["v"] for value in theirs.values()} == {2}
        assert len(theirs) == 2
        rows = driver.get_sorted_set_by_rank(ALL_KEY, 0, -1)
        command(["calculate-baselines"], store, places["older"] / "state")
        command(["record-trends"], store, places["older"] / "state")
        command(["cleanup"], store, places["older"] / "state")
        assert driver.get_hash(BASELINES) == theirs
        assert driver.get_sorted_set_by_rank(ALL_KEY, 0, -1)[: len(rows)] == rows
        assert counts(store)["succeeded"] == done
        assert {json.loads(value)["v"] for value in named(driver, store, places["older"] / "state").values()} == {1}
        driver.close()


def named(driver: Any, store: str, state: Path) -> dict[str, str]:
    """The baselines after somebody asked for this queue, as it is after a way back to the older version."""
    command(["calculate-baselines", "--connection", "c"], store, state)
    return dict(driver.get_hash(BASELINES))


def dump(path: Path, newest: Program) -> list[str]:
    """All that is in a file but the heartbeats of one program."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        return [line for line in raw.iterdump() if not any(f":{pid}:" in line for pid in (newest.pid, *newest.children))]


def test_a_newer_version_changes_the_tables_while_an_older_one_writes(tmp_path: Path) -> None:
    """On one host, so both share the spool: the older one may drain no more, and what it recorded is counted by the newer, once."""
    package, path = newer(tmp_path, SCHEMA), tmp_path / "store.db"
    (package / "queue_metrics" / "storage" / "sql" / "schema" / "sqlite_0003_next.sql").write_text(NEXT_TABLE)
    store, state = f"sqlite:///{path}", tmp_path / "state"
    older = Program(tmp_path, store, children=1, child_jobs=JOBS)
    with contextlib.ExitStack() as programs:
        programs.enter_context(older.ready())
        eventually(lambda: path.exists() and counts(store)["succeeded"] > 0, "the older version writes")
        assert older.ask("draining", "draining") is True
        later = programs.enter_context(Program(tmp_path, store, children=1, child_jobs=JOBS, package=package))
        # In a file of SQLite the first writer of the newer version does it as well.
        command(["migrate"], store, state, package=package)
        later.ready()
        assert older.ask("job", "ran") is True
        eventually(lambda: older.ask("failing", "failing"), "the older version is refused")
        before = dump(path, later)
        assert any('"queue_metrics_next"' in line for line in before)
        found = command(["doctor"], store, state, code=1)
        problems = " ".join(problem["what"] + " " + problem["advice"] for problem in found["problems"])
        assert "schema version '3'" in problems
        assert "upgrade" in problems
        eventually(lambda: size(tmp_path / "ended") == 2 * JOBS + 1, "all jobs of both versions ran")
        assert older.ask("job", "ran") is True
        assert older.ask("flush", "flushed") is False
        assert dump(path, later) == before, "an older version changes nothing of a newer one"
        for pid in (*older.children, older.pid):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: later.ask("draining", "draining"), "the newer version takes the spool over")
        assert later.ask("flush", "flushed") is True
        assert size(tmp_path / "ended") == 2 * JOBS + 2
        assert counted(store, package) == {"started": 2 * JOBS + 2, "succeeded": 2 * JOBS + 2, "lost": 0}


def counted(store: str, package: Path) -> dict[str, int]:
    """As the newer version reads it: a driver of this one refuses the store, as it must."""
    asked = "import json, sys; from tests.recording.tools import counts; print(json.dumps(counts(sys.argv[1])))"
    ran = subprocess.run([sys.executable, "-c", asked, store], env=environment(package), capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    return {name: found[name] for name in ("started", "succeeded", "lost")}
