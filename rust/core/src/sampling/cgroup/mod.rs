//! The control group that this process is in: what limits it, what it uses, what it waits for. Versions 1 and 2 and both mixed.
//!
//! Source: Linux, Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, scheduler/sched-bwc.rst.

#[cfg_attr(not(unix), path = "affinity_elsewhere.rs")]
mod affinity;
mod capacity;
mod container;
mod cpu;
mod hierarchy;
mod memory;
mod rates;
#[cfg(unix)]
mod sampler;

pub use capacity::{Capacity, Four, HostNumbers, Origin, capacity};
pub use container::{Container, container};
pub use cpu::{CpuLevel, CpuSample};
pub use hierarchy::Version;
pub use memory::{MemoryLevel, MemorySample};
pub use rates::{CgroupRates, rates};
#[cfg(unix)]
pub use sampler::Sampler;

use super::clock;
use super::pressure::{Pressure, parse_pressure};
use super::root::{Root, malformed};
use super::unread::Unread;
use cpu::Places;
use hierarchy::{Controller, Hierarchies, Place};

/// How a group stands. A limit that is None and not among the unread ones is no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CgroupSample {
    /// Read at, monotonic ns.
    pub at_ns: u64,
    /// Version of the mounts; None where there are no control groups.
    pub version: Option<Version>,
    /// The group, below its mount; `/` is the topmost one that this process can see.
    pub path: Option<String>,
    /// The mark of a container; None if there is none.
    pub container: Option<Container>,
    /// CPU.
    pub cpu: CpuSample,
    /// Memory.
    pub memory: MemorySample,
    /// Waiting for CPU; version 2 only, as the next two.
    pub cpu_pressure: Option<Pressure>,
    /// Waiting for memory.
    pub memory_pressure: Option<Pressure>,
    /// Waiting for disks.
    pub io_pressure: Option<Pressure>,
    /// What could not be read, and why.
    pub unread: Unread,
}

/// The group of this process now. Counters are since the group was made: see [`rates`].
pub fn sample(root: &Root) -> CgroupSample {
    let mut unread = Unread::default();
    let hierarchies = unread.keep(&["version", "path"], Hierarchies::read(root)).unwrap_or_default();
    let place = |controller| hierarchies.place(root, controller);
    let (own_cpu, own_memory) = (place(Controller::Cpu), place(Controller::Memory));
    let path = own_memory.as_ref().or(own_cpu.as_ref()).map(|place| place.path.clone());
    let places = Places { cpu: own_cpu, cpuacct: place(Controller::Cpuacct), cpuset: place(Controller::Cpuset) };
    let cpu = cpu::read(root, &places, &mut unread);
    let memory = memory::read(root, own_memory.as_ref(), &mut unread);
    let unified = hierarchies.unified(root);
    let mut pressure = |field, name| unread.keep(&[field], pressure(root, unified.as_ref(), name));
    let [cpu_pressure, memory_pressure, io_pressure] = [
        pressure("cpu_pressure", "cpu.pressure"),
        pressure("memory_pressure", "memory.pressure"),
        pressure("io_pressure", "io.pressure"),
    ];
    CgroupSample {
        at_ns: clock::monotonic_ns(),
        version: hierarchies.version(),
        path,
        container: unread.keep(&["container"], container(root)).flatten(),
        cpu,
        memory,
        cpu_pressure,
        memory_pressure,
        io_pressure,
        unread,
    }
}

fn pressure(root: &Root, unified: Option<&Place>, name: &str) -> Result<Pressure, String> {
    let place = unified.ok_or("version 1 has no pressure of groups")?;
    let path = place.file(name);
    parse_pressure(&root.read(&path)?).ok_or_else(|| malformed(&path))
}

#[cfg(test)]
mod tests;
