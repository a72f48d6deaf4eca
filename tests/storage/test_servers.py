"""A server's sample as a heartbeat and as a minute: nothing is lost on the way, nothing is too long, nothing breaks a reader."""

from __future__ import annotations

import json
import random
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_type_hints

import pytest

from queue_metrics.model.servers import DiskUse, Interface, Load, MemoryUse, ServerSample
from queue_metrics.storage import servers
from queue_metrics.storage.base import Beat, StorageDriver
from queue_metrics.storage.memory import MemoryStorageDriver
from queue_metrics.storage.servers import BEAT_BYTES, ServerReport, add_server_minute, server_beat, server_minute, server_minutes
from queue_metrics.storage.spools import spool_reports, worker_beats


def told(worker_id: str, payload: bytes, age: float = 1.5) -> list[ServerReport]:
    return servers.server_reports([Beat(worker_id, payload, age)])


def random_value(chance: random.Random, hint: Any) -> Any:
    """Something of this type that no default is."""
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{each.name: random_value(chance, hints[each.name]) for each in fields(hint)})  # type: ignore[operator]
    text = str(hint)
    if "tuple" in text:
        one = DiskUse if "DiskUse" in text else Interface
        return tuple(random_value(chance, one) for _ in range(chance.randint(1, 3)))
    if "Mapping" in text:
        return {f"path{chance.randint(0, 9)}": f"reason {chance.random()}"}
    if "float" in text:
        return round(chance.uniform(0.001, 1e6), 6)
    if "int" in text:
        return chance.randint(1, 2**50)
    return f"text {chance.random()}"


def test_whatever_is_in_a_sample_comes_back_and_no_field_stays_constant() -> None:
    """L14: fields that were written and never read, or always 0, went unseen for a year."""
    chance = random.Random(14)
    seen: list[ServerSample] = []
    for _ in range(20):
        sample = replace(random_value(chance, ServerSample), disks_left_out=0, interfaces_left_out=0)
        (report,) = told(*server_beat("web-1", sample))
        assert (report.hostname, report.age) == ("web-1", 1.5)
        assert replace(report.sample, disks=None, interfaces=None) == replace(sample, disks=None, interfaces=None)
        assert set(report.sample.disks or ()) == set(sample.disks or ())
        assert set(report.sample.interfaces or ()) == set(sample.interfaces or ())
        seen.append(report.sample)
    for each in fields(ServerSample):
        if not each.name.endswith("_left_out"):
            values = [getattr(sample, each.name) for sample in seen]
            assert any(value != values[0] for value in values), f"{each.name} never changes"


def test_what_is_unknown_comes_back_unknown_and_never_0() -> None:
    (report,) = told(*server_beat("h", ServerSample(unread={"": "no /proc here"})))
    assert report.sample == ServerSample(unread={"": "no /proc here"})
    assert report.sample.memory.total_bytes is None


def test_a_heartbeat_is_never_long_and_keeps_the_fullest_disks_and_the_busiest_interfaces() -> None:
    hostile = "/" + "\x01" * 4000
    disks = tuple(DiskUse(f"{hostile}/{number}", "x" * 4000, 2**62, usage_ratio=number / 300) for number in range(300))
    interfaces = tuple(Interface(f"eth{number}" + "é" * 4000, bytes_sent=number, bytes_received=2**62) for number in range(300))
    unread = {f"{number}{'/' * 4000}": "why" * 2000 for number in range(300)}
    for whole in (
        ServerSample(disks=disks, interfaces=interfaces, unread=unread),
        ServerSample(disks=tuple(replace(disk, mountpoint=f"/{index}") for index, disk in enumerate(disks))),
    ):
        name, payload = server_beat("h", whole)
        assert len(payload) <= BEAT_BYTES
        (report,) = told(name, payload)
        assert len(report.sample.disks or ()) + report.sample.disks_left_out == 300
    assert report.sample.disks is not None
    assert [disk.mountpoint for disk in report.sample.disks][:2] == ["/299", "/298"]
    assert len(report.sample.disks) == 16
    quiet = ServerSample(interfaces=tuple(replace(each, name=f"eth{index}") for index, each in enumerate(interfaces)))
    (report,) = told(*server_beat("h", quiet))
    assert [each.name for each in report.sample.interfaces or ()][:2] == ["eth299", "eth298"]


@pytest.mark.parametrize(
    "payload",
    [b"{", b"{}", b'{"v":2}', b'{"v":1,"cpu":5}', b'{"v":1,"disks":[{}]}', b'{"v":1,"disks":7}', b'{"v":1,"unread":[]}', b"{\xff}"],
)
def test_a_damaged_or_newer_sample_is_left_out_and_nobody_takes_it_for_a_worker(payload: bytes) -> None:
    beats = [Beat("server:web-1", payload, 1.0)]
    assert servers.server_reports(beats) == []
    assert worker_beats(beats) == []
    assert spool_reports(beats) == []


def test_fields_of_a_later_package_are_passed_over() -> None:
    name, payload = server_beat("h", ServerSample(load=Load(1.0, 2.0, 3.0)))
    later = {**json.loads(payload), "gpu": 1}
    later["load"]["over_1_hour"] = 9
    (report,) = told(name, json.dumps(later).encode())
    assert report.sample.load == Load(1.0, 2.0, 3.0)


def test_a_worker_on_a_host_that_is_called_server_is_a_worker() -> None:
    beats = [Beat("server:100:77", b"\x01\x00\x03\x01", 1.0), Beat(*server_beat("server", ServerSample()), 1.0)]
    assert [beat.worker_id for beat in worker_beats(beats)] == ["server:100:77"]
    assert [report.hostname for report in servers.server_reports(beats)] == ["server"]


def test_a_minute_is_kept_once_and_for_7_days() -> None:
    store: StorageDriver = MemoryStorageDriver()
    sample = ServerSample(memory=MemoryUse(total_bytes=8, used_bytes=2, usage_ratio=0.25), disks=(DiskUse("/", "ext4", usage_ratio=0.5),))
    now = 1_800_000_000 // 60 * 60
    for minute, one in ((now - 8 * 86400, 1.0), (now - 6 * 86400, 2.0), (now, 3.0), (now, 4.0)):
        add_server_minute(store, "web-1", server_minute(minute, replace(sample, load=Load(one))))
    add_server_minute(store, "web-10", server_minute(now, replace(sample, load=Load(9.0))))
    rows = server_minutes(store.get_sorted_set_by_score(servers.minutes_key("web-1"), 0, now))
    assert [(row.minute, row.load) for row in rows] == [(now - 6 * 86400, 2.0), (now, 4.0)]
    assert (rows[1].memory_ratio, rows[1].memory_used_bytes, rows[1].disk_ratio, rows[1].cpu_ratio) == (0.25, 2, 0.5, None)
    assert server_minutes([("{", 1.0), ("[]", 1.0), ('{"load":1}', 1.0)]) == []
