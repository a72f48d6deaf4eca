//! The names of all fields. What the original measured keeps its names and units (`usage_percent`, `bytes_sent`); the rest has its
//! unit in its name. A field that is None is always named in `unread`.

use std::borrow::Cow;

use super::super::cgroup::{Capacity, Four, Origin};
use super::super::pressure::{Pressure, Stall};
use super::super::tree::Tree;
use super::cpu::{STATES, Shares};
use super::disk_io::Layer;
use super::snapshot::{Disk, DiskIo, Interface, Snapshot};

const PERCENT: f64 = 100.0;

/// A snapshot by name.
pub fn view(snapshot: &Snapshot) -> Tree {
    let mut view = View {
        unread: snapshot.unread.entries().to_vec(),
        has_rates: snapshot.interval.is_some(),
        source: snapshot.source,
    };
    let mut fields = view.group("", |fields| {
        fields.known("source", snapshot.source);
        fields.known("taken_at_seconds", snapshot.taken_at as f64 / 1e6);
        fields.put("interval_seconds", snapshot.interval);
        fields.group("host", |fields| host(fields, snapshot));
        fields.group("cpu", |fields| cpu(fields, snapshot));
        fields.group("load_average", |fields| load(fields, snapshot.load));
        let per_core = snapshot.load.zip(snapshot.cores.filter(|cores| *cores > 0));
        fields.group("load_average_per_core", |fields| {
            load(fields, per_core.map(|(load, cores)| load.map(|one| one / f64::from(cores))))
        });
        fields.group("processes", |fields| processes(fields, snapshot));
        fields.group("memory", |fields| memory(fields, snapshot));
        fields.group("swap", |fields| swap(fields, snapshot));
        let name = |disk: &Disk| disk.mountpoint.display().to_string();
        fields.list("disks", snapshot.disks.as_deref(), name, disk);
        fields.group("disk_io", |fields| {
            let name = |disk: &DiskIo| disk.counters.name.to_string();
            fields.list("devices", snapshot.disk_io.as_deref(), name, device);
            fields.group("total", |fields| all_devices(fields, snapshot.disk_io.as_deref()));
        });
        fields.list("network", snapshot.network.as_deref(), |interface| interface.counters.name.to_string(), interface);
        fields.group("pressure", |fields| {
            for (name, pressure) in
                [("cpu", snapshot.pressure.cpu), ("memory", snapshot.pressure.memory), ("io", snapshot.pressure.io)]
            {
                fields.group(name, |fields| waiting(fields, pressure));
            }
        });
        fields.group("capacity", |fields| resources(fields, &snapshot.capacity()));
    });
    let unread = view.unread.into_iter().map(|(field, reason)| (Cow::Owned(field), Tree::Text(reason))).collect();
    fields.push(("unread".into(), Tree::Map(unread)));
    Tree::Map(fields)
}

fn host(fields: &mut Fields, snapshot: &Snapshot) {
    let about = &snapshot.about;
    fields.put("name", about.name.as_deref());
    fields.put("os", about.os.as_deref());
    fields.put("kernel", about.kernel.as_deref());
    fields.put("architecture", about.architecture.as_deref());
    fields.put("virtualization", about.virtualization.as_deref());
    fields.put("boot_id", about.boot_id.as_deref());
    fields.put("booted_at_seconds", snapshot.booted);
    fields.put("uptime_seconds", snapshot.uptime);
}

fn cpu(fields: &mut Fields, snapshot: &Snapshot) {
    fields.put("count", snapshot.cores.map(u64::from));
    shares(fields, snapshot.cpu);
    let usage = |(number, shares): &(u32, Option<Shares>)| shares.map(|shares| (*number, shares.usage));
    let busiest = snapshot.core_shares.iter().filter_map(usage).max_by(|one, other| one.1.total_cmp(&other.1));
    fields.rate("busiest_core", busiest.map(|(number, _)| u64::from(number)));
    fields.rate("busiest_core_usage_percent", busiest.map(|(_, usage)| usage * PERCENT));
    fields.rate("context_switches_per_second", snapshot.switches);
    let core = |fields: &mut Fields, (number, found): &(u32, Option<Shares>)| {
        fields.known("core", u64::from(*number));
        shares(fields, *found);
    };
    fields.list("cores", Some(&snapshot.core_shares), |(number, _)| number.to_string(), core);
}

