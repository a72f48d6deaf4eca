//! A host at one moment: what a source could tell, and why it could not tell the rest. Base units: bytes, seconds, ratios from 0 to 1.

use std::path::PathBuf;

use super::super::cgroup::{Capacity, CgroupRates, CgroupSample, HostNumbers, capacity};
use super::super::pressure::Pressure;
use super::super::unread::Unread;
use super::about::About;
use super::change::{DiskRates, TrafficRates};
use super::cpu::Shares;
use super::disk_io::DiskCounters;
use super::memory::Memory;
use super::network::InterfaceCounters;
use super::room::Space;

/// A field that is None is unknown; `unread` names it, or a group that it is in, with the reason. Where `interval` is None there are no
/// shares of the CPU and no rates at all.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Who read it: `proc` or `sysinfo`.
    pub source: &'static str,
    /// When, µs of the wall clock.
    pub taken_at: i64,
    /// The time that shares and rates are over, s: since the sample before this one.
    pub interval: Option<f64>,
    /// What the host is.
    pub about: About,
    /// Since boot, s.
    pub uptime: Option<f64>,
    /// Boot, s since 1970.
    pub booted: Option<u64>,
    /// Cores online.
    pub cores: Option<u32>,
    /// All cores together.
    pub cpu: Option<Shares>,
    /// By number of core; None for one that came since the sample before.
    pub core_shares: Vec<(u32, Option<Shares>)>,
    /// Context switches a second.
    pub switches: Option<f64>,
    /// Averages of tasks that run or wait, over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// Tasks.
    pub tasks: Tasks,
    /// Memory and swap.
    pub memory: Memory,
    /// Processes ended for want of memory, since boot.
    pub oom_kills: Option<u64>,
    /// Bytes from and to swap a second.
    pub swapping: Option<[f64; 2]>,
    /// File systems that can fill.
    pub disks: Option<Vec<Disk>>,
    /// Whole disks.
    pub disk_io: Option<Vec<DiskIo>>,
    /// Interfaces.
    pub network: Option<Vec<Interface>>,
    /// How long tasks waited for a resource.
    pub pressure: Pressures,
    /// Share of the time in which at least one task waited for a CPU, 0-1.
    pub waiting: Option<f64>,
    /// The control group of this process; None where a source knows none.
    pub group: Option<CgroupSample>,
    /// What the group used since the sample before.
    pub group_rates: Option<CgroupRates>,
    /// What is None, and why.
    pub unread: Unread,
}

impl Snapshot {
    /// Demand, limit, usage and headroom of CPU and memory: the group's where it has a limit or is a container's, else the host's.
    pub fn capacity(&self) -> Capacity {
        let cores = self.cores.map(f64::from);
        let host = HostNumbers {
            cores,
            busy_cores: cores.zip(self.cpu).map(|(cores, cpu)| cores * cpu.usage),
            waiting_cores: self.waiting,
            memory_total_bytes: self.memory.total,
            memory_available_bytes: self.memory.available(),
            swap_used_bytes: self.memory.swap_used(),
        };
        let none = CgroupSample::default();
        capacity(self.group.as_ref().unwrap_or(&none), self.group_rates.as_ref(), &host)
    }
}

/// Processes and threads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tasks {
    /// Processes.
    pub processes: Option<u64>,
    /// Threads of all processes.
    pub threads: Option<u64>,
    /// Threads that run or could.
    pub running: Option<u64>,
    /// Threads that wait for a disk.
    pub blocked: Option<u64>,
    /// Processes and threads made a second.
    pub forks: Option<f64>,
}

/// A file system and its room.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// Its type.
    pub filesystem: String,
    /// What is mounted.
    pub device: String,
    /// Whether nothing can be written.
    pub read_only: bool,
    /// Its room.
    pub space: Option<Space>,
}

/// A disk and what it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiskIo {
    /// Since boot.
    pub counters: DiskCounters,
    /// Since the sample before.
    pub rates: Option<DiskRates>,
}

/// An interface and what it carries.
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    /// Since it came up.
    pub counters: InterfaceCounters,
    /// Since the sample before: received and sent.
    pub rates: Option<[TrafficRates; 2]>,
    /// Whether it leads to this host itself.
    pub loopback: Option<bool>,
    /// `up`, `down`, `unknown`, ...: RFC 2863.
    pub state: Option<String>,
}

/// Waiting for each resource.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressures {
    /// CPU.
    pub cpu: Option<Pressure>,
    /// Memory.
    pub memory: Option<Pressure>,
    /// Disks.
    pub io: Option<Pressure>,
}
