//! Samples of the host by `/proc` and `/sys`, each with the difference to the one before it.

use std::path::PathBuf;

use super::super::cgroup;
use super::super::clock;
use super::super::root::Root;
use super::super::unread::Unread;
use super::about::About;
use super::change::{Change, FIRST, Moment};
use super::files::{self, InterfaceFacts};
use super::mounts::Mount;
use super::patience::PATIENCE;
use super::reading::{Reader, Reading};
use super::snapshot::{Disk, DiskIo, Interface, Pressures, Snapshot, Tasks};
use super::space::{Ask, Prober};

/// Two samples closer than this share their interval: differences of ten ticks or fewer say nothing.
const SHORTEST_NS: u64 = 100_000_000;
const WENT_BACK: &str = "new since the sample before, or a counter went back";

/// Keeps the sample before, the open files and what never changes. Starts no thread but those of [`Prober`], which end with an answer.
pub struct Sampler {
    root: Root,
    reader: Reader,
    prober: Prober,
    about: Option<(About, Unread)>,
    interfaces: InterfaceFacts,
    before: Option<Moment>,
    change: Option<Change>,
}

impl Sampler {
    /// Of the machine whose files are below `root`. Reads nothing yet.
    pub fn new(root: Root) -> Sampler {
        Sampler {
            reader: Reader::new(&root),
            root,
            prober: Prober::new(),
            about: None,
            interfaces: InterfaceFacts::default(),
            before: None,
            change: None,
        }
    }

    /// With another `statvfs`: for tests.
    pub fn asking(mut self, ask: std::sync::Arc<Ask>) -> Sampler {
        self.prober = Prober::asking(std::sync::Arc::clone(&ask), PATIENCE);
        self.reader = self.reader.asking(ask);
        self
    }

    /// The tables that change all the time, anew: six system calls.
    pub fn read(&mut self, reading: &mut Reading) {
        self.reader.read(reading);
    }

    /// Everything. About 0.7 ms, and up to 0.2 s more when a file system hangs.
    pub fn sample(&mut self) -> Snapshot {
        let mut unread = Unread::default();
        let pressure = files::pressures(&self.root, &mut unread);
        let now = self.moment(&pressure, &mut unread);
        let age = self.before.as_ref().map(|before| now.reading.at_ns.saturating_sub(before.reading.at_ns));
        let due = age.is_none_or(|age| age >= SHORTEST_NS);
        if due {
            self.change = self.before.as_ref().and_then(|before| Change::between(before, &now));
        }
        let snapshot = self.compose(&now, pressure, unread);
        if due {
            self.before = Some(now);
        }
        snapshot
    }

    fn moment(&mut self, pressure: &Pressures, unread: &mut Unread) -> Moment {
        let mut reading = Reading::default();
        self.reader.read_tables(&mut reading);
        unread.extend("", std::mem::take(&mut reading.unread));
        let fields = ["memory.oom_kills", "swap.in_bytes_per_second", "swap.out_bytes_per_second"];
        Moment {
            reading,
            swapping: unread.keep(&fields, files::swapping(&self.root)),
            waiting_us: pressure.cpu.map(|cpu| cpu.some.total_us),
            group: Some(cgroup::sample(&self.root)),
        }
    }

