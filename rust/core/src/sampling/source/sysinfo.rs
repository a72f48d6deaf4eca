//! The source for systems without `/proc`: the sysinfo crate. It is compiled and tested on Linux too, and reads no more than it is
//! asked for. What it does not tell is None, and named.
//!
//! Known of it: unreadable numbers are 0 there; the CPU needs 0.2 s between two readings; a list of disks may hang with one of them.

use std::time::{Duration, Instant};

use sysinfo::{
    Disk as Found, DiskRefreshKind, Disks, InterfaceOperationalState, MINIMUM_CPU_UPDATE_INTERVAL, Networks,
};
use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

use super::limit::DescriptorLimit;
use super::{Process, Source};
#[cfg(unix)]
use crate::recorder::fork::generation;
use crate::sampling::absent::Absent;
use crate::sampling::clock;
use crate::sampling::host::about::About;
use crate::sampling::host::change::{Change, Moment};
use crate::sampling::host::cpu::Shares;
use crate::sampling::host::memory::Memory;
use crate::sampling::host::name::Name;
use crate::sampling::host::network::{InterfaceCounters, Traffic};
use crate::sampling::host::patience::{Asked, PATIENCE};
use crate::sampling::host::pseudo::PSEUDO;
use crate::sampling::host::room::Space;
use crate::sampling::host::snapshot::{Disk, Interface};
use crate::sampling::host::{FIRST, Reading, Snapshot};
use crate::sampling::unread::Unread;

const NOT_TOLD: &str = "sysinfo does not tell";

/// Nobody forks where this is compiled: one process is the whole line of descent.
#[cfg(not(unix))]
fn generation() -> u64 {
    1
}

/// Answers by the sysinfo crate.
pub struct Sysinfo {
    // Not that of processes: asking for one moves the readings that the shares of the CPU are made of.
    cpu: Option<System>,
    refreshed: Option<Instant>,
    shares: Option<CpuShares>,
    before: Option<Moment>,
    disks: Option<Asked<Vec<Disk>>>,
    process: u64,
}

/// Of one interval.
struct CpuShares {
    all: f64,
    cores: Vec<f64>,
    interval: Duration,
    network: Option<Change>,
}

impl Sysinfo {
    /// Reads nothing yet.
    pub fn new() -> Sysinfo {
        Sysinfo { cpu: None, refreshed: None, shares: None, before: None, disks: None, process: generation() }
    }

    /// Reads the CPU and, the sample before being old enough, makes shares and rates.
    fn advance(&mut self, interfaces: &[InterfaceCounters]) {
        let due = self.refreshed.is_none_or(|at| at.elapsed() >= MINIMUM_CPU_UPDATE_INTERVAL);
        let Some(system) = self.cpu.as_mut().filter(|_| due) else { return };
        system.refresh_cpu_usage();
        let interval = self.refreshed.replace(Instant::now()).map(|at| at.elapsed());
        let reading =
            Reading { at_ns: clock::monotonic_ns(), interfaces: Some(interfaces.to_vec()), ..Reading::default() };
        let now = Moment { reading, ..Moment::default() };
        let network = self.before.replace(now.clone()).and_then(|before| Change::between(&before, &now));
        self.shares = interval.map(|interval| CpuShares {
            all: ratio(system.global_cpu_usage()),
            cores: system.cpus().iter().map(|core| ratio(core.usage())).collect(),
            interval,
            network,
        });
    }

    /// File systems that can fill, by a helper thread; a list that hangs is not asked for again.
    fn disks(&mut self, unread: &mut Unread) -> Option<Vec<Disk>> {
        if self.disks.as_ref().is_some_and(|asked| !asked.is_open()) {
            self.disks = None;
        }
        let (asked, patience) = match self.disks.take() {
            Some(asked) => (Ok(asked), Duration::ZERO),
            None => (Asked::new(list_disks), PATIENCE),
        };
        let asked = unread.keep(&["disks"], asked.map_err(|error| format!("no thread could be started ({error})")))?;
        let answer = asked.wait(patience);
        if answer.is_err() {
            self.disks = Some(asked);
        }
        unread.keep(&["disks"], answer.map_err(|reason| format!("sysinfo: {reason}")))
    }

