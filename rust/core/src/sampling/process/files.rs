//! The files of one process below `/proc`, and its CPU clock.

use std::io;

use super::stat::{Stat, parse_stat};
use crate::sampling::absent::Absent;
use crate::sampling::clock;
use crate::sampling::root::{Root, malformed, reason};

/// Where the files of a process are.
#[derive(Clone, Debug)]
pub struct Files<'a> {
    root: &'a Root,
    pid: u32,
    folder: String,
    own: bool,
}

impl<'a> Files<'a> {
    /// Of this process.
    pub fn own(root: &'a Root) -> Files<'a> {
        Files { root, pid: std::process::id(), folder: "/proc/self".into(), own: root.is_real() }
    }

    /// Of the process with a pid.
    pub fn of(root: &'a Root, pid: u32) -> Files<'a> {
        Files { root, pid, folder: format!("/proc/{pid}"), own: false }
    }

    /// Whether the kernel's calls about the calling process speak of this one.
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// Where these files begin.
    pub fn root(&self) -> &Root {
        self.root
    }

    /// The path of a file, as reasons name it.
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// The content of a file.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        self.root.read(self.path(name))
    }

    /// The content of a file as its parser understands it.
    pub fn parsed<T>(&self, name: &str, parse: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, String> {
        parse(&self.read(name)?).ok_or_else(|| malformed(&self.path(name)))
    }

    /// The names of a directory that are numbers: threads, descriptors.
    pub fn numbers(&self, name: &str) -> Result<Vec<u32>, String> {
        let path = self.path(name);
        let entries = std::fs::read_dir(self.root.path(&path)).map_err(|error| reason(&path, &error))?;
        Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
    }

    /// What `stat` says; without it there is no sample.
    pub fn stat(&self) -> Result<Stat, Absent> {
        let path = self.path("stat");
        let text = std::fs::read(self.root.path(&path)).map_err(|error| self.absent("stat", &error))?;
        parse_stat(&text).ok_or_else(|| Absent::Unreadable(malformed(&path)))
    }

    /// What it means that a file cannot be opened or read. A missing one speaks of its process only where `/proc` knows this process:
    /// an empty directory in the place of `/proc`, or that of another pid namespace, knows nobody of ours.
    pub fn absent(&self, name: &str, error: &io::Error) -> Absent {
        let missing = error.kind() == io::ErrorKind::NotFound && self.root.path("/proc/self").exists();
        if missing || error.raw_os_error() == Some(libc::ESRCH) {
            Absent::Gone
        } else {
            Absent::Unreadable(reason(&self.path(name), error))
        }
    }

    /// CPU time by the process's clock, ns. None in a fixture tree, whose pids are not the kernel's.
    pub fn cpu_ns(&self) -> Option<u64> {
        match (self.own, self.root.is_real()) {
            (true, _) => clock::process_cpu_ns(),
            (false, true) => clock::process_cpu_ns_of(self.pid),
            (false, false) => None,
        }
    }
}
