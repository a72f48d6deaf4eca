//! Every None has a reason, units are those of the names, and a host of files alone is read whole.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use proptest::prelude::*;

use super::super::cpu::Shares;
use super::super::space::Space;
use super::super::{FIRST, Sampler, Snapshot};
use super::*;
use crate::sampling::fixture::Tree as Files;
use crate::sampling::root::Root;
use crate::sampling::source::{Source, Sysinfo};

const STAT: &str = "cpu  100 0 100 1000 0 0 0 0\ncpu0 100 0 100 1000 0 0 0 0\nctxt 10\nbtime 1795544597\nprocesses 5\nprocs_running 1\nprocs_blocked 0\n";
const MEMINFO: &str = "MemTotal: 1000 kB\nMemFree: 200 kB\nMemAvailable: 250 kB\nBuffers: 10 kB\nCached: 90 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n";
const MOUNTS: &str = "1 1 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /my\\040disk rw - xfs /dev/sdb rw\n";
const NET: &str = "Inter-|\n face |\n    lo: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n";

fn host() -> Files {
    let host = Files::new();
    host.file("proc/stat", STAT).file("proc/meminfo", MEMINFO).file("proc/loadavg", "0.50 0.25 0.10 1/100 5\n");
    host.file("proc/diskstats", "8 0 sda 1 0 8 0 2 0 16 0 0 5 5\n7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n")
        .file("proc/net/dev", NET);
    host.file("proc/self/mountinfo", MOUNTS).file("proc/uptime", "100.00 50.00\n");
    host
}

fn sampler(host: &Files) -> Sampler {
    Sampler::new(host.root().clone()).asking(Arc::new(|_: &Path| Ok(space())))
}

fn space() -> Space {
    Space { total: 1000, available: 300, free: Some(400), inodes: Some((50, 40)) }
}

/// Two samples far enough apart.
fn both(host: &Files, second: impl FnOnce(&Files)) -> (Snapshot, Snapshot) {
    let mut sampler = sampler(host);
    let first = sampler.sample();
    second(host);
    sleep(Duration::from_millis(101));
    (first, sampler.sample())
}

fn field<'t>(tree: &'t Tree, path: &str) -> &'t Tree {
    path.split('.').fold(tree, |tree, name| tree.get(name).unwrap())
}

fn number(tree: &Tree, path: &str) -> Option<f64> {
    match field(tree, path) {
        Tree::Number(number) => Some(*number),
        Tree::Count(count) => Some(*count as f64),
        Tree::Unknown => None,
        other => panic!("{path} is {other:?}"),
    }
}

/// Paths as `unread` names them: groups of a list by what they are called.
fn unknown(tree: &Tree, path: &str, found: &mut Vec<String>) {
    match tree {
        Tree::Unknown => found.push(path.to_owned()),
        Tree::Map(fields) => fields.iter().for_each(|(name, value)| {
            let joint = if path.is_empty() { "" } else { "." };
            unknown(value, &format!("{path}{joint}{name}"), found);
        }),
        Tree::List(items) => items.iter().for_each(|item| {
            let name = ["mountpoint", "name", "core"].into_iter().find_map(|key| item.get(key)).unwrap();
            let name = match name {
                Tree::Text(name) => name.clone(),
                Tree::Count(number) => number.to_string(),
                other => panic!("{other:?}"),
            };
            unknown(item, &format!("{path}[{name}]"), found);
        }),
        _ => {}
    }
}

