//! Whether the process that wrote a record still lives.

use std::fs;

use crate::journal::format::Worker;
use crate::kernel;
use crate::sampling::clock;
use crate::sampling::process::{
    boot_id, boot_word, ns_of_ticks, parse_peak, parse_resident, parse_stat, pid_namespace,
};

/// What is known about a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its process runs.
    Alive,
    /// Its process is gone.
    Dead,
    /// It cannot be seen from here.
    Unknown,
}

/// Judges workers from where this process runs.
#[derive(Clone, Copy, Debug)]
pub struct Observer {
    /// Pid namespace and boot, each 0 where the kernel tells none. None: they could not be read as yet.
    here: Option<(u64, u64)>,
}

impl Observer {
    /// This process.
    pub fn here() -> Observer {
        let mut observer = Observer { here: None };
        observer.look();
        observer
    }

    /// Reads where this process runs if that could not be read before.
    pub fn look(&mut self) {
        if self.here.is_none()
            && let (Ok(namespace), Ok(boot)) = (pid_namespace(), boot_id())
        {
            self.here = Some((namespace.unwrap_or(0), boot.map_or(0, |id| boot_word(&id))));
        }
    }

    /// Whether a worker's pid means the same here; None when that cannot be said just now.
    pub fn sees(&self, pid_namespace: u64, boot: u64) -> Option<bool> {
        if pid_namespace == 0 || boot == 0 {
            return Some(false);
        }
        Some(self.here? == (pid_namespace, boot))
    }

    /// Whether a worker lives. `abandoned` tells if the locks of all its segments are free.
    pub fn judge(&self, worker: &Worker, abandoned: impl FnOnce() -> bool) -> Life {
        match self.sees(worker.pid_namespace, worker.boot) {
            Some(true) => alive(worker.pid, worker.start_ticks),
            // Also for an earlier boot: its locks went with it, while those of another host on a shared disk are held.
            Some(false) if abandoned() => Life::Dead,
            _ => Life::Unknown,
        }
    }
}

/// Whether the process with this pid and start time runs.
pub fn alive(pid: u32, start_ticks: u64) -> Life {
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => match parse_stat(&stat) {
            Some(stat) if matches!(stat.state, b'Z' | b'X' | b'x') => Life::Dead,
            Some(_) if start_ticks == 0 => Life::Unknown,
            Some(stat) if stat.start_ticks != start_ticks => Life::Dead,
            Some(_) => Life::Alive,
            None => Life::Unknown,
        },
        Err(_) => {
            let Some(pid) = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 0) else { return Life::Dead };
            // Where others' processes are hidden, a pid that exists may have been given to another process.
            if kernel::is_gone(pid) { Life::Dead } else { Life::Unknown }
        }
    }
}

/// Resident memory and its peak in bytes and CPU time in µs of a process, as far as they can be read.
pub fn usage(pid: u32) -> [Option<u64>; 3] {
    let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).ok();
    let rss = read("statm").and_then(|statm| parse_resident(&statm));
    let peak = read("status").and_then(|status| parse_peak(&status));
    let ticks =
        || parse_stat(&read("stat")?).map(|stat| ns_of_ticks(stat.user_ticks.saturating_add(stat.system_ticks)));
    let cpu = clock::process_cpu_ns_of(pid).or_else(ticks);
    [rss, peak, cpu.map(|ns| ns / 1_000)]
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::sampling::process::{Identity, start_ticks};

    #[test]
    fn a_child_lives_until_it_dies_and_is_dead_as_a_zombie() {
        let mut child = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
        let started = start_ticks(&child.id().to_string()).unwrap();
        assert_eq!(alive(child.id(), started), Life::Alive);
        assert_eq!(alive(child.id(), started + 1), Life::Dead, "the pid was given to another process");
        child.kill().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while alive(child.id(), started) != Life::Dead {
            assert!(std::time::Instant::now() < deadline, "a zombie is dead");
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(alive(child.id(), started), Life::Dead);
        assert_eq!(alive(u32::MAX, 1), Life::Dead);
    }

    #[test]
    fn from_another_namespace_only_the_locks_tell() {
        let here = Observer::here();
        let own = Identity::of_this_process();
        let worker = Worker {
            role: 1,
            at: 0,
            worker: 1,
            pid: own.pid,
            parent: 1,
            start_ticks: own.start_ticks,
            pid_namespace: own.pid_namespace,
            boot: own.boot_word(),
            identity: 0,
        };
        assert_eq!(here.judge(&worker, || true), Life::Alive);
        let elsewhere = Worker { pid_namespace: 1, ..worker };
        assert_eq!(here.judge(&elsewhere, || true), Life::Dead);
        assert_eq!(here.judge(&elsewhere, || false), Life::Unknown);
        assert_eq!(here.judge(&Worker { boot: 1, ..worker }, || true), Life::Dead);
        assert_eq!(here.judge(&Worker { boot: 0, ..worker }, || false), Life::Unknown);
        assert_eq!(Observer { here: Some((0, 0)) }.judge(&worker, || true), Life::Dead, "the kernel tells no boot id");
    }

    #[test]
    fn who_cannot_read_where_it_runs_judges_nobody_until_it_can() {
        let own = Identity::of_this_process();
        let (pid_namespace, boot) = (own.pid_namespace, own.boot_word());
        let worker = Worker {
            role: 1,
            at: 0,
            worker: 1,
            pid: own.pid,
            parent: 1,
            start_ticks: own.start_ticks,
            pid_namespace,
            boot,
            identity: 0,
        };
        let mut blind = Observer { here: None };
        assert_eq!(blind.judge(&worker, || true), Life::Unknown);
        assert_eq!(blind.judge(&Worker { start_ticks: own.start_ticks + 1, ..worker }, || true), Life::Unknown);
        blind.look();
        assert_eq!(blind.judge(&worker, || true), Life::Alive);
    }
}