    fn compose(&mut self, now: &Moment, pressure: Pressures, mut unread: Unread) -> Snapshot {
        if self.change.is_none() {
            unread.note("interval_seconds", FIRST);
        }
        let reading = &now.reading;
        let about = self.about(&mut unread);
        let uptime = unread.keep(&["host.uptime_seconds"], files::uptime(&self.root));
        let processes = unread.keep(&["processes.total"], files::processes(&self.root));
        let disks = self.disks(&mut unread);
        let network = self.network(reading, &mut unread);
        let disk_io = self.disk_io(reading, &mut unread);
        let change = self.change.as_ref();
        let cpus = reading.cpus.as_ref();
        if let Some(change) = change {
            note_time(change, &mut unread);
        }
        Snapshot {
            source: "proc",
            taken_at: clock::wall_us(),
            interval: change.map(|change| change.seconds),
            about,
            uptime,
            booted: cpus.and_then(|cpus| cpus.booted),
            cores: cpus.map(|cpus| cpus.cores.len() as u32),
            cpu: change.and_then(|change| change.cpu),
            core_shares: match (change, cpus) {
                (Some(change), _) if !change.cores.is_empty() => change.cores.clone(),
                (_, Some(cpus)) => cpus.cores.iter().map(|core| (core.number, None)).collect(),
                _ => Vec::new(),
            },
            switches: change.and_then(|change| change.switches),
            load: reading.load.map(|load| load.averages),
            tasks: Tasks {
                processes,
                threads: reading.load.map(|load| load.tasks),
                running: cpus.and_then(|cpus| cpus.running),
                blocked: cpus.and_then(|cpus| cpus.blocked),
                forks: change.and_then(|change| change.forks),
            },
            memory: reading.memory.unwrap_or_default(),
            oom_kills: now.swapping.and_then(|swapping| swapping.oom_kills),
            swapping: change.and_then(|change| change.swapping).map(|pages| pages.map(|pages| pages * page_size())),
            disks,
            disk_io,
            network,
            pressure,
            group: now.group.clone(),
            group_rates: change.and_then(|change| change.group),
            waiting: change.and_then(|change| change.waiting),
            unread,
        }
    }

    fn about(&mut self, unread: &mut Unread) -> About {
        let (about, missing) = self.about.get_or_insert_with(|| {
            let mut missing = Unread::default();
            (About::read(&self.root, &mut missing), missing)
        });
        unread.extend("", missing.clone());
        about.clone()
    }

    fn disks(&mut self, unread: &mut Unread) -> Option<Vec<Disk>> {
        let mounts = unread.keep(&["disks"], files::mounts(&self.root))?;
        let places: Vec<PathBuf> = mounts.iter().map(|mount| self.root.path(&mount.mountpoint)).collect();
        let rooms = self.prober.room(&places);
        let disk = |(mount, room): (Mount, Result<_, String>)| {
            let name = format!("disks[{}]", mount.mountpoint.display());
            let Mount { mountpoint, filesystem, source: device, read_only, .. } = mount;
            Disk { mountpoint, filesystem, device, read_only, space: unread.keep(&[&name], room) }
        };
        Some(mounts.into_iter().zip(rooms).map(disk).collect())
    }

    fn disk_io(&self, reading: &Reading, unread: &mut Unread) -> Option<Vec<DiskIo>> {
        let used = reading
            .disks
            .as_ref()?
            .iter()
            .filter(|disk| !(disk.is_unused() && disk.layer() != super::disk_io::Layer::Disk));
        let with_rates = |counters: &super::disk_io::DiskCounters| {
            let known =
                |change: &Change| change.disks.iter().find(|(name, _)| *name == counters.name).map(|(_, rates)| *rates);
            let rates = self.change.as_ref().and_then(known);
            if self.change.is_some() && rates.is_none() {
                unread.note(format!("disk_io.devices[{}]", counters.name), WENT_BACK);
            }
            DiskIo { counters: *counters, rates }
        };
        Some(used.map(with_rates).collect())
    }

    fn network(&mut self, reading: &Reading, unread: &mut Unread) -> Option<Vec<Interface>> {
        let (change, facts, root) = (self.change.as_ref(), &mut self.interfaces, &self.root);
        let with_rates = |counters: &super::network::InterfaceCounters| {
            let name = counters.name.to_string();
            let known = |change: &Change| {
                change.interfaces.iter().find(|(name, _)| *name == counters.name).map(|(_, rates)| *rates)
            };
            let rates = change.and_then(known);
            if change.is_some() && rates.is_none() {
                unread.note(format!("network[{name}]"), WENT_BACK);
            }
            let loopback = unread.keep(&[&format!("network[{name}].loopback")], facts.loopback(root, &name));
            let state = unread.keep(&[&format!("network[{name}].state")], facts.state(root, &name));
            Interface { counters: *counters, rates, loopback, state }
        };
        Some(reading.interfaces.as_ref()?.iter().map(with_rates).collect())
    }
}

fn note_time(change: &Change, unread: &mut Unread) {
    if change.cpu.is_none() {
        unread.note("cpu", "its time stood still or went back");
    }
    for (number, share) in &change.cores {
        if share.is_none() {
            unread.note(format!("cpu.cores[{number}]"), "new since the sample before, or its time went back");
        }
    }
}

fn page_size() -> f64 {
    crate::sampling::process::page_size() as f64
}