/// Every None is named in `unread`, itself or a group that it is in, or is a rate of a first sample; nothing else is named there.
fn assert_reasons(snapshot: &Snapshot) {
    let tree = view(snapshot);
    let Tree::Map(reasons) = field(&tree, "unread") else { panic!() };
    let mut paths = Vec::new();
    unknown(&tree, "", &mut paths);
    let covers = |reason: &str, path: &str| {
        path.strip_prefix(reason).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let is_rate = |path: &str| {
        let of_cpu = path.starts_with("cpu.") && (path.ends_with("_percent") || path.ends_with("busiest_core"));
        of_cpu
            || path.ends_with("_per_second")
            || path.ends_with("busy_ratio")
            || path.ends_with("queue_length")
            || path.starts_with("capacity.cpu.")
    };
    for path in &paths {
        let named = reasons.iter().any(|(reason, _)| covers(reason, path));
        assert!(
            named || (is_rate(path) && reasons.iter().any(|(reason, _)| reason == "interval_seconds")),
            "{path} is None without a reason"
        );
    }
    for (reason, _) in reasons {
        assert!(paths.iter().any(|path| covers(reason, path)), "{reason} is named but known");
    }
}

#[test]
fn the_first_sample_has_no_percentages_and_no_rates_and_says_why() {
    let (first, second) = both(&host(), |_| {});
    let tree = view(&first);
    assert_eq!(field(&tree, "interval_seconds"), &Tree::Unknown);
    assert_eq!(field(&tree, "unread.interval_seconds"), &Tree::from(FIRST));
    assert_eq!((number(&tree, "cpu.usage_percent"), number(&tree, "cpu.count")), (None, Some(1.0)));
    assert_reasons(&first);
    assert!(second.interval.unwrap() >= 0.1);
    assert_reasons(&second);
}

#[test]
fn shares_and_rates_are_of_the_time_between_two_samples() {
    let (_, second) = both(&host(), |host| {
        host.file("proc/stat", STAT.replace("100 0 100 1000", "130 0 110 1010").replace("ctxt 10", "ctxt 1010"));
        host.file("proc/net/dev", NET.replace(": 5 1", ": 1005 3"));
    });
    let tree = view(&second);
    assert_eq!((number(&tree, "cpu.usage_percent"), number(&tree, "cpu.user_percent")), (Some(80.0), Some(60.0)));
    assert_eq!(
        (number(&tree, "cpu.busiest_core"), number(&tree, "cpu.busiest_core_usage_percent")),
        (Some(0.0), Some(80.0))
    );
    let seconds = second.interval.unwrap();
    assert!((number(&tree, "cpu.context_switches_per_second").unwrap() * seconds - 1000.0).abs() < 1e-6);
    let received = second.network.as_ref().unwrap()[0].rates.unwrap()[0];
    assert!((received.bytes * seconds - 1000.0).abs() < 1e-6);
    assert_reasons(&second);
}

#[test]
fn samples_that_are_close_together_share_their_interval() {
    let host = host();
    let shared = || {
        let mut sampler = sampler(&host);
        let at_once = (sampler.sample().interval, sampler.sample().interval);
        sleep(Duration::from_millis(101));
        let interval = sampler.sample().interval;
        at_once == (None, None) && interval.is_some() && sampler.sample().interval == interval
    };
    // A busy machine may let a tenth of a second pass between two samples.
    assert!((0..50).any(|_| shared()));
}

#[test]
fn a_core_that_came_between_two_samples_is_named() {
    let (_, second) = both(&host(), |host| {
        host.file(
            "proc/stat",
            STAT.replace("ctxt", "cpu3 7 0 7 7 0 0 0 0\nctxt").replace("100 0 100 1000", "101 0 100 1000"),
        );
    });
    let tree = view(&second);
    assert_eq!((number(&tree, "cpu.count"), number(&tree, "cpu.busiest_core")), (Some(2.0), Some(0.0)));
    assert!(tree.get("unread").unwrap().get("cpu.cores[3]").is_some());
    assert_reasons(&second);
}

/// L33: what there is, what is used and what is left are three numbers; none is made of another that was clamped.
#[test]
fn l33_limit_usage_and_headroom_are_numbers_of_their_own() {
    let (first, _) = both(&host(), |_| {});
    let tree = view(&first);
    let memory = ["total", "available", "used", "free"]
        .map(|name| number(&tree, &format!("memory.{name}_bytes")).unwrap() / 1024.0);
    assert_eq!(memory, [1000.0, 250.0, 750.0, 200.0]);
    let Tree::List(disks) = field(&tree, "disks") else { panic!() };
    let disk = ["total", "available", "used", "free"].map(|name| number(&disks[1], &format!("{name}_bytes")).unwrap());
    assert_eq!(disk, [1000.0, 300.0, 600.0, 400.0]);
    assert_eq!(number(&disks[1], "usage_percent"), Some(600.0 / 900.0 * 100.0));
    assert_eq!(field(&disks[1], "mountpoint"), &Tree::from("/my disk"));
}

#[test]
fn unused_loop_devices_are_left_out() {
    let (_, second) = both(&host(), |_| {});
    let names: Vec<_> = second.disk_io.unwrap().iter().map(|disk| disk.counters.name.to_string()).collect();
    assert_eq!(names, ["sda"]);
}

#[test]
fn a_file_system_that_hangs_is_none_with_the_reason() {
    let host = host();
    let mut sampler = Sampler::new(host.root().clone()).asking(Arc::new(|path: &Path| {
        if path.ends_with("my disk") {
            sleep(Duration::from_secs(600));
        }
        Ok(space())
    }));
    for _ in 0..3 {
        let snapshot = sampler.sample();
        let disks = snapshot.disks.as_ref().unwrap();
        assert!(disks[0].space.is_some() && disks[1].space.is_none());
        let tree = view(&snapshot);
        let Some(Tree::Text(reason)) = tree.get("unread").unwrap().get("disks[/my disk]") else { panic!() };
        assert!(reason.starts_with("statvfs: no answer for "), "{reason}");
        assert_reasons(&snapshot);
    }
}

#[test]
fn whatever_is_missing_or_broken_is_named_and_the_rest_is_there() {
    let files = [
        "proc/stat",
        "proc/meminfo",
        "proc/loadavg",
        "proc/diskstats",
        "proc/net/dev",
        "proc/self/mountinfo",
        "proc/uptime",
        "proc/vmstat",
    ];
    for file in files {
        for content in [None, Some(""), Some("rubbish\n")] {
            let host = host();
            host.file("proc/vmstat", "pswpin 1\npswpout 2\n");
            let _ = match content {
                None => host.remove(file),
                Some(content) => host.file(file, content),
            };
            let (first, second) = both(&host, |_| {});
            assert_reasons(&first);
            assert_reasons(&second);
            let known = view(&second).leaves().iter().filter(|(_, value)| **value != Tree::Unknown).count();
            assert!(known > 25, "{file} {content:?}: {known}");
        }
    }
}

#[test]
fn a_host_without_any_file_is_all_none() {
    let nothing = Files::new();
    let failing = |_: &Path| Err(io::Error::from_raw_os_error(libc::EIO));
    let snapshot = Sampler::new(nothing.root().clone()).asking(Arc::new(failing)).sample();
    assert_reasons(&snapshot);
    assert_eq!((snapshot.cpu, snapshot.load, snapshot.disks, snapshot.network), (None, None, None, None));
}

#[test]
fn this_machine_is_read_and_every_none_has_a_reason() {
    let mut sampler = Sampler::new(Root::default());
    assert_reasons(&sampler.sample());
    sleep(Duration::from_millis(150));
    let second = sampler.sample();
    assert_reasons(&second);
    let known = view(&second).leaves().iter().filter(|(_, value)| **value != Tree::Unknown).count();
    assert!(known >= 100, "{known}");
}

#[test]
fn what_sysinfo_does_not_tell_is_named() {
    let mut source = Sysinfo::new();
    assert_reasons(&source.host());
    sleep(Duration::from_millis(250));
    assert_reasons(&source.host());
}

proptest! {
    /// L22: a percentage is 0-100 and a ratio 0-1, on both sides of every threshold.
    #[test]
    fn l22_units_are_those_of_the_names(usage in 0.0..=1.0_f64) {
        let states = [usage, 0.0, 0.0, 1.0 - usage, 0.0, 0.0, 0.0, 0.0];
        let shares = Some(Shares { usage, states: Some(states) });
        let snapshot = Snapshot { source: "proc", interval: Some(1.0), cpu: shares, core_shares: vec![(0, shares)], ..Snapshot::default() };
        let tree = view(&snapshot);
        for (path, value) in tree.leaves() {
            let Tree::Number(value) = value else { continue };
            if path.ends_with("_percent") {
                prop_assert!((0.0..=100.0).contains(value), "{} {}", path, value);
            } else if path.ends_with("_ratio") {
                prop_assert!((0.0..=1.0).contains(value), "{} {}", path, value);
            }
        }
        prop_assert_eq!(number(&tree, "cpu.usage_percent"), Some(usage * 100.0));
        prop_assert_eq!(number(&tree, "cpu.usage_percent").unwrap() > 90.0, usage * 100.0 > 90.0);
    }
}
