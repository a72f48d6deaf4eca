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

/// From this share on a resource is under pressure: the original's.
const PRESSURE: f64 = 0.8;

impl Four {
    /// The share of the limit that is not left, 0-1, whoever took it: 1 - headroom / limit. Usage / limit would be above 1 where the
    /// machine's usage stands beside the few CPUs that this process may use.
    pub fn utilization(&self) -> Option<f64> {
        let limit = self.limit.filter(|limit| *limit > 0.0)?;
        Some((1.0 - self.headroom? / limit).clamp(0.0, 1.0))
    }

    /// Whether more work can be put on it: less than 80 % is taken.
    pub fn can_scale(&self) -> Option<bool> {
        self.utilization().map(|taken| taken < PRESSURE)
    }
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
    let (usage, waiting, headroom) = match origin {
        // What the machine uses is not taken from our limit: of 64 CPUs, 2 allowed and 10 in use, 2 are left.
        Origin::Host => (host.busy_cores, host.waiting_cores, idle.and_then(|idle| least([limit, Some(idle)]))),
        _ => {
            let usage = rates.and_then(|rates| rates.usage_cores);
            let own = limit.zip(usage).map(|(limit, usage)| (limit - usage).max(0.0));
            let around = rates.and_then(|rates| rates.headroom_cores);
            // Both are lower bounds of the same: tasks that wanted a CPU and had none. What a group around this one was stopped may
            // have been wanted by its other groups.
            let stopped = rates.and_then(|rates| rates.throttled_cores).filter(|_| group.cpu.is_stopped_itself());
            let waiting = most([stopped, rates.and_then(|rates| rates.waiting_cores)]);
            (usage, waiting, own.and_then(|own| least([least([Some(own), around]), idle])))
        }
    };
    Four { origin, demand: usage.map(|usage| usage + waiting.unwrap_or(0.0)), limit, usage, headroom }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::cgroup::{Container, CpuLevel, CpuSample, MemoryLevel, MemorySample};
    use crate::sampling::unread::Unread;

    const GIB: u64 = 1 << 30;

    fn group(container: Option<Container>, quota_cores: Option<f64>, limit_bytes: Option<u64>) -> CgroupSample {
        let working_set_bytes = Some(3 * GIB);
        CgroupSample {
            at_ns: 0,
            version: Some(Version::V2),
            path: Some("/".into()),
            container,
            cpu: CpuSample {
                quota_cores,
                affinity_cores: Some(8),
                usage_ns: Some(1),
                throttled_group: quota_cores.map(|_| "/pod/app".into()),
                levels: vec![CpuLevel { directory: "/pod/app".into(), quota_cores, usage_ns: Some(1) }],
                ..CpuSample::default()
            },
            memory: MemorySample {
                limit_bytes,
                working_set_bytes,
                swap_bytes: Some(GIB),
                levels: vec![MemoryLevel { directory: String::new(), limit_bytes, working_set_bytes }],
                ..MemorySample::default()
            },
            cpu_pressure: None,
            memory_pressure: None,
            io_pressure: None,
            unread: Unread::default(),
        }
    }

    fn host() -> HostNumbers {
        HostNumbers {
            cores: Some(8.0),
            busy_cores: Some(6.5),
            waiting_cores: Some(0.5),
            memory_total_bytes: Some(64 * GIB),
            memory_available_bytes: Some(10 * GIB),
            swap_used_bytes: Some(0),
        }
    }

    /// L33: the signal was computed from a target that was already clamped, and headroom was taken for the limit.
    #[test]
    fn the_demand_of_a_throttled_group_is_above_its_limit_and_its_headroom_is_not_its_limit() {
        let rates = CgroupRates {
            usage_cores: Some(2.0),
            throttled_cores: Some(1.5),
            waiting_cores: Some(0.25),
            headroom_cores: Some(0.0),
            ..CgroupRates::default()
        };
        let found = capacity(&group(None, Some(2.0), Some(4 * GIB)), Some(&rates), &host());
        let cpu = Four {
            origin: Origin::CgroupV2,
            demand: Some(3.5),
            limit: Some(2.0),
            usage: Some(2.0),
            headroom: Some(0.0),
        };
        assert_eq!(found.cpu, cpu);
        let [demand, limit, usage, headroom] = [4, 4, 3, 1].map(|gib| Some((gib * GIB) as f64));
        assert_eq!(found.memory, Four { origin: Origin::CgroupV2, demand, limit, usage, headroom });
        assert_eq!((found.cpu.utilization(), found.cpu.can_scale()), (Some(1.0), Some(false)));
        assert_eq!((found.memory.utilization(), found.memory.can_scale()), (Some(0.75), Some(true)));
    }

