"""The test vectors of docs/journal-format.md, read and made by the oracle that knows the page alone; Rust's tests take the same lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support import journal_oracle as oracle
from tests.support.journal_oracle import HEADER, NO_TIME, NO_U64, SEALED

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "journal-format.md").read_text()
SEGMENT = bytes(range(16))
AT = 1_700_000_000_000_000
TASK, QUEUE, ERROR, JOB = 0x577BB8EC44119CC2, 0x8C42FF0ECDCC35A3, 0xF2BED9F1DA99832A, 0x2E0B2CBDF4A8B6CC
LONG = ("broker", "default", "reports.vierteljährliche_überweisungen_für_alle_konten_verschicken")

# Flags, small and fields of each record, as the page tells them.
RECORDS: dict[str, tuple[int, int, dict[str, Any]]] = {
    "WORKER": (
        2,
        0,
        {"at": AT, "worker": 0x1111, "pid": 4242, "parent": 4200, "start_ticks": 987_654, "pid_namespace": 4_026_531_836}
        | {"boot": 0x0706050403020100, "identity": 0x845F76B1C6335518},
    ),
    "STOP": (0, 0, {"at": AT + 9, "worker": 0x1111}),
    "ARRIVE": (0, 0, {"at": AT, "task": TASK, "job": JOB, "ready_at": AT + 5}),
    "START": (0, 1, {"at": AT + 100, "key": 0xABCDEF, "task": TASK, "job": JOB, "ready_at": AT + 5, "worker": 0x1111}),
    "END": (
        1,
        3,
        {"at": AT + 2_000_100, "key": 0xABCDEF, "runtime": 2_000_000_000, "cpu": 1_500_000_000, "rss_peak": 51_200, "rss_change": -12}
        | {"exception": ERROR, "worker": 0x1111},
    ),
    "DISCARD": (0, 2, {"at": AT, "task": TASK, "job": JOB}),
    "HINT": (0, 4, {"at": AT + 3, "job": JOB, "worker": 0x2222, "exception": 0}),
    "GAUGE": (0b10101, 0, {"at": AT, "queue": QUEUE, "ready": 12, "reserved": 0, "scheduled": 3, "running": 0, "age": 1_500_000}),
    "DUE": (0b100000, 0, {"at": AT, "queue": QUEUE, "ready": 90_000_000, "reserved": 0, "scheduled": 0, "running": 0, "age": 0}),
    "PAD": (0, 0, {}),
}


def vectors() -> dict[str, bytes]:
    """Each line of the page by its name."""
    section = PAGE[PAGE.index("## 7. Test vectors") :]
    blocks = re.findall(r"^```text\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return {name: bytes.fromhex(digits) for line in "".join(blocks).splitlines() for name, digits in [line.split()]}


def vector(name: str) -> bytes:
    """A vector in one piece, from its line or the lines of its parts."""
    found = [digits for line, digits in vectors().items() if line.partition(".")[0] == name]
    assert found, name
    return b"".join(found)


def test_each_line_of_the_page_is_asked_for_here() -> None:
    names = {line.partition(".")[0] for line in vectors()}
    assert names == {*RECORDS, "DEF", "NAME", "HEADER", "MAP", "PAGE", "HEARTBEAT", "COUNTERS"}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_is_read_and_made(name: str) -> None:
    flags, small, fields = RECORDS[name]
    kind = "GAUGE" if name == "DUE" else name
    assert oracle.decode(SEGMENT, 0, vector(name)) == oracle.Record(0, kind, flags, small, fields)
    assert oracle.encode(SEGMENT, kind, flags=flags, small=small, **fields) == vector(name)


def test_names_and_hashes_are_those_of_the_page() -> None:
    assert oracle.hash64(oracle.label_list(1, "broker", "default", "app.send")) == TASK
    assert oracle.hash64(oracle.label_list(2, "broker", "default")) == QUEUE
    assert oracle.hash64(oracle.label_list(7, "ValueError")) == ERROR
    assert oracle.job_hash("job-1") == JOB


@pytest.mark.parametrize(("name", "labels", "parts"), [("DEF", ("broker", "default", "app.send"), 1), ("NAME", LONG, 3)])
def test_a_definition_is_joined_from_its_parts_in_any_order_and_made(name: str, labels: tuple[str, ...], parts: int) -> None:
    written = vector(name)
    records = [oracle.decode(SEGMENT, slot, written[64 * slot : 64 * slot + 64]) for slot in range(len(written) // 64)]
    known = [record for record in records if record is not None]
    assert [record.small for record in known] == list(range(parts))
    assert oracle.labels_of(known[::-1]) == (1, list(labels))
    assert b"".join(oracle.encode_definition(SEGMENT, oracle.label_list(1, *labels))) == written


def test_a_header_of_each_way_is_made(tmp_path: Path) -> None:
    about: dict[str, Any] = {"boot_id": bytes(range(16, 32)), "created": AT, "pid": 4242, "start_ticks": 987_654}
    assert oracle.encode_header(SEGMENT, **about)[:128] == vector("HEADER")
    made = oracle.encode_header(SEGMENT, **about, way=1, capacity=4, pid_namespace=4_026_531_836, created_monotonic=3_600_000_000_000)
    tail = (SEALED | 3).to_bytes(8, "little")
    assert made[:128] + tail == vector("MAP")


@pytest.mark.parametrize(("name", "slots"), [("HEADER", 4), ("MAP", 3)])
def test_a_segment_is_read_up_to_its_end_or_its_tail(tmp_path: Path, name: str, slots: int) -> None:
    kinds = ["START", "END", "HINT", "STOP"]
    path = tmp_path / "one.seg"
    path.write_bytes(vector(name).ljust(HEADER, b"\0") + b"".join(map(vector, kinds)))
    assert oracle.reserved(path) == slots
    assert [record.kind for record in oracle.read_segment(path)] == kinds[:slots]


@pytest.mark.parametrize("name", ["HEADER", "MAP"])
def test_a_header_with_a_flipped_bit_hides_its_segment(tmp_path: Path, name: str) -> None:
    path = tmp_path / "one.seg"
    for at in range(128):
        page = bytearray(vector(name).ljust(HEADER, b"\0") + vector("STOP"))
        page[at] ^= 1
        path.write_bytes(page)
        assert list(oracle.read_segment(path)) == [], at


def test_the_page_of_a_worker_is_read() -> None:
    page = bytearray(4096)
    for at, name in ((0, "PAGE"), (64, "HEARTBEAT"), (3584, "COUNTERS")):
        page[at : at + len(vector(name))] = vector(name)
    heartbeat, counters = oracle.read_page(bytes(page))
    assert heartbeat == {
        "version": 1,
        "state": 3,
        "role": 2,
        "pid": 4242,
        "parent": 4200,
        "running": 1,
        "worker": 0x1111,
        "start_ticks": 987_654,
        "pid_namespace": 4_026_531_836,
        "boot": 0x1716151413121110,
        "process_started": AT - 60_000_000,
        "written": AT,
        "job_started": AT - 2_000_000,
        "state_changed": AT - 2_500_000,
        "busy": 41_000_000,
        "idle": 18_500_000,
        "finished": 120,
        "failed": 7,
        "rss": 50 << 20,
        "rss_peak": 64 << 20,
        "cpu": 30_250_000,
        "seen": NO_TIME,
        "cpu_spent": NO_U64,
        "cpu_over": NO_U64,
        "host": "höst-1",
        "library": "celery",
        "connection": "broker",
        "queue": "default",
        "task": "app.send",
        "job_id": "job-1",
    }
    assert counters == (3, 0, 0, 0, 0, 1, *[0] * 9, 2)