fn shares(fields: &mut Fields, found: Option<Shares>) {
    const NAMES: [&str; STATES.len()] = [
        "user_percent",
        "nice_percent",
        "system_percent",
        "idle_percent",
        "iowait_percent",
        "irq_percent",
        "softirq_percent",
        "steal_percent",
    ];
    fields.rate("usage_percent", found.map(|found| found.usage * PERCENT));
    for (index, name) in NAMES.into_iter().enumerate() {
        fields.rate(name, found.and_then(|found| found.states).map(|states| states[index] * PERCENT));
    }
}

fn load(fields: &mut Fields, averages: Option<[f64; 3]>) {
    for (index, name) in ["1min", "5min", "15min"].into_iter().enumerate() {
        fields.put(name, averages.map(|averages| averages[index]));
    }
}

fn processes(fields: &mut Fields, snapshot: &Snapshot) {
    let tasks = &snapshot.tasks;
    fields.put("total", tasks.processes);
    fields.put("threads", tasks.threads);
    fields.put("running", tasks.running);
    fields.put("blocked", tasks.blocked);
    fields.rate("started_per_second", tasks.forks);
}

fn memory(fields: &mut Fields, snapshot: &Snapshot) {
    let memory = &snapshot.memory;
    fields.put("total_bytes", memory.total);
    fields.put("available_bytes", memory.available());
    fields.put("used_bytes", memory.used());
    fields.put("free_bytes", memory.free);
    fields.put("usage_percent", ratio(memory.used(), memory.total).map(|ratio| ratio * PERCENT));
    fields.put("cached_bytes", memory.cached);
    fields.put("buffers_bytes", memory.buffers);
    fields.put("reclaimable_bytes", memory.reclaimable);
    fields.put("shared_bytes", memory.shared);
    fields.put("active_bytes", memory.active);
    fields.put("inactive_bytes", memory.inactive);
    fields.put("slab_bytes", memory.slab);
    fields.put("dirty_bytes", memory.dirty);
    fields.put("committed_bytes", memory.committed);
    fields.put("oom_kills", snapshot.oom_kills);
}

fn swap(fields: &mut Fields, snapshot: &Snapshot) {
    let memory = &snapshot.memory;
    fields.put("total_bytes", memory.swap_total);
    fields.put("used_bytes", memory.swap_used());
    fields.put("free_bytes", memory.swap_free);
    if memory.swap_total == Some(0) {
        fields.because("usage_percent", "there is no swap");
    }
    fields.put("usage_percent", ratio(memory.swap_used(), memory.swap_total).map(|ratio| ratio * PERCENT));
    fields.rate("in_bytes_per_second", snapshot.swapping.map(|[read, _]| read));
    fields.rate("out_bytes_per_second", snapshot.swapping.map(|[_, written]| written));
}

fn disk(fields: &mut Fields, disk: &Disk) {
    fields.known("mountpoint", disk.mountpoint.to_string_lossy().into_owned());
    fields.known("filesystem", disk.filesystem.as_str());
    fields.known("device", disk.device.as_str());
    fields.known("read_only", disk.read_only);
    let space = disk.space;
    fields.put("total_bytes", space.map(|space| space.total));
    fields.put("used_bytes", space.and_then(|space| space.used()));
    fields.put("free_bytes", space.and_then(|space| space.free));
    fields.put("available_bytes", space.map(|space| space.available));
    fields.put("usage_percent", space.and_then(|space| space.usage()).map(|ratio| ratio * PERCENT));
    let inodes = space.and_then(|space| space.inodes);
    fields.put("inodes_total", inodes.map(|(total, _)| total));
    fields.put("inodes_free", inodes.map(|(_, free)| free));
    fields.put(
        "inodes_usage_percent",
        inodes.and_then(|(total, free)| ratio(total.checked_sub(free), Some(total))).map(|ratio| ratio * PERCENT),
    );
}

