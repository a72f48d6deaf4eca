//! One reading of the host's tables as nested tuples, which cost Python a third of what dicts do.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use queue_metrics_core::sampling::host::Reading;
use queue_metrics_core::sampling::host::cpu::Times;
use queue_metrics_core::sampling::host::disk_io::DiskCounters;
use queue_metrics_core::sampling::host::memory::Memory;
use queue_metrics_core::sampling::host::network::InterfaceCounters;
use queue_metrics_core::sampling::host::space::Space;
use queue_metrics_core::sampling::process::ticks_a_second;

type Bytes = Option<u64>;

/// The parts in the order of the stub; None: not read.
pub fn tables(py: Python<'_>, reading: &Reading) -> PyResult<Py<PyTuple>> {
    let a_tick = 1.0 / ticks_a_second() as f64;
    let seconds = |times: &Times| times.map(|ticks| ticks as f64 * a_tick);
    let cpus = reading.cpus.as_ref();
    let total = cpus.map(|cpus| tuple(seconds(&cpus.total)));
    let cores =
        cpus.map(|cpus| cpus.cores.iter().map(|core| (core.number, tuple(seconds(&core.times)))).collect::<Vec<_>>());
    let memory = reading.memory.as_ref();
    let parts = (
        reading.at_ns,
        total,
        cores,
        memory.map(of_memory),
        memory.map(|memory| (memory.swap_total, memory.swap_used(), memory.swap_free)),
        reading.load.map(|load| <(f64, f64, f64)>::from(load.averages)),
        reading.disks.as_ref().map(|disks| disks.iter().map(of_disk).collect::<Vec<_>>()),
        reading.interfaces.as_ref().map(|found| found.iter().map(of_interface).collect::<Vec<_>>()),
        reading.root.as_ref().map(of_space),
    );
    Ok(parts.into_pyobject(py)?.unbind())
}

fn tuple(seconds: [f64; 8]) -> (f64, f64, f64, f64, f64, f64, f64, f64) {
    seconds.into()
}

fn of_memory(memory: &Memory) -> (Bytes, Bytes, Bytes, Bytes, Bytes, Bytes, Bytes, Bytes, Bytes, Bytes) {
    (
        memory.total,
        memory.available(),
        memory.used(),
        memory.free,
        memory.cached,
        memory.buffers,
        memory.reclaimable,
        memory.shared,
        memory.active,
        memory.inactive,
    )
}

fn of_disk(disk: &DiskCounters) -> (Cow<'_, str>, u64, u64, u64, u64, u64, u64, u64) {
    (
        String::from_utf8_lossy(disk.name.as_bytes()),
        disk.reads,
        disk.writes,
        disk.read_bytes,
        disk.written_bytes,
        disk.read_ms,
        disk.write_ms,
        disk.busy_ms,
    )
}

type Interface<'n> = (Cow<'n, str>, u64, u64, u64, u64, u64, u64, Option<u64>, Option<u64>);

fn of_interface(interface: &InterfaceCounters) -> Interface<'_> {
    let (received, sent) = (&interface.received, &interface.sent);
    (
        String::from_utf8_lossy(interface.name.as_bytes()),
        sent.bytes,
        received.bytes,
        sent.packets,
        received.packets,
        received.errors,
        sent.errors,
        received.drops,
        sent.drops,
    )
}

fn of_space(space: &Space) -> (u64, Bytes, Bytes, u64) {
    (space.total, space.used(), space.free, space.available)
}
