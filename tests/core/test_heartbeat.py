"""Heartbeats: bytes that `struct` reads by the tables of the specification, JSON that every parser reads alike."""

from __future__ import annotations

import json
import os
import re
import struct
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_metrics import _core
from queue_metrics.errors import DecodeError
from tests.test_docs import table

DOCS = Path(__file__).resolve().parents[2] / "docs"
NO_TIME, UNKNOWN = -(2**63), 2**64 - 1
ORIGINAL = [
    *("worker_id", "connection", "queue", "state", "last_heartbeat", "last_state_change", "current_job_id", "current_job_class"),
    *("idle_time_seconds", "busy_time_seconds", "jobs_processed", "pid", "hostname"),
    *("memory_usage_mb", "cpu_usage_percent", "peak_memory_usage_mb"),
]
OURS = ["library", "role", "running", "elapsed_seconds"]


FORMATS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i64": "q", "8 bytes": "8s", "16 x u64": "16Q"}


class Layout:
    """The two tables of docs/journal-format.md, section 5, as formats of `struct`; nothing of the package is used."""

    def __init__(self) -> None:
        text = (DOCS / "journal-format.md").read_text()
        section = text[text.index("## 5. The worker page") : text.index("## 6. Dropped records")]
        page, _, beat = section.partition("### 5.1")
        self.page, self.beat = self._rows(page), self._rows(beat)
        (texts,) = [words for _, kind, words in self.beat if kind == "texts"]
        self.texts = texts.partition(": ")[2].split(", ")

    @staticmethod
    def _rows(text: str) -> list[tuple[int, str, str]]:
        found = re.findall(r"^\| ([\d,]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
        return [(int(offset.replace(",", "")), kind.strip(), words.strip()) for offset, kind, words in found]

    def numbers(self, rows: list[tuple[int, str, str]], data: bytes, begin: int = 0) -> dict[str, Any]:
        """By the first words of each field's description, up to a comma, a colon or a semicolon."""
        read = {}
        for offset, kind, words in rows:
            if kind in FORMATS:
                values = struct.unpack_from("<" + FORMATS[kind], data, begin + offset)
                read[re.split("[,:;(]", words)[0].strip()] = values[0] if len(values) == 1 else values
        return read

    def heartbeat(self, data: bytes, begin: int = 0) -> dict[str, Any]:
        read = self.numbers(self.beat, data, begin)
        (at,) = [offset for offset, kind, _ in self.beat if kind == "texts"]
        for name in self.texts:
            (length,) = struct.unpack_from("<H", data, begin + at)
            read[name] = data[begin + at + 2 : begin + at + 2 + length].decode()
            at += 2 + length
        return read


# Each row: words of the table, key of `decode_heartbeat`.
NAMES = {
    "pid": "pid",
    "parent's pid": "parent_pid",
    "executions running now": "running",
    "worker key": "worker_key",
    "start time": "start_ticks",
    "inode of the pid namespace": "pid_namespace",
    "process started": "process_started",
    "written": "written",
    "the running job started": "job_started",
    "busy time": "busy",
    "idle time": "idle",
    "executions finished": "finished",
    "executions finished with an outcome other than succeeded or retried": "failed",
    "resident memory": "rss",
    "peak resident memory": "rss_peak",
    "CPU time of the process": "cpu",
    "boot id": "boot",
    "since when it has been in its state": "state_changed",
    "the drainer looked at the process": "seen",
    "CPU time spent between the drainer's last two readings": "cpu_spent",
    "time between these two readings": "cpu_over",
    "host": "host",
    "library": "library",
    "connection": "connection",
    "queue": "queue",
    "task": "task",
    "job id": "job_id",
}


def packed(texts: tuple[str, ...], state: int = 3, role: int = 2, **numbers: int) -> bytes:
    """A heartbeat made by hand: every number 0 that is not given."""
    order = (
        "pid parent running worker start namespace started written job since busy idle finished failed rss peak cpu boot seen spent over"
    )
    values = [numbers.pop(name, 0) for name in order.split()]
    assert not numbers
    data = struct.pack("<HBB III QQQ qqqq QQQQQQQQ q QQ".replace(" ", ""), 1, state, role, *values)
    return data + b"".join(struct.pack("<H", len(text.encode())) + text.encode() for text in texts)


def read_alike(data: bytes, **options: Any) -> dict[str, Any]:
    """The JSON view as two parsers read it."""
    text = _core.heartbeat_json(data, **options)
    read = json.loads(text)
    assert orjson.loads(text) == read
    assert isinstance(read, dict)
    return read


def test_struct_reads_a_page_by_the_tables_of_the_specification(tmp_path: Path) -> None:
    layout = Layout()
    recorder = _core.Recorder(str(tmp_path / "spool"), "höst-1")
    recorder.describe(_core.CHILD, "huey", "broker", "a,b")
    handle = recorder.series("broker", "a", "app.send", _core.CLOCK_PROCESS)
    recorder.finished(recorder.started(handle, "one", 0, NO_TIME), _core.FAILED, "ValueError", 0)
    recorder.started(handle, "two", 0, NO_TIME)
    (path,) = (tmp_path / "spool").glob("*.wrk")
    content = path.read_bytes()
    (at,) = [offset for offset, _, words in layout.page if words == "the heartbeat"]
    page = layout.numbers(layout.page, content)
    assert (page["magic `QMWORKER`"], page["version"], page["sequence"] % 2) == (b"QMWORKER", 1, 0)
    assert page["dropped records by reason"] == (0,) * 16
    read = layout.heartbeat(content, at)
    assert (read["version"], read["state"], read["role"]) == (1, 3, 2)
    assert (read["pid"], read["executions finished"], read["executions running now"]) == (os.getpid(), 1, 1)
    assert [read[name] for name in layout.texts] == ["höst-1", "huey", "broker", "a", "app.send", "two"]
    decoded = _core.decode_heartbeat(content[at : at + page["length of the heartbeat"]])
    assert {NAMES[name]: value for name, value in read.items() if name in NAMES} == {
        key: (NO_TIME if key == "seen" else UNKNOWN) if value is None else value
        for key, value in decoded.items()
        if key not in ("version", "state", "role")
    }


numbers = st.one_of(st.integers(0, UNKNOWN), st.integers(0, 2**44), st.just(UNKNOWN))
moments = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(1_500_000_000_000_000, 2_000_000_000_000_000), st.just(NO_TIME))
texts = st.text(max_size=15)


