//! The files of a sample that are opened each time: once in some seconds, not once a job.

use std::collections::HashMap;
use std::fs;

use super::super::pressure::{Pressure, parse_pressure};
use super::super::root::{Root, malformed, reason};
use super::memory::Swapping;
use super::mounts::{self, Mount};
use super::scan::Scan;
use super::snapshot::Pressures;
use crate::sampling::unread::Unread;

/// ARPHRD_LOOPBACK in `if_arp.h`.
const LOOPBACK: &[u8] = b"772\n";

/// Seconds since boot: `/proc/uptime`.
pub fn uptime(root: &Root) -> Result<f64, String> {
    parsed(root, "/proc/uptime", |text| {
        let first = text.split(|byte| *byte == b' ').next()?;
        std::str::from_utf8(first).ok()?.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0)
    })
}

/// `/proc/vmstat`.
pub fn swapping(root: &Root) -> Result<Swapping, String> {
    parsed(root, "/proc/vmstat", Swapping::parse)
}

/// `/proc/self/mountinfo`.
pub fn mounts(root: &Root) -> Result<Vec<Mount>, String> {
    root.read("/proc/self/mountinfo").map(|table| mounts::parse(&table))
}

/// How many processes there are: directories of `/proc` whose name is a number.
pub fn processes(root: &Root) -> Result<u64, String> {
    let entries = fs::read_dir(root.path("/proc")).map_err(|error| reason("/proc", &error))?;
    let is_pid = |name: &[u8]| name.iter().all(u8::is_ascii_digit);
    Ok(entries.flatten().filter(|entry| is_pid(entry.file_name().as_encoded_bytes())).count() as u64)
}

/// `/proc/pressure`; what is not there is named in `unread`.
pub fn pressures(root: &Root, unread: &mut Unread) -> Pressures {
    let mut read = |resource: &str| -> Option<Pressure> {
        let found = parsed(root, &format!("/proc/pressure/{resource}"), parse_pressure);
        unread.keep(&[&format!("pressure.{resource}")], found)
    };
    Pressures { cpu: read("cpu"), memory: read("memory"), io: read("io") }
}

/// What `/sys/class/net` says about interfaces beside their counters. Whether one is a loopback never changes and is kept.
#[derive(Debug, Default)]
pub struct InterfaceFacts(HashMap<String, bool>);

impl InterfaceFacts {
    /// Whether it is a loopback.
    pub fn loopback(&mut self, root: &Root, name: &str) -> Result<bool, String> {
        if let Some(known) = self.0.get(name) {
            return Ok(*known);
        }
        let found = root.read(format!("/sys/class/net/{name}/type"))? == LOOPBACK;
        self.0.insert(name.to_owned(), found);
        Ok(found)
    }

    /// Its state by RFC 2863, in the kernel's words.
    pub fn state(&self, root: &Root, name: &str) -> Result<String, String> {
        parsed(root, &format!("/sys/class/net/{name}/operstate"), |text| {
            let word = Scan::new(text).word()?;
            word.is_ascii().then(|| String::from_utf8_lossy(word).into_owned())
        })
    }
}

fn parsed<T>(root: &Root, path: &str, parse: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, String> {
    parse(&root.read(path)?).ok_or_else(|| malformed(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::fixture::Tree;

    #[test]
    fn uptime_is_the_first_number() {
        let tree = Tree::new();
        tree.file("proc/uptime", "873.25 1200.00\n");
        assert_eq!(uptime(tree.root()), Ok(873.25));
        for bad in ["", "x 1\n", "nan 1\n", "-1 1\n"] {
            tree.file("proc/uptime", bad);
            assert_eq!(uptime(tree.root()), Err("/proc/uptime: not understood".into()));
        }
    }

    #[test]
    fn processes_are_the_numbers() {
        let tree = Tree::new();
        tree.file("proc/1/stat", "").file("proc/234/stat", "").file("proc/self/stat", "").file("proc/12x/stat", "");
        assert_eq!(processes(tree.root()), Ok(2));
        assert_eq!(processes(&Root::at(std::path::Path::new("/no/such/tree"))), Err("/proc: no such file".into()));
    }

    #[test]
    fn interfaces_say_what_they_are() {
        let tree = Tree::new();
        tree.file("sys/class/net/lo/type", "772\n")
            .file("sys/class/net/eth0/type", "1\n")
            .file("sys/class/net/eth0/operstate", "up\n");
        let mut facts = InterfaceFacts::default();
        assert_eq!((facts.loopback(tree.root(), "lo"), facts.loopback(tree.root(), "eth0")), (Ok(true), Ok(false)));
        tree.remove("sys/class/net/lo/type");
        assert_eq!(facts.loopback(tree.root(), "lo"), Ok(true), "kept");
        assert_eq!(facts.state(tree.root(), "eth0"), Ok("up".into()));
        assert_eq!(facts.state(tree.root(), "lo"), Err("/sys/class/net/lo/operstate: no such file".into()));
    }

    #[test]
    fn pressure_that_the_kernel_does_not_keep_is_named() {
        let tree = Tree::new();
        tree.file("proc/pressure/cpu", "some avg10=1.00 avg60=0.00 avg300=0.00 total=5\n");
        let mut unread = Unread::default();
        let found = pressures(tree.root(), &mut unread);
        assert!(found.cpu.is_some() && found.memory.is_none() && found.io.is_none());
        assert_eq!(unread.entries()[0], ("pressure.memory".into(), "/proc/pressure/memory: no such file".into()));
    }
}
