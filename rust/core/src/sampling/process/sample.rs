//! Everything about one process, read on demand.

#![cfg_attr(test, expect(unsafe_code, reason = "a test calls the kernel"))]

use super::descriptors;
use super::files::Files;
use super::identity::started_us;
use super::smaps::parse_pss;
use super::statm::parse_statm;
use super::status::{Status, parse_status};
use super::switches;
use super::ticks::ns_of_ticks;
use super::usage::Usage;
use crate::sampling::absent::Absent;
use crate::sampling::root::{Root, malformed};
use crate::sampling::unread::Unread;

/// What is asked for beyond the ordinary, and of which process exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Proportional memory: 0.3 ms of a small process, milliseconds of a large one.
    pub pss: bool,
    /// The start time that the process must have; a later process with its pid is another one.
    pub start_ticks: Option<u64>,
}

/// One process. CPU times are since its start; those of its children of the children that ended and were waited for.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessSample {
    /// Pid.
    pub pid: u32,
    /// Pid of the parent; 0 when it is outside this pid namespace.
    pub parent_pid: u32,
    /// Start time in ticks since boot; with the pid it names the process.
    pub start_ticks: u64,
    /// Start time, µs of the wall clock.
    pub started_us: i64,
    /// Name of the command, at most 15 bytes; bytes that are no text replaced.
    pub name: String,
    /// State as one letter of the kernel: `R`, `S`, `D`, `Z`, `T`, ...
    pub state: char,
    /// CPU time of all threads, ns: by the process's clock; by ticks where that cannot be read.
    pub cpu_ns: u64,
    /// CPU time outside the kernel, ns; of this process in µs, of another in ticks.
    pub cpu_user_ns: u64,
    /// CPU time inside the kernel, ns; as the one before.
    pub cpu_system_ns: u64,
    /// The same of reaped children, with theirs.
    pub children_cpu_user_ns: u64,
    /// The same of reaped children, with theirs.
    pub children_cpu_system_ns: u64,
    /// Resident memory, bytes.
    pub rss_bytes: Option<u64>,
    /// Peak of resident memory since the start or the last reset, bytes.
    pub peak_rss_bytes: Option<u64>,
    /// Proportional memory, bytes; None also when not asked for.
    pub pss_bytes: Option<u64>,
    /// Swapped out, bytes.
    pub swap_bytes: Option<u64>,
    /// Virtual memory, bytes.
    pub virtual_bytes: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub open_descriptors: Option<u64>,
    /// Switches because a thread waited; of this process of all threads, of another of those that live.
    pub voluntary_switches: Option<u64>,
    /// Switches because a thread's time was up; as the one before.
    pub involuntary_switches: Option<u64>,
    /// What could not be read, and why.
    pub unread: Unread,
}

/// This process.
pub fn own(root: &Root, wish: Wish) -> Result<ProcessSample, Absent> {
    read(&Files::own(root), std::process::id(), wish)
}

/// The process with a pid.
pub fn sample(root: &Root, pid: u32, wish: Wish) -> Result<ProcessSample, Absent> {
    if root.is_real() && pid == std::process::id() {
        return own(root, wish);
    }
    read(&Files::of(root, pid), pid, wish)
}

