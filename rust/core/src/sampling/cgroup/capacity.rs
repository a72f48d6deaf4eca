//! Demand, limit, usage and headroom as four numbers, never computed one from the other later: a headroom taken for a limit, or a
//! demand that was already cut to the limit, can never ask for more.

use super::rates::CgroupRates;
use super::{CgroupSample, Version};

/// Whose numbers these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The machine's.
    Host,
    /// A group's, version 1.
    CgroupV1,
    /// A group's, version 2.
    CgroupV2,
}

/// Four numbers of one resource in one unit; an unknown one is None.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Four {
    /// Whose usage and demand these are.
    pub origin: Origin,
    /// What would be used if nothing held it back; at least this much.
    pub demand: Option<f64>,
    /// What may be used at most.
    pub limit: Option<f64>,
    /// What is used.
    pub usage: Option<f64>,
    /// What could be used beyond that, as the tightest of all limits and the machine leave it.
    pub headroom: Option<f64>,
}

/// CPU in cores and memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    /// CPU, cores.
    pub cpu: Four,
    /// Memory, bytes.
    pub memory: Four,
}

/// What the machine says, for where the group says nothing or less.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostNumbers {
    /// CPUs online.
    pub cores: Option<f64>,
    /// CPUs in use since the sample before, cores.
    pub busy_cores: Option<f64>,
    /// At least one task waited for a CPU (`/proc/pressure/cpu`), cores, at most 1.
    pub waiting_cores: Option<f64>,
    /// Memory, bytes.
    pub memory_total_bytes: Option<u64>,
    /// Memory that can be taken without swapping, bytes.
    pub memory_available_bytes: Option<u64>,
    /// Swap in use, bytes.
    pub swap_used_bytes: Option<u64>,
}

/// The four numbers of CPU and memory. A group's numbers stand where it has a limit or a container was found, else the
/// machine's. `rates` are those of the group since the sample before.
pub fn capacity(group: &CgroupSample, rates: Option<&CgroupRates>, host: &HostNumbers) -> Capacity {
    let contained = group.container.is_some();
    let origin = match group.version {
        Some(Version::V1) => Origin::CgroupV1,
        _ => Origin::CgroupV2,
    };
    let of_group = |limited: bool, known: bool| if (contained || limited) && known { origin } else { Origin::Host };
    let cpu = of_group(group.cpu.quota_cores.is_some(), group.cpu.usage_ns.is_some());
    let below =
        |limit: Option<u64>| limit.is_some_and(|limit| host.memory_total_bytes.is_none_or(|total| limit < total));
    let memory = of_group(below(group.memory.limit_bytes), group.memory.working_set_bytes.is_some());
    Capacity { cpu: cpu_of(cpu, group, rates, host), memory: memory_of(memory, group, host) }
}

fn cpu_of(origin: Origin, group: &CgroupSample, rates: Option<&CgroupRates>, host: &HostNumbers) -> Four {
    let limit = least([group.cpu.limit_cores(), host.cores]);
    let idle = host.cores.zip(host.busy_cores).map(|(cores, busy)| (cores - busy).max(0.0));
    let (usage, waiting) = match origin {
        Origin::Host => (host.busy_cores, host.waiting_cores),
        // Both are lower bounds of the same: tasks that wanted a CPU and had none.
        _ => (
            rates.and_then(|rates| rates.usage_cores),
            rates.and_then(|rates| most([rates.throttled_cores, rates.waiting_cores])),
        ),
    };
    let own = limit.zip(usage).map(|(limit, usage)| (limit - usage).max(0.0));
    let around = rates.and_then(|rates| rates.headroom_cores);
    Four {
        origin,
        demand: usage.map(|usage| usage + waiting.unwrap_or(0.0)),
        limit,
        usage,
        headroom: own.and_then(|own| least([least([Some(own), around]), idle])),
    }
}

fn memory_of(origin: Origin, group: &CgroupSample, host: &HostNumbers) -> Four {
    let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
    let available = bytes(host.memory_available_bytes);
    let limit = least([bytes(group.memory.limit_bytes), bytes(host.memory_total_bytes)]);
    let (usage, swapped) = match origin {
        Origin::Host => (
            bytes(host.memory_total_bytes).zip(available).map(|(total, free)| (total - free).max(0.0)),
            host.swap_used_bytes,
        ),
        _ => (bytes(group.memory.working_set_bytes), group.memory.swap_bytes),
    };
    Four {
        origin,
        demand: usage.map(|usage| usage + bytes(swapped).unwrap_or(0.0)),
        limit,
        usage,
        headroom: least([bytes(group.memory.headroom_bytes()), available]),
    }
}

fn least(values: [Option<f64>; 2]) -> Option<f64> {
    values.into_iter().flatten().reduce(f64::min)
}

fn most(values: [Option<f64>; 2]) -> Option<f64> {
    values.into_iter().flatten().reduce(f64::max)
}