@given(
    st.tuples(texts, texts, texts, texts, texts, texts),
    st.integers(1, 5),
    st.fixed_dictionaries(
        {"running": st.integers(0, 3), "pid": st.integers(0, 2**32 - 1), "start": st.integers(0, UNKNOWN)}
        | dict.fromkeys(("busy", "idle", "finished", "rss", "peak", "spent", "over"), numbers)
        | dict.fromkeys(("written", "job", "since", "seen"), moments)
    ),
)
def test_the_json_view_says_what_the_bytes_say(labels: tuple[str, ...], state: int, given: dict[str, int]) -> None:
    """Recomputed with rational numbers from what was packed."""
    read = read_alike(packed(labels, state, **given))
    assert list(read) == [*ORIGINAL, *OURS]
    host, library, connection, queue, task, job = labels
    known = {key: None if value in (NO_TIME, UNKNOWN) else value for key, value in given.items()}
    last = known["seen"] if known["seen"] is not None else known["written"]
    since = max(0, last - known["written"]) if last is not None and known["written"] is not None else 0

    def seconds(name: str, on: bool) -> int | None:
        value = known[name]
        return None if value is None else min(value + (since if on else 0), UNKNOWN)

    def rounded(exact: Fraction | None) -> float | None:
        return None if exact is None else float(Fraction((exact * 10**6 + Fraction(1, 2)).__floor__(), 10**6))

    def moment(value: int | None) -> str | None:
        try:
            return None if value is None else (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value)).isoformat("T", "seconds")
        except OverflowError:
            return None

    running = known["running"] or 0
    busy, idle = seconds("busy", state == 3), seconds("idle", state in (1, 2))
    spent, over = known["spent"], known["over"]
    percent = None if spent is None or not over else min(Fraction(100 * spent, over), Fraction(UNKNOWN, 10**6))
    started = known["job"] if running else None
    expected = [
        f"{host}:{given['pid']}:{given['start']}",
        connection or None,
        queue or None,
        ["idle", "idle", "busy", "stopped", "crashed"][state - 1],
        moment(last),
        moment(known["since"]),
        (job or None) if running else None,
        (task or None) if running else None,
        None if idle is None else idle / 10**6,
        None if busy is None else busy / 10**6,
        known["finished"],
        given["pid"],
        host or None,
        rounded(None if known["rss"] is None else Fraction(known["rss"], 2**20)),
        rounded(percent),
        rounded(None if known["peak"] is None else Fraction(known["peak"], 2**20)),
        library or None,
        "child",
        running,
        None if started is None or last is None else min(max(0, last - started), 2**63 - 1) / 10**6,
    ]
    assert list(read.values()) == expected
    assert read_alike(packed(labels, state, **given), own=False) == {name: read[name] for name in ORIGINAL}


@pytest.mark.parametrize(
    "name",
    [
        '"quoted" \\ and / more',
        "".join(map(chr, range(1, 0x20))) + "\x7f\x80\u2028\u2029\ufeff\uffff",
        "日本語 🐍 e\u0301",
        "x" * 10_000,
        "𝔘" * 2_500,
    ],
)
def test_hostile_names_come_through_in_json(tmp_path: Path, name: str) -> None:
    """Texts are cut at their limits, never in a character, and read back as they are."""
    recorder = _core.Recorder(str(tmp_path / "spool"), name)
    handle = recorder.series(name, name, name, _core.CLOCK_THREAD)
    recorder.started(handle, name, 0, NO_TIME)
    read = read_alike(recorder.heartbeat())
    whole = _core.decode_heartbeat(recorder.heartbeat())
    assert (read["hostname"], read["current_job_class"], read["current_job_id"]) == (whole["host"], whole["task"], whole["job_id"])
    assert name.startswith(read["queue"])
    assert len(read["queue"].encode()) > 500 or read["queue"] == name


def test_other_bytes_have_no_json_and_a_newer_version_says_so() -> None:
    data = packed(("h", "l", "c", "q", "t", "j"))
    with pytest.raises(DecodeError, match="damaged or newer"):
        _core.heartbeat_json(data[:-1])
    for function in (_core.heartbeat_json, _core.decode_heartbeat):
        with pytest.raises(DecodeError, match="version 7, which is newer"):
            function(b"\x07\0" + data[2:])
    assert _core.heartbeat_json(data + b"of a newer version") == _core.heartbeat_json(data)


def test_the_page_of_the_documentation_names_every_field_in_order() -> None:
    page = (DOCS / "stored-values.md").read_text()
    cells = [row[0] for row in table(page[page.index(" A heartbeat as JSON") :].split("\n## ")[0], "field")]
    assert re.findall("`([a-z_]+)`", " ".join(cells)) == [*ORIGINAL, *OURS]
