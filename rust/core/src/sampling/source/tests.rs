//! Both sources on the same machine: what both tell is the same, and what one does not tell is named.

#![cfg_attr(test, expect(unsafe_code, reason = "a test calls the kernel"))]

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::*;
use crate::sampling::host::view::view;
use crate::sampling::tree::Tree;
use crate::sampling::unread::Unread;

fn both() -> [Box<dyn Source>; 2] {
    [Choice::Proc, Choice::Sysinfo].map(|choice| source(choice, Root::default()).unwrap())
}

fn number(tree: &Tree, path: &str) -> f64 {
    match path.split('.').fold(tree, |tree, name| tree.get(name).unwrap()) {
        Tree::Number(number) => *number,
        Tree::Count(count) => *count as f64,
        other => panic!("{path} is {other:?}"),
    }
}

fn text<'t>(tree: &'t Tree, path: &str) -> &'t str {
    match path.split('.').fold(tree, |tree, name| tree.get(name).unwrap()) {
        Tree::Text(text) => text,
        other => panic!("{path} is {other:?}"),
    }
}

#[test]
fn both_tell_the_same_of_this_host() {
    let [mut proc, mut sysinfo] = both();
    let trees = [view(&proc.host()), view(&sysinfo.host())];
    for path in ["memory.total_bytes", "swap.total_bytes", "cpu.count", "host.booted_at_seconds"] {
        assert_eq!(number(&trees[0], path), number(&trees[1], path), "{path}");
    }
    for path in ["host.name", "host.kernel", "host.architecture"] {
        assert_eq!(text(&trees[0], path), text(&trees[1], path), "{path}");
    }
    let near = |path: &str, tolerance: f64| {
        let [one, other] = [number(&trees[0], path), number(&trees[1], path)];
        assert!((one - other).abs() <= tolerance, "{path}: {one} and {other}");
    };
    near("memory.available_bytes", 256.0 * 1024.0 * 1024.0);
    near("host.uptime_seconds", 2.0);
    near("load_average.1min", 1.0);
    near("load_average.15min", 0.2);
}

#[test]
fn both_tell_the_same_of_disks_and_interfaces() {
    let [mut proc, mut sysinfo] = both();
    let (proc, sysinfo) = (proc.host(), sysinfo.host());
    let root = |snapshot: &Snapshot| {
        let disks = snapshot.disks.clone().unwrap();
        let disk = disks.into_iter().find(|disk| disk.mountpoint == Path::new("/")).unwrap();
        (disk.filesystem, disk.space.unwrap().total)
    };
    assert_eq!(root(&proc), root(&sysinfo));
    let interfaces = |snapshot: &Snapshot| {
        let network = snapshot.network.clone().unwrap();
        let mut found: Vec<_> = network.into_iter().map(|one| (one.counters.name.to_string(), one.state)).collect();
        found.sort();
        found
    };
    assert_eq!(interfaces(&proc), interfaces(&sysinfo));
    let lo =
        |snapshot: &Snapshot| snapshot.network.iter().flatten().find(|one| one.loopback == Some(true)).unwrap().clone();
    let (one, other) = (lo(&proc).counters, lo(&sysinfo).counters);
    assert!(other.received.bytes >= one.received.bytes, "read later");
    assert_eq!((one.received.drops.is_some(), other.received.drops), (true, None));
}

#[test]
fn both_tell_the_same_of_this_process_and_of_another() {
    // SAFETY: a child that only waits, and is ended below.
    let child = unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::pause();
            libc::_exit(0);
        }
        child as u32
    };
    for pid in [std::process::id(), child] {
        let [one, other] = both().map(|mut source| source.process(pid).unwrap());
        assert_eq!((one.pid, one.parent_pid, one.name.clone()), (other.pid, other.parent_pid, other.name.clone()));
        assert!(one.started_us.unwrap().abs_diff(other.started_us.unwrap()) < 2_000_000);
        let near = |one: Option<u64>, other: Option<u64>, tolerance: u64| {
            assert!(one.unwrap().abs_diff(other.unwrap()) <= tolerance)
        };
        near(one.rss_bytes, other.rss_bytes, 32 << 20);
        near(one.cpu_ns, other.cpu_ns, 1_000_000_000);
        assert_eq!((one.unread, other.threads, other.peak_rss_bytes), (Unread::default(), None, None));
        assert!(
            other
                .unread
                .entries()
                .iter()
                .any(|(field, reason)| field == "threads" && reason == "sysinfo does not tell")
        );
    }
    // SAFETY: the child is ours.
    unsafe {
        libc::kill(child as i32, libc::SIGKILL);
        libc::waitpid(child as i32, std::ptr::null_mut(), 0);
    }
    for mut source in both() {
        assert_eq!(source.process(child), Err(Absent::Gone), "{}", source.name());
        assert_eq!(source.this_process().unwrap().pid, std::process::id());
    }
}

#[test]
fn sysinfo_has_no_shares_in_its_first_sample_and_usage_only_later() {
    let mut source = Sysinfo::new();
    let first = source.host();
    assert!(first.cpu.is_none() && first.interval.is_none());
    assert!(source.host().cpu.is_none(), "too soon");
    sleep(Duration::from_millis(250));
    let second = source.host();
    assert!(second.interval.unwrap() >= 0.2);
    let shares = second.cpu.unwrap();
    assert!((0.0..=1.0).contains(&shares.usage) && shares.states.is_none());
    assert!(second.network.unwrap().iter().all(|interface| interface.rates.is_some()));
}

#[test]
fn the_limit_of_descriptors_is_what_it_was_after_the_first_use() {
    let limit = || {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the kernel writes one rlimit, which is ours.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
        (limit.rlim_cur, limit.rlim_max)
    };
    let before = limit();
    let mut source = Sysinfo::new();
    source.host();
    source.this_process().unwrap();
    assert_eq!(limit(), before);
}

#[test]
fn a_choice_is_taken_or_refused_with_the_reason() {
    let nowhere = || Root::at(Path::new("/no/such/tree"));
    for (word, name) in [("auto", "proc"), ("proc", "proc"), ("sysinfo", "sysinfo")] {
        assert_eq!(source(word.parse().unwrap(), Root::default()).unwrap().name(), name);
    }
    assert_eq!(source(Choice::Auto, nowhere()).unwrap().name(), "proc");
    let refused = source(Choice::Sysinfo, nowhere()).err().unwrap();
    assert_eq!(refused.to_string(), "sysinfo knows no other root than /; take the source auto or proc");
    assert_eq!("x".parse::<Choice>().unwrap_err().to_string(), "a source is auto, proc or sysinfo, not \"x\"");
}

#[test]
fn sysinfo_has_no_tables_and_says_so() {
    let mut reading = Reading::default();
    Sysinfo::new().read(&mut reading);
    assert!(reading.cpus.is_none() && !reading.unread.is_empty());
}