fn device(fields: &mut Fields, disk: &DiskIo) {
    let counters = &disk.counters;
    fields.known("name", counters.name.to_string());
    fields.known("kind", counters.layer().word());
    fields.known("reads", counters.reads);
    fields.known("writes", counters.writes);
    fields.known("read_bytes", counters.read_bytes);
    fields.known("written_bytes", counters.written_bytes);
    fields.known("read_seconds", counters.read_ms as f64 / 1e3);
    fields.known("write_seconds", counters.write_ms as f64 / 1e3);
    fields.known("busy_seconds", counters.busy_ms as f64 / 1e3);
    fields.known("in_flight", counters.in_flight);
    let rates = disk.rates;
    fields.rate("reads_per_second", rates.map(|rates| rates.reads));
    fields.rate("writes_per_second", rates.map(|rates| rates.writes));
    fields.rate("read_bytes_per_second", rates.map(|rates| rates.read_bytes));
    fields.rate("written_bytes_per_second", rates.map(|rates| rates.written_bytes));
    fields.rate("busy_ratio", rates.map(|rates| rates.busy));
    fields.rate("queue_length", rates.map(|rates| rates.queue));
}

/// Of disks that lie on no other: what goes through dm, md and loop devices is in them already.
fn all_devices(fields: &mut Fields, disks: Option<&[DiskIo]>) {
    let disks = disks.map(|disks| disks.iter().filter(|disk| disk.counters.layer() == Layer::Disk));
    let sum = |part: fn(&DiskIo) -> Option<f64>| {
        disks.clone().and_then(|mut disks| disks.try_fold(0.0, |sum, disk| Some(sum + part(disk)?)))
    };
    fields.rate("reads_per_second", sum(|disk| Some(disk.rates?.reads)));
    fields.rate("writes_per_second", sum(|disk| Some(disk.rates?.writes)));
    fields.rate("read_bytes_per_second", sum(|disk| Some(disk.rates?.read_bytes)));
    fields.rate("written_bytes_per_second", sum(|disk| Some(disk.rates?.written_bytes)));
}

fn interface(fields: &mut Fields, interface: &Interface) {
    let (received, sent) = (&interface.counters.received, &interface.counters.sent);
    fields.known("name", interface.counters.name.to_string());
    fields.put("loopback", interface.loopback);
    fields.put("state", interface.state.as_deref());
    fields.known("bytes_sent", sent.bytes);
    fields.known("bytes_received", received.bytes);
    fields.known("packets_sent", sent.packets);
    fields.known("packets_received", received.packets);
    fields.known("errors_in", received.errors);
    fields.known("errors_out", sent.errors);
    fields.put("drops_in", received.drops);
    fields.put("drops_out", sent.drops);
    let [received, sent] = interface.rates.map_or([None; 2], |rates| rates.map(Some));
    fields.rate("bytes_sent_per_second", sent.map(|rates| rates.bytes));
    fields.rate("bytes_received_per_second", received.map(|rates| rates.bytes));
    fields.rate("packets_sent_per_second", sent.map(|rates| rates.packets));
    fields.rate("packets_received_per_second", received.map(|rates| rates.packets));
    fields.rate("errors_in_per_second", received.map(|rates| rates.errors));
    fields.rate("errors_out_per_second", sent.map(|rates| rates.errors));
    fields.rate("drops_in_per_second", received.and_then(|rates| rates.drops));
    fields.rate("drops_out_per_second", sent.and_then(|rates| rates.drops));
}

fn waiting(fields: &mut Fields, pressure: Option<Pressure>) {
    fields.group("some", |fields| stall(fields, pressure.map(|pressure| pressure.some)));
    fields.group("full", |fields| stall(fields, pressure.and_then(|pressure| pressure.full)));
}

fn stall(fields: &mut Fields, stall: Option<Stall>) {
    fields.put("average_10_ratio", stall.map(|stall| stall.average_10_ratio));
    fields.put("average_60_ratio", stall.map(|stall| stall.average_60_ratio));
    fields.put("average_300_ratio", stall.map(|stall| stall.average_300_ratio));
    fields.put("total_seconds", stall.map(|stall| stall.total_us as f64 / 1e6));
}