    fn network(&self, networks: &Networks) -> Vec<Interface> {
        let change = self.shares.as_ref().and_then(|shares| shares.network.as_ref());
        let mut found: Vec<Interface> = networks
            .iter()
            .filter_map(|(name, data)| {
                let counters = counters(&name.to_string_lossy(), data)?;
                let rates = change.and_then(|change| change.interfaces.iter().find(|(name, _)| *name == counters.name));
                let addresses = data.ip_networks();
                Some(Interface {
                    counters,
                    rates: rates.map(|(_, rates)| *rates),
                    loopback: (!addresses.is_empty())
                        .then(|| addresses.iter().all(|network| network.addr.is_loopback())),
                    state: state(data.operational_state()).map(str::to_owned),
                })
            })
            .collect();
        found.sort_by_key(|interface| interface.counters.name.to_string());
        found
    }
}

impl Default for Sysinfo {
    fn default() -> Sysinfo {
        Sysinfo::new()
    }
}

/// What it means that sysinfo knows no such process: that there is none, if it knows this one.
fn missing() -> Absent {
    let own = Pid::from_u32(std::process::id());
    let knows_this = System::new().is_ok_and(|mut system| {
        let nothing = ProcessRefreshKind::nothing().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), true, nothing);
        system.process(own).is_some()
    });
    if knows_this { Absent::Gone } else { Absent::Unreadable("sysinfo: it knows not even this process".into()) }
}

impl Source for Sysinfo {
    fn name(&self) -> &'static str {
        "sysinfo"
    }

    fn process(&mut self, pid: u32) -> Result<Process, Absent> {
        let _limit = DescriptorLimit::kept();
        let mut system = System::new().map_err(|error| Absent::Unreadable(format!("sysinfo: {error}")))?;
        let what = ProcessRefreshKind::nothing().with_memory().with_cpu().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[Pid::from_u32(pid)]), true, what);
        let Some(found) = system.process(Pid::from_u32(pid)) else { return Err(missing()) };
        let mut unread = Unread::default();
        for field in ["cpu_user_ns", "cpu_system_ns", "peak_rss_bytes", "threads"] {
            unread.note(field, NOT_TOLD);
        }
        let told = |value: u64| if value > 0 { Ok(value) } else { Err(NOT_TOLD.to_owned()) };
        let descriptors = found.open_files().map(|files| files as u64);
        Ok(Process {
            pid,
            parent_pid: found.parent().map(Pid::as_u32).or(Some(0)),
            started_us: unread
                .keep(&["started_us"], told(found.start_time()))
                .map(|seconds| seconds as i64 * 1_000_000),
            name: Some(found.name().to_string_lossy().into_owned()),
            state: unread.keep(&["state"], letter(found.status()).ok_or_else(|| NOT_TOLD.to_owned())),
            cpu_ns: Some(found.accumulated_cpu_time().saturating_mul(1_000_000)),
            rss_bytes: unread.keep(&["rss_bytes"], told(found.memory())),
            virtual_bytes: unread.keep(&["virtual_bytes"], told(found.virtual_memory())),
            open_descriptors: unread.keep(&["open_descriptors"], descriptors.ok_or_else(|| NOT_TOLD.to_owned())),
            unread,
            ..Process::default()
        })
    }

    fn host(&mut self) -> Snapshot {
        let _limit = DescriptorLimit::kept();
        if self.process != generation() {
            *self = Sysinfo::new();
        }
        let mut unread = Unread::default();
        if self.cpu.is_none() {
            let fields = ["cpu", "memory", "swap"];
            self.cpu = unread.keep(&fields, System::new().map_err(|error| format!("sysinfo: {error}")));
        }
        let networks = Networks::new_with_refreshed_list().map_err(|error| format!("sysinfo: {error}"));
        let networks = unread.keep(&["network"], networks);
        let counted = networks.iter().flat_map(|networks| networks.iter());
        let counted: Vec<_> = counted.filter_map(|(name, data)| counters(&name.to_string_lossy(), data)).collect();
        self.advance(&counted);
        let disks = self.disks(&mut unread);
        let shares = self.shares.as_ref();
        if shares.is_none() {
            unread.note("interval_seconds", FIRST);
        }
        let usage = |usage: f64| Shares { usage, states: None };
        let cores = self.cpu.as_ref().map(|system| system.cpus().len()).filter(|cores| *cores > 0);
        let core_shares = (0..cores.unwrap_or(0)).map(|core| {
            let known = shares.and_then(|shares| shares.cores.get(core));
            (core as u32, known.map(|share| usage(*share)))
        });
        Snapshot {
            source: "sysinfo",
            taken_at: clock::wall_us(),
            interval: shares.map(|shares| shares.interval.as_secs_f64()),
            about: about(&mut unread),
            uptime: System::uptime().ok().filter(|seconds| *seconds > 0).map(|seconds| seconds as f64),
            booted: System::boot_time().ok().filter(|seconds| *seconds > 0),
            cores: cores.map(|cores| cores as u32),
            cpu: shares.map(|shares| usage(shares.all)),
            core_shares: core_shares.collect(),
            // Windows has no load, and sysinfo says 0 for it.
            load: System::load_average()
                .ok()
                .filter(|_| !cfg!(windows))
                .map(|load| [load.one, load.five, load.fifteen]),
            memory: self.cpu.as_mut().map(memory).unwrap_or_default(),
            disks,
            network: networks.map(|networks| self.network(&networks)),
            unread,
            ..Snapshot::default()
        }
    }

    fn read(&mut self, reading: &mut Reading) {
        let mut unread = Unread::default();
        for field in ["cpu", "memory", "swap", "load_average", "disk_io", "network", "root"] {
            unread.note(field, "sysinfo has no counters; take a whole sample");
        }
        *reading = Reading { at_ns: clock::monotonic_ns(), unread, ..Reading::default() };
    }
}

