//! Another process, sampled again and again: its `stat` and `statm` stay open, which also nails the pid to this process.

use std::fs::File;
use std::sync::Arc;

use super::files::Files;
use super::stat::{Stat, parse_stat};
use super::statm::parse_resident;
use crate::journal::Descriptor;
use crate::sampling::absent::Absent;
use crate::sampling::kept::Kept;
use crate::sampling::root::{Root, malformed};

/// Two readings of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchSample {
    /// Of `stat`.
    pub stat: Stat,
    /// Resident memory, bytes; None: could not be read.
    pub rss_bytes: Option<u64>,
}

/// A process by pid and start time. For all threads and in forked children.
#[derive(Debug)]
pub struct Watch {
    root: Root,
    pid: u32,
    start_ticks: u64,
    files: Kept<OpenFiles>,
}

#[derive(Debug)]
struct OpenFiles {
    stat: Descriptor,
    statm: Option<Descriptor>,
}

impl Watch {
    /// The process that has this pid now; of that start time if one is given.
    pub fn new(root: &Root, pid: u32, start_ticks: Option<u64>) -> Result<Watch, Absent> {
        let stat = Files::of(root, pid).stat()?;
        if start_ticks.is_some_and(|start| start != stat.start_ticks) {
            return Err(Absent::Gone);
        }
        Ok(Watch { root: root.clone(), pid, start_ticks: stat.start_ticks, files: Kept::default() })
    }

    /// Its pid and start time in ticks since boot.
    pub fn identity(&self) -> (u32, u64) {
        (self.pid, self.start_ticks)
    }

    /// The process now, by two system calls. `Gone` also when it is a zombie no more and its pid is another's.
    pub fn sample(&self) -> Result<WatchSample, Absent> {
        if let Some(files) = self.files.get()
            && let Some(sample) = self.read(&files)
        {
            return Ok(sample);
        }
        // The first time, or the files were closed under us, or the process is gone.
        let files = self.open()?;
        self.read(&files).ok_or_else(|| Absent::Unreadable(malformed(&format!("/proc/{}/stat", self.pid))))
    }

    fn open(&self) -> Result<Arc<OpenFiles>, Absent> {
        let files = Files::of(&self.root, self.pid);
        let open = |name: &str| Descriptor::keep(File::open(self.root.path(files.path(name)))?);
        let stat = open("stat").map_err(|error| files.absent("stat", &error))?;
        let found = OpenFiles { stat, statm: open("statm").ok() };
        if files.stat()?.start_ticks != self.start_ticks {
            return Err(Absent::Gone);
        }
        Ok(self.files.keep(found))
    }

    /// None when the process is gone or the files are not ours any more.
    fn read(&self, files: &OpenFiles) -> Option<WatchSample> {
        let mut buffer = [0; 1024];
        let length = files.stat.read(&mut buffer)?;
        let stat = parse_stat(&buffer[..length]).filter(|stat| stat.start_ticks == self.start_ticks)?;
        let rss_bytes = files.statm.as_ref().and_then(|statm| {
            let length = statm.read(&mut buffer)?;
            parse_resident(&buffer[..length])
        });
        Some(WatchSample { stat, rss_bytes })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::sampling::fixture::Tree;

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn a_process_is_followed_until_it_is_gone() {
        let mut child = sleeper();
        let watch = Watch::new(&Root::default(), child.id(), None).unwrap();
        let first = watch.sample().unwrap();
        assert_eq!((first.stat.parent, first.stat.start_ticks), (std::process::id(), watch.identity().1));
        assert!(watch.sample().unwrap().rss_bytes > Some(0));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(watch.sample(), Err(Absent::Gone));
    }

    #[test]
    fn another_process_with_the_pid_is_never_taken_for_it() {
        let tree = Tree::new();
        tree.process(42, 1, "a b) (c d", 100);
        let watch = Watch::new(tree.root(), 42, Some(100)).unwrap();
        assert_eq!(watch.sample().unwrap().stat.name.text(), "a b) (c d");
        tree.process(42, 1, "other", 200);
        assert_eq!(watch.sample(), Err(Absent::Gone));
        assert!(matches!(Watch::new(tree.root(), 42, Some(100)), Err(Absent::Gone)));
    }

    #[test]
    fn files_that_were_closed_under_us_are_opened_again() {
        let mut child = sleeper();
        let watch = Watch::new(&Root::default(), child.id(), None).unwrap();
        let null = || Descriptor::keep(File::open("/dev/null").unwrap()).unwrap();
        watch.files.keep(OpenFiles { stat: null(), statm: None });
        assert!(watch.sample().unwrap().rss_bytes.is_some());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
