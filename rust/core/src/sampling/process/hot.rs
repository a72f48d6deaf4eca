//! The sample of this process that may be taken at any time: four system calls, no allocation.
//!
//! CPU and peak by `getrusage`, resident memory from the kept `statm`, descriptors from the size of the kept `/proc/self/fd` (Linux
//! 6.2), threads from the links of the kept `/proc/self/task`. On older kernels the descriptors are listed, which costs five more.
//! Where the limit of descriptors is below 512, kept ones are within a program's reach, and reading one costs a call more.

use std::fs::File;

use super::descriptors;
use super::files::Files;
use super::statm::parse_resident;
use super::usage::Usage;
use crate::journal::Descriptor;
use crate::sampling::kept::Kept;
use crate::sampling::root::Root;

/// What this process uses now; None: could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HotSample {
    /// CPU time outside the kernel of all threads, ns in steps of 1,000.
    pub cpu_user_ns: Option<u64>,
    /// CPU time inside the kernel of all threads, ns in steps of 1,000.
    pub cpu_system_ns: Option<u64>,
    /// Peak of resident memory since the start or the last reset, bytes.
    pub peak_rss_bytes: Option<u64>,
    /// Resident memory, bytes.
    pub rss_bytes: Option<u64>,
    /// Open descriptors, with the three that are kept here.
    pub open_descriptors: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
}

/// Takes hot samples. For all threads, and in forked children, which open files of their own.
#[derive(Debug, Default)]
pub struct HotSampler {
    files: Kept<OpenFiles>,
}

/// Files of `/proc/self`; None: could not be opened.
#[derive(Debug)]
struct OpenFiles {
    statm: Option<Descriptor>,
    fd: Option<Descriptor>,
    task: Option<Descriptor>,
}

impl HotSampler {
    /// What this process uses now.
    pub fn sample(&self) -> HotSample {
        if let Some(files) = self.files.get() {
            let sample = files.sample();
            if sample.is_complete() {
                return sample;
            }
        }
        // The first one of this process, or one was closed under us.
        self.files.keep(OpenFiles::open()).sample()
    }
}

impl HotSample {
    fn is_complete(&self) -> bool {
        self.rss_bytes.is_some() && self.open_descriptors.is_some() && self.threads.is_some()
    }
}

impl OpenFiles {
    fn open() -> OpenFiles {
        let open = |path: &str| Descriptor::keep(File::open(path).ok()?).ok();
        OpenFiles { statm: open("/proc/self/statm"), fd: open("/proc/self/fd"), task: open("/proc/self/task") }
    }

    fn sample(&self) -> HotSample {
        let usage = Usage::own();
        let rss_bytes = self.resident();
        HotSample {
            cpu_user_ns: usage.map(|usage| usage.cpu_user_ns),
            cpu_system_ns: usage.map(|usage| usage.cpu_system_ns),
            // The kernel brings its peak up to date later than its reading, and that is the later one here.
            peak_rss_bytes: usage.map(|usage| usage.peak_rss_bytes.max(rss_bytes.unwrap_or(0))),
            rss_bytes,
            open_descriptors: self.descriptors(),
            threads: self.threads(),
        }
    }

    fn resident(&self) -> Option<u64> {
        let mut buffer = [0; 128];
        let length = self.statm.as_ref()?.read(&mut buffer)?;
        parse_resident(&buffer[..length])
    }

    fn descriptors(&self) -> Option<u64> {
        match self.fd.as_ref()?.size_and_links()? {
            (0, _) => descriptors::listed(&Files::own(&Root::default())).ok(),
            (size, _) => Some(size),
        }
    }

    /// A directory has two links besides those of its directories, one for each thread.
    fn threads(&self) -> Option<u64> {
        self.task.as_ref()?.size_and_links()?.1.checked_sub(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::process::{Wish, own};

    #[test]
    fn it_tells_what_the_files_tell() {
        let sampler = HotSampler::default();
        let (hot, whole) = (sampler.sample(), own(&Root::default(), Wish::default()).unwrap());
        assert!(hot.is_complete());
        assert!(hot.cpu_user_ns.unwrap() + hot.cpu_system_ns.unwrap() <= whole.cpu_user_ns + whole.cpu_system_ns);
        let near = |a: u64, b: u64, tolerance: u64| a.abs_diff(b) <= tolerance;
        assert!(near(hot.rss_bytes.unwrap(), whole.rss_bytes.unwrap(), 16 << 20));
        assert!(near(hot.peak_rss_bytes.unwrap(), whole.peak_rss_bytes.unwrap(), 16 << 20));
        // Other tests of this program open files and start threads meanwhile.
        assert!(near(hot.threads.unwrap(), whole.threads, 16) && hot.threads > Some(0));
        assert!(near(hot.open_descriptors.unwrap(), whole.open_descriptors.unwrap(), 400));
    }

    #[test]
    fn the_peak_is_never_below_what_is_resident() {
        let statm = |pages: u64| {
            let name = format!("qm-statm-{}-{pages}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, format!("{pages} {pages} 0 1 0 1 0\n")).unwrap();
            let file = Descriptor::keep(File::open(&path).unwrap()).unwrap();
            std::fs::remove_file(path).unwrap();
            OpenFiles { statm: Some(file), ..OpenFiles::open() }.sample()
        };
        let grown = statm(1 << 40);
        assert_eq!(grown.peak_rss_bytes, grown.rss_bytes);
        assert!(statm(1).peak_rss_bytes > statm(1).rss_bytes);
    }

    #[test]
    fn a_file_that_was_closed_under_us_is_opened_again() {
        let sampler = HotSampler::default();
        let null = || Some(Descriptor::keep(File::open("/dev/null").unwrap()).unwrap());
        sampler.files.keep(OpenFiles { statm: null(), fd: None, task: null() });
        assert!(sampler.sample().is_complete());
        assert!(sampler.files.get().unwrap().sample().is_complete(), "and kept");
    }
}