fn about(unread: &mut Unread) -> About {
    unread.note("host.boot_id", NOT_TOLD);
    unread.note("host.virtualization", NOT_TOLD);
    let told = |answer: Result<String, sysinfo::Error>| answer.map_err(|error| format!("sysinfo: {error}"));
    About {
        name: unread.keep(&["host.name"], told(System::host_name())),
        os: unread.keep(&["host.os"], told(System::long_os_version())),
        kernel: unread.keep(&["host.kernel"], told(System::kernel_version())),
        architecture: Some(System::cpu_arch()),
        boot_id: None,
        virtualization: None,
    }
}

fn memory(system: &mut System) -> Memory {
    system.refresh_memory();
    let total = Some(system.total_memory()).filter(|total| *total > 0);
    let known = |value: u64| total.map(|_| value);
    Memory {
        total,
        free: known(system.free_memory()),
        stated_available: known(system.available_memory()),
        swap_total: known(system.total_swap()),
        swap_free: known(system.free_swap()),
        ..Memory::default()
    }
}

fn list_disks() -> Vec<Disk> {
    let disks = Disks::new_with_refreshed_list_specifics(DiskRefreshKind::nothing().with_storage());
    let disk = |found: &Found| Disk {
        mountpoint: found.mount_point().to_owned(),
        filesystem: found.file_system().to_string_lossy().into_owned(),
        device: found.name().to_string_lossy().into_owned(),
        read_only: found.is_read_only(),
        space: (found.total_space() > 0).then(|| Space {
            total: found.total_space(),
            available: found.available_space(),
            free: None,
            inodes: None,
        }),
    };
    let found = disks.iter().flat_map(|disks| disks.iter()).map(disk);
    found.filter(|disk| !PSEUDO.contains(&disk.filesystem.as_str())).collect()
}

fn counters(name: &str, data: &sysinfo::NetworkData) -> Option<InterfaceCounters> {
    Some(InterfaceCounters {
        name: Name::cut(name)?,
        received: Traffic {
            bytes: data.total_received(),
            packets: data.total_packets_received(),
            errors: data.total_errors_on_received(),
            drops: None,
        },
        sent: Traffic {
            bytes: data.total_transmitted(),
            packets: data.total_packets_transmitted(),
            errors: data.total_errors_on_transmitted(),
            drops: None,
        },
    })
}

fn ratio(percent: f32) -> f64 {
    (f64::from(percent) / 100.0).clamp(0.0, 1.0)
}

/// The kernel's words; None for what sysinfo does not know itself.
fn state(state: InterfaceOperationalState) -> Option<&'static str> {
    Some(match state {
        InterfaceOperationalState::Up => "up",
        InterfaceOperationalState::Down => "down",
        InterfaceOperationalState::Testing => "testing",
        InterfaceOperationalState::Unknown => "unknown",
        InterfaceOperationalState::Dormant => "dormant",
        InterfaceOperationalState::NotPresent => "notpresent",
        InterfaceOperationalState::LowerLayerDown => "lowerlayerdown",
        _ => return None,
    })
}

/// The letters of Linux, from proc_pid_stat(5).
fn letter(status: ProcessStatus) -> Option<char> {
    Some(match status {
        ProcessStatus::Run => 'R',
        ProcessStatus::Sleep => 'S',
        ProcessStatus::UninterruptibleDiskSleep => 'D',
        ProcessStatus::Zombie => 'Z',
        ProcessStatus::Stop => 'T',
        ProcessStatus::Tracing => 't',
        ProcessStatus::Dead => 'X',
        ProcessStatus::Idle => 'I',
        _ => return None,
    })
}