fn read(files: &Files, pid: u32, wish: Wish) -> Result<ProcessSample, Absent> {
    let first = files.stat()?;
    if wish.start_ticks.is_some_and(|start| start != first.start_ticks) {
        return Err(Absent::Gone);
    }
    let mut unread = Unread::default();
    let statm = unread.keep(&["rss_bytes"], files.parsed("statm", parse_statm));
    let pss_bytes = if wish.pss { unread.keep(&["pss_bytes"], files.parsed("smaps_rollup", parse_pss)) } else { None };
    let open_descriptors = unread.keep(&["open_descriptors"], descriptors::count(files));
    let usage = files.is_own().then(|| Usage::own().zip(Usage::children())).flatten();
    let status = files.read("status").map(|text| parse_status(&text));
    let switches = match usage {
        Some((own, _)) => Ok((own.voluntary_switches, own.involuntary_switches)),
        None => switches::all_threads(files, first.threads, &status),
    };
    let switches = unread.keep(&["voluntary_switches", "involuntary_switches"], switches);
    let cpu_ns = files.cpu_ns();
    // Read last, and of the same process as at first: so was everything in between.
    let stat = files.stat()?;
    if stat.start_ticks != first.start_ticks {
        return Err(Absent::Gone);
    }
    let ticks = |user, system| (ns_of_ticks(user), ns_of_ticks(system));
    let of_usage = |usage: Usage| (usage.cpu_user_ns, usage.cpu_system_ns);
    let (cpu_user_ns, cpu_system_ns) =
        usage.map_or(ticks(stat.user_ticks, stat.system_ticks), |(own, _)| of_usage(own));
    let (children_cpu_user_ns, children_cpu_system_ns) =
        usage.map_or(ticks(stat.children_user_ticks, stat.children_system_ticks), |(_, children)| of_usage(children));
    let rss_bytes = statm.map(|statm| statm.resident_bytes);
    let of_status = |value: fn(&Status) -> Option<u64>| {
        let status = status.as_ref().map_err(Clone::clone)?;
        value(status).ok_or_else(|| match status.involuntary_switches {
            Some(_) => "it has no memory: it ended, or it is the kernel's".to_owned(),
            None => malformed(&files.path("status")),
        })
    };
    let peak = match usage {
        // The kernel brings its peak up to date later than its reading.
        Some((own, _)) => Ok(own.peak_rss_bytes.max(rss_bytes.unwrap_or(0))),
        None => of_status(|status| status.peak_rss_bytes),
    };
    Ok(ProcessSample {
        pid,
        parent_pid: stat.parent,
        start_ticks: stat.start_ticks,
        started_us: started_us(stat.start_ticks),
        name: stat.name.text().into_owned(),
        state: char::from(stat.state),
        cpu_ns: cpu_ns.unwrap_or(cpu_user_ns.saturating_add(cpu_system_ns)),
        cpu_user_ns,
        cpu_system_ns,
        children_cpu_user_ns,
        children_cpu_system_ns,
        rss_bytes,
        peak_rss_bytes: unread.keep(&["peak_rss_bytes"], peak),
        pss_bytes,
        swap_bytes: unread.keep(&["swap_bytes"], of_status(|status| status.swap_bytes)),
        virtual_bytes: stat.virtual_bytes,
        threads: stat.threads,
        open_descriptors,
        voluntary_switches: switches.map(|(voluntary, _)| voluntary),
        involuntary_switches: switches.map(|(_, involuntary)| involuntary),
        unread,
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::sampling::fixture::Tree;
    use crate::sampling::process::page_size;

    #[test]
    fn a_process_with_brackets_in_its_name() {
        let tree = Tree::new();
        tree.process(42, 17, "a b) (c d", 987_654);
        let found = sample(tree.root(), 42, Wish { pss: true, start_ticks: Some(987_654) }).unwrap();
        assert_eq!((found.pid, found.parent_pid, found.start_ticks, found.state), (42, 17, 987_654, 'S'));
        assert_eq!(found.name, "a b) (c d");
        assert_eq!((found.cpu_user_ns, found.cpu_system_ns), (ns_of_ticks(150), ns_of_ticks(50)));
        assert_eq!(found.cpu_ns, found.cpu_user_ns + found.cpu_system_ns);
        assert_eq!((found.children_cpu_user_ns, found.children_cpu_system_ns), (ns_of_ticks(30), ns_of_ticks(20)));
        assert_eq!((found.rss_bytes, found.virtual_bytes), (Some(500 * page_size()), 8_192_000));
        assert_eq!((found.peak_rss_bytes, found.swap_bytes), (Some(4_000 << 10), Some(8 << 10)));
        assert_eq!((found.pss_bytes, found.threads, found.open_descriptors), (Some(1_000 << 10), 1, Some(2)));
        assert_eq!((found.voluntary_switches, found.involuntary_switches), (Some(12), Some(3)));
        assert!(found.unread.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_unknown_and_named_with_its_reason() {
        let tree = Tree::new();
        tree.process(42, 17, "worker", 100).file("proc/42/statm", "2000 5").file("proc/42/status", "");
        tree.remove("proc/42/fd").remove("proc/42/smaps_rollup");
        let found = sample(tree.root(), 42, Wish { pss: true, start_ticks: None }).unwrap();
        assert_eq!((found.rss_bytes, found.pss_bytes, found.open_descriptors), (None, None, None));
        assert_eq!((found.peak_rss_bytes, found.voluntary_switches), (None, None));
        let reasons = found.unread.entries();
        let of = |field: &str| reasons.iter().find(|(name, _)| name == field).map(|(_, reason)| reason.as_str());
        assert_eq!(of("rss_bytes"), Some("/proc/42/statm: not understood"));
        assert_eq!(of("pss_bytes"), Some("/proc/42/smaps_rollup: no such file"));
        assert_eq!(of("open_descriptors"), Some("/proc/42/fd: no such file"));
        assert_eq!(of("voluntary_switches"), Some("/proc/42/status: not understood"));
        assert_eq!(of("peak_rss_bytes"), Some("/proc/42/status: not understood"));
    }

    #[test]
    fn a_process_that_ended_and_was_not_reaped_has_no_memory() {
        let tree = Tree::new();
        tree.process(42, 17, "worker", 100).file("proc/42/statm", "0 0 0 0 0 0 0\n");
        tree.file(
            "proc/42/status",
            "State:\tZ (zombie)\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n",
        );
        let found = sample(tree.root(), 42, Wish::default()).unwrap();
        assert_eq!((found.rss_bytes, found.peak_rss_bytes, found.voluntary_switches), (Some(0), None, Some(12)));
        let reason = "it has no memory: it ended, or it is the kernel's";
        assert_eq!(
            found.unread.entries(),
            ["peak_rss_bytes", "swap_bytes"].map(|field| (field.to_owned(), reason.to_owned()))
        );
    }

    #[test]
    fn pss_is_left_out_unless_asked_for() {
        let tree = Tree::new();
        tree.process(42, 17, "worker", 100).remove("proc/42/smaps_rollup");
        let found = sample(tree.root(), 42, Wish::default()).unwrap();
        assert_eq!(found.pss_bytes, None);
        assert!(found.unread.is_empty());
    }

    #[test]
    fn a_process_that_is_gone_or_another_with_its_pid_has_no_sample() {
        let tree = Tree::new();
        tree.process(42, 17, "worker", 100);
        assert_eq!(sample(tree.root(), 43, Wish::default()), Err(Absent::Gone));
        assert_eq!(sample(tree.root(), 42, Wish { pss: false, start_ticks: Some(99) }), Err(Absent::Gone));
        tree.file("proc/42/stat", "42 (worker) S 17 1 1");
        assert_eq!(
            sample(tree.root(), 42, Wish::default()),
            Err(Absent::Unreadable("/proc/42/stat: not understood".into()))
        );
        tree.file("proc/42/stat", "");
        assert!(matches!(sample(tree.root(), 42, Wish::default()), Err(Absent::Unreadable(_))));
    }

    #[test]
    fn where_proc_knows_not_even_this_process_nobody_is_called_gone() {
        let tree = Tree::new();
        tree.remove("proc/self");
        let unreadable = |path: &str| Absent::Unreadable(format!("{path}: no such file"));
        assert_eq!(sample(tree.root(), 42, Wish::default()), Err(unreadable("/proc/42/stat")));
        assert_eq!(own(tree.root(), Wish::default()), Err(unreadable("/proc/self/stat")));
    }

    #[test]
    fn a_pid_that_was_given_away_while_it_was_read_has_no_sample() {
        let tree = Tree::new();
        tree.process(42, 17, "worker", 100).remove("proc/42/statm");
        let statm = tree.root().path("proc/42/statm");
        let name = CString::new(statm.as_os_str().as_bytes()).unwrap();
        // SAFETY: the name ends with NUL.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        std::thread::scope(|scope| {
            let found = scope.spawn(|| sample(tree.root(), 42, Wish::default()));
            // Opened when the reader is there, which has read the old start time by then.
            let mut pipe = OpenOptions::new().write(true).open(&statm).unwrap();
            tree.process_stat(42, 17, "another", 200);
            pipe.write_all(b"2000 500 300 14 0 300 0\n").unwrap();
            drop(pipe);
            assert_eq!(found.join().unwrap(), Err(Absent::Gone));
        });
    }

    #[test]
    fn this_process_is_measured_by_the_kernels_calls() {
        let root = Root::default();
        let found = own(&root, Wish::default()).unwrap();
        assert_eq!(sample(&root, std::process::id(), Wish::default()).unwrap().start_ticks, found.start_ticks);
        assert!(found.unread.is_empty(), "{:?}", found.unread);
        assert!(found.cpu_ns > 0 && found.peak_rss_bytes >= found.rss_bytes);
        assert_eq!(found.parent_pid, std::os::unix::process::parent_id());
    }
}