fn resources(fields: &mut Fields, capacity: &Capacity) {
    fields.group("cpu", |fields| {
        four(fields, &capacity.cpu, ["demand_cores", "limit_cores", "usage_cores", "headroom_cores"], true)
    });
    fields.group("memory", |fields| {
        four(fields, &capacity.memory, ["demand_bytes", "limit_bytes", "usage_bytes", "headroom_bytes"], false)
    });
}

/// Four numbers, none of them made of the others again, and what follows from them; bytes are whole.
fn four(fields: &mut Fields, four: &Four, names: [&'static str; 4], of_interval: bool) {
    let source = match four.origin {
        Origin::Host => "host",
        Origin::CgroupV1 => "cgroup_v1",
        Origin::CgroupV2 => "cgroup_v2",
    };
    fields.known("source", source);
    for (name, value) in names.into_iter().zip([four.demand, four.limit, four.usage, four.headroom]) {
        if of_interval {
            fields.rate(name, value);
        } else {
            fields.put(name, value.map(|bytes| bytes as u64));
        }
    }
    let (percent, more) = (four.utilization().map(|share| share * PERCENT), four.can_scale());
    if of_interval {
        fields.rate("utilization_percent", percent);
        fields.rate("can_scale", more);
    } else {
        fields.put("utilization_percent", percent);
        fields.put("can_scale", more);
    }
}

fn ratio(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    whole.filter(|whole| *whole > 0).and_then(|whole| Some(part? as f64 / whole as f64))
}

/// What the whole view shares: the reasons.
struct View {
    unread: Vec<(String, String)>,
    has_rates: bool,
    source: &'static str,
}

impl View {
    fn group(&mut self, path: &str, fill: impl FnOnce(&mut Fields)) -> Vec<(Cow<'static, str>, Tree)> {
        let mut fields = Fields { view: self, path: path.to_owned(), found: Vec::new() };
        fill(&mut fields);
        fields.found
    }

    /// Whether a reason is given for this field or a group that it is in.
    fn is_named(&self, path: &str) -> bool {
        let covers = |named: &String| {
            path.strip_prefix(named.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.unread.iter().any(|(named, _)| covers(named))
    }

    fn name(&mut self, path: String, reason: &str) {
        if !self.is_named(&path) {
            self.unread.push((path, reason.to_owned()));
        }
    }
}

/// One group being filled.
struct Fields<'v> {
    view: &'v mut View,
    path: String,
    found: Vec<(Cow<'static, str>, Tree)>,
}

impl Fields<'_> {
    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn known(&mut self, name: &'static str, value: impl Into<Tree>) {
        self.found.push((name.into(), value.into()));
    }

    /// A field that is named in `unread` when it is None.
    fn put(&mut self, name: &'static str, value: Option<impl Into<Tree>>) {
        if value.is_none() {
            let reason =
                format!("{} does not tell", if self.view.source == "proc" { "the kernel" } else { self.view.source });
            self.because(name, &reason);
        }
        self.known(name, value);
    }

    /// A field that is None in every first sample, for the reason given at `interval_seconds`.
    fn rate(&mut self, name: &'static str, value: Option<impl Into<Tree>>) {
        if value.is_none() && !self.view.has_rates {
            self.known(name, Tree::Unknown);
        } else {
            self.put(name, value);
        }
    }

    fn because(&mut self, name: &str, reason: &str) {
        let path = self.path_of(name);
        self.view.name(path, reason);
    }

    fn group(&mut self, name: &'static str, fill: impl FnOnce(&mut Fields)) {
        let path = self.path_of(name);
        let found = self.view.group(&path, fill);
        self.known(name, Tree::Map(found));
    }

    /// Groups of one kind, in `unread` by their names: `disks[/srv]`.
    fn list<T>(
        &mut self,
        name: &'static str,
        items: Option<&[T]>,
        key: impl Fn(&T) -> String,
        fill: impl Fn(&mut Fields, &T),
    ) {
        let path = self.path_of(name);
        let group = |item| Tree::Map(self.view.group(&format!("{path}[{}]", key(item)), |fields| fill(fields, item)));
        let found = items.map(|items| Tree::List(items.iter().map(group).collect()));
        self.put(name, found);
    }
}

#[cfg(test)]
mod tests;
