"""Why each field of a server's sample is unknown: of real machines, of one that tells nothing, and of one that tells a part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest

from queue_metrics.model.reasons import why
from queue_metrics.model.reasons_of_servers import UNSAID
from queue_metrics.model.servers import PARTS, DiskUse, Interface, Sampled, ServerSample
from queue_metrics.recording.servers import ServerSampler
from queue_metrics.recording.unread import explained, nothing
from queue_metrics.storage.base import Beat
from queue_metrics.storage.servers import server_beat, server_reports
from queue_metrics.testing import HostFiles

FIRST = "the first sample, or too soon after it: shares of the CPU and rates are differences of two"


def parts(sample: ServerSample) -> Iterator[Sampled]:
    yield sample
    yield from (getattr(sample, name) for name in PARTS)
    yield from sample.disks or ()
    yield from sample.interfaces or ()


def reasons(sample: ServerSample) -> dict[str, str | None]:
    """Of all that is None."""
    return {
        f"{type(part).__name__}.{each.name}": why(part, each.name)
        for part in parts(sample)
        for each in fields(part)
        if getattr(part, each.name) is None
    }


def stored(sample: ServerSample) -> ServerSample:
    (report,) = server_reports([Beat(*server_beat("web-1", sample), 1.0)])
    return report.sample


def half(root: Path) -> ServerSample:
    """A machine without pressure stalls and swap, whose memory nobody may read."""
    files = HostFiles(root)
    (root / "proc" / "meminfo").unlink()
    files.write("proc/net/dev", "Inter-| Receive | Transmit\n face |bytes\n  eth0: 1000 10 1 2 0 0 0 0 500 5 3 4 0 0 0 0\n")
    return ServerSampler("proc", str(root)).sample()


SAMPLES: dict[str, Callable[[Path], ServerSample]] = {
    "of this machine": lambda _: ServerSampler("proc").sample(),
    "by sysinfo": lambda _: ServerSampler("sysinfo").sample(),
    "of half a machine": half,
    "of nothing": lambda root: ServerSampler("proc", str(root)).sample(),
    "of no sampler": lambda root: ServerSampler("sysinfo", str(root)).sample(),
}


@pytest.mark.parametrize("taken", SAMPLES.values(), ids=SAMPLES)
def test_whatever_a_sample_lacks_has_a_reason_that_the_store_keeps(taken: Callable[[Path], ServerSample], tmp_path: Path) -> None:
    sample = taken(tmp_path)
    found = reasons(sample)
    assert found
    assert UNSAID not in found.values()
    kept = stored(sample)
    assert {field: reason for field, reason in reasons(kept).items() if reason != found[field]} == {}


def test_each_field_has_the_reason_of_what_it_is_read_from(tmp_path: Path) -> None:
    found = reasons(half(tmp_path))
    memory, pressure = "/proc/meminfo: no such file", "/proc/pressure/"
    assert (found["MemoryUse.usage_ratio"], found["MemoryUse.swap_used_bytes"], found["Room.limit"]) == (memory,) * 3
    assert found["CpuUse.usage_ratio"] == found["Interface.bytes_sent_per_second"] == found["ServerSample.interval_seconds"] == FIRST
    assert str(found["Pressure.some_10_ratio"]).startswith(pressure)
    none = reasons(ServerSampler("proc", str(tmp_path / "nothing")).sample())
    assert (none["ServerSample.kernel"], none["CpuUse.host_cores"]) == (
        "/proc/sys/kernel/osrelease: no such file",
        "/proc/stat: no such file",
    )
    assert none["ServerSample.interfaces"] == "/proc/net/dev: no such file"


def test_a_reason_that_finds_no_room_is_not_taken_for_another() -> None:
    long = {f"field {number}": "x" * 100 for number in range(3)}
    disks = tuple(DiskUse(f"/{number:0>100}", "ext4", unread={"": "it hangs", "used_bytes": "y", **long}) for number in range(40))
    sample = stored(replace(nothing("no /proc here"), disks=disks))
    assert sample.cpu.unread == {"": "no /proc here"}
    assert sample.disks
    assert {why(disk, "total_bytes") for disk in sample.disks} == {UNSAID}


class NeverWalked(dict[str, str]):
    """What a sampler said, of which each look-up is of one path."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("walked for one field")


def test_the_nearest_group_says_why_and_of_a_thousand_interfaces_not_all_is_looked_through_for_each() -> None:
    names = [f"tap[{number}].7" for number in range(1000)]
    sample = replace(nothing(""), disks=(DiskUse("/srv/v1.2", "nfs"),), interfaces=tuple(Interface(name) for name in names))
    each = {f"network[{name}].bytes_sent": f"counter of {name}" for name in names}
    found = explained(sample, NeverWalked({"disks": "none", "disks[/srv/v1.2]": "it hangs", "network[tap[7].7]": "gone", **each}))
    assert found.disks
    assert found.interfaces
    assert found.disks[0].unread == {"": "it hangs"}
    assert found.interfaces[7].unread == {"": "gone", "bytes_sent": "counter of tap[7].7"}
    assert found.interfaces[8].unread == {"": "counter of tap[8].7"}