    /// A pod with a busy neighbour: the neighbour's wish is not ours.
    #[test]
    fn time_that_a_group_around_was_stopped_is_no_demand_of_this_one() {
        let rates = CgroupRates {
            usage_cores: Some(0.25),
            throttled_cores: Some(1.5),
            waiting_cores: Some(0.125),
            ..CgroupRates::default()
        };
        let mut neighbours = group(None, Some(2.0), None);
        neighbours.cpu.throttled_group = Some("/pod".into());
        assert_eq!(capacity(&neighbours, Some(&rates), &host()).cpu.demand, Some(0.375));
    }

    /// L34: every host with version 2 looked like a container, and what its own slice used like all that was used.
    #[test]
    fn a_bare_host_is_answered_by_its_own_numbers() {
        let rates = CgroupRates { usage_cores: Some(0.1), ..CgroupRates::default() };
        for limit in [None, Some(64 * GIB), Some(u64::MAX / 2)] {
            let found = capacity(&group(None, None, limit), Some(&rates), &host());
            assert_eq!((found.cpu.origin, found.memory.origin), (Origin::Host, Origin::Host));
            assert_eq!((found.cpu.usage, found.cpu.demand), (Some(6.5), Some(7.0)));
            assert_eq!((found.cpu.limit, found.cpu.headroom), (Some(8.0), Some(1.5)));
            assert_eq!(found.memory.usage, Some((54 * GIB) as f64));
            assert_eq!(found.memory.headroom, Some((10 * GIB) as f64));
        }
    }

    #[test]
    fn a_container_without_limits_has_its_own_usage_and_what_the_machine_leaves() {
        let rates = CgroupRates { usage_cores: Some(0.5), ..CgroupRates::default() };
        let found = capacity(&group(Some(Container::File("/.dockerenv")), None, None), Some(&rates), &host());
        assert_eq!((found.cpu.origin, found.cpu.usage, found.cpu.limit), (Origin::CgroupV2, Some(0.5), Some(8.0)));
        assert_eq!(found.cpu.headroom, Some(1.5), "the machine has no more idle");
        assert_eq!(found.memory.usage, Some((3 * GIB) as f64));
        assert_eq!(found.memory.headroom, Some((10 * GIB) as f64));
    }

    #[test]
    fn a_fraction_of_a_core_stays_one() {
        let rates = CgroupRates { usage_cores: Some(0.125), ..CgroupRates::default() };
        let found = capacity(&group(None, Some(0.25), None), Some(&rates), &HostNumbers::default());
        assert_eq!((found.cpu.limit, found.cpu.headroom), (Some(0.25), Some(0.125)));
    }

    #[test]
    fn few_allowed_cpus_of_a_busy_machine_are_left_as_they_are() {
        let mut narrow = group(None, None, None);
        narrow.cpu.affinity_cores = Some(2);
        let busy = HostNumbers { cores: Some(64.0), busy_cores: Some(10.0), ..HostNumbers::default() };
        let found = capacity(&narrow, None, &busy);
        assert_eq!((found.cpu.limit, found.cpu.headroom), (Some(2.0), Some(2.0)));
        let full = HostNumbers { busy_cores: Some(63.5), ..busy };
        let full = capacity(&narrow, None, &full).cpu;
        assert_eq!((full.headroom, full.usage), (Some(0.5), Some(63.5)));
        assert_eq!(
            (full.utilization(), full.can_scale()),
            (Some(0.75), Some(true)),
            "of our two, not of the machine's"
        );
    }

    #[test]
    fn what_is_not_known_is_unknown() {
        let found = capacity(&group(None, None, None), None, &HostNumbers::default());
        let unknown =
            (found.cpu.usage, found.cpu.demand, found.cpu.headroom, found.memory.usage, found.memory.headroom);
        assert_eq!(unknown, (None, None, None, None, None));
        let first = capacity(&group(Some(Container::File("/.dockerenv")), Some(1.0), None), None, &host());
        assert_eq!((first.cpu.origin, first.cpu.usage, first.cpu.headroom), (Origin::CgroupV2, None, None));
        assert_eq!((first.cpu.utilization(), first.cpu.can_scale()), (None, None));
    }

    #[test]
    fn from_80_percent_on_there_is_no_room_for_more() {
        let taken = |headroom| Four { origin: Origin::Host, demand: None, limit: Some(10.0), usage: None, headroom };
        assert_eq!(taken(Some(2.5)).can_scale(), Some(true));
        assert_eq!(taken(Some(2.0)).can_scale(), Some(false));
        assert_eq!(taken(Some(11.0)).utilization(), Some(0.0));
        assert_eq!(Four { limit: Some(0.0), ..taken(Some(0.0)) }.can_scale(), None);
    }
}
