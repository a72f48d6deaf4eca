//! A process as any source can tell it. `ProcessSample` has more, and `/proc` alone gives it.

use super::super::tree::Tree;
use super::super::unread::Unread;

/// A field that is None is unknown, and `unread` says why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// Pid.
    pub pid: u32,
    /// Pid of its parent.
    pub parent_pid: Option<u32>,
    /// Start, µs of the wall clock; with the pid it names the process.
    pub started_us: Option<i64>,
    /// Name of the command.
    pub name: Option<String>,
    /// State as one letter of Linux: `R`, `S`, `D`, `Z`, `T`, ...
    pub state: Option<char>,
    /// CPU time of all threads, ns.
    pub cpu_ns: Option<u64>,
    /// CPU time outside the kernel, ns.
    pub cpu_user_ns: Option<u64>,
    /// CPU time inside the kernel, ns.
    pub cpu_system_ns: Option<u64>,
    /// Resident memory, bytes.
    pub rss_bytes: Option<u64>,
    /// Its peak, bytes.
    pub peak_rss_bytes: Option<u64>,
    /// Virtual memory, bytes.
    pub virtual_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open descriptors.
    pub open_descriptors: Option<u64>,
    /// What is None, and why.
    pub unread: Unread,
}

/// A process by name of field.
pub fn process_view(process: &Process) -> Tree {
    let reasons = process.unread.entries().iter();
    let unread = reasons.map(|(field, reason)| (field.clone().into(), Tree::from(reason.as_str()))).collect();
    Tree::Map(vec![
        ("pid".into(), u64::from(process.pid).into()),
        ("parent_pid".into(), process.parent_pid.map(u64::from).into()),
        ("started_us".into(), process.started_us.and_then(|us| u64::try_from(us).ok()).into()),
        ("name".into(), process.name.clone().into()),
        ("state".into(), process.state.map(String::from).into()),
        ("cpu_ns".into(), process.cpu_ns.into()),
        ("cpu_user_ns".into(), process.cpu_user_ns.into()),
        ("cpu_system_ns".into(), process.cpu_system_ns.into()),
        ("rss_bytes".into(), process.rss_bytes.into()),
        ("peak_rss_bytes".into(), process.peak_rss_bytes.into()),
        ("virtual_bytes".into(), process.virtual_bytes.into()),
        ("threads".into(), process.threads.into()),
        ("open_descriptors".into(), process.open_descriptors.into()),
        ("unread".into(), Tree::Map(unread)),
    ])
}
