//! One reading of the tables that change all the time: six files and six system calls, the files being open.

use std::sync::Arc;

use super::super::clock;
use super::super::root::Root;
use super::super::unread::Unread;
use super::disk_io;
use super::file::{Buffer, KeptFile, Shape};
use super::load;
use super::memory::Memory;
use super::network;
use super::root_space::RootSpace;
use super::space::Ask;
pub use super::tables::Reading;

/// The open files, and the buffer that all are read into.
pub struct Reader {
    stat: KeptFile,
    meminfo: KeptFile,
    loadavg: KeptFile,
    diskstats: KeptFile,
    net_dev: KeptFile,
    root: RootSpace,
    buffer: Buffer,
}

impl Reader {
    /// Opens nothing yet.
    pub fn new(root: &Root) -> Reader {
        Reader {
            stat: KeptFile::new(root, "/proc/stat", Shape::Whole),
            meminfo: KeptFile::new(root, "/proc/meminfo", Shape::Whole),
            loadavg: KeptFile::new(root, "/proc/loadavg", Shape::Whole),
            diskstats: KeptFile::new(root, "/proc/diskstats", Shape::Table),
            net_dev: KeptFile::new(root, "/proc/net/dev", Shape::Table),
            root: RootSpace::new(root.path("/")),
            buffer: Buffer::new(),
        }
    }

    /// With another `statvfs`: for tests.
    pub fn asking(mut self, ask: Arc<Ask>) -> Reader {
        self.root = self.root.asking(ask);
        self
    }

    /// Everything anew into a reading, whose memory is used again.
    pub fn read(&mut self, reading: &mut Reading) {
        self.read_tables(reading);
        reading.root = reading.unread.keep(&["root"], self.root.read());
    }

    /// The files only.
    pub fn read_tables(&mut self, reading: &mut Reading) {
        let Reading { at_ns, cpus, memory, load, disks, interfaces, root, unread } = reading;
        *root = None;
        let buffer = &mut self.buffer;
        *unread = Unread::default();
        *at_ns = clock::monotonic_ns();
        let mut kept = std::mem::take(cpus).unwrap_or_default();
        let found = table(&mut self.stat, buffer, |text| kept.parse(text).then_some(()));
        *cpus = unread.keep(&["cpu"], found).map(|()| kept);
        *memory = unread.keep(&["memory", "swap"], table(&mut self.meminfo, buffer, Memory::parse));
        *load = unread.keep(&["load_average"], table(&mut self.loadavg, buffer, load::parse));
        let mut kept = std::mem::take(disks).unwrap_or_default();
        let found = table(&mut self.diskstats, buffer, |text| disk_io::parse(text, &mut kept).then_some(()));
        *disks = unread.keep(&["disk_io"], found).map(|()| kept);
        let mut kept = std::mem::take(interfaces).unwrap_or_default();
        let found = table(&mut self.net_dev, buffer, |text| network::parse(text, &mut kept).then_some(()));
        *interfaces = unread.keep(&["network"], found).map(|()| kept);
    }
}

/// Read, then parse; a file that makes no sense is opened again next time.
fn table<T>(file: &mut KeptFile, buffer: &mut Buffer, parse: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, String> {
    let parsed = parse(file.read(buffer)?);
    parsed.ok_or_else(|| file.malformed())
}

#[cfg(test)]
mod tests {
    use super::super::room::Space;
    use super::*;

    #[test]
    fn this_machine_is_read_whole_and_its_memory_is_used_again() {
        let mut reader = Reader::new(&Root::default());
        let mut reading = Reading::default();
        reader.read(&mut reading);
        assert!(reading.unread.is_empty(), "{:?}", reading.unread);
        let before = reading.clone();
        let cores = reading.cpus.as_ref().unwrap().cores.as_ptr();
        reader.read(&mut reading);
        assert_eq!(reading.cpus.as_ref().unwrap().cores.as_ptr(), cores);
        assert!(reading.at_ns > before.at_ns);
        assert!(reading.cpus.unwrap().total.iter().sum::<u64>() >= before.cpus.unwrap().total.iter().sum());
    }

    #[test]
    fn what_is_missing_is_named_and_the_rest_is_read() {
        let mut reading = Reading::default();
        Reader::new(&Root::at(std::path::Path::new("/no/such/tree"))).read(&mut reading);
        let fields: Vec<_> = reading.unread.entries().iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(fields, ["cpu", "memory", "swap", "load_average", "disk_io", "network", "root"]);
        assert!(reading.cpus.is_none() && reading.root.is_none());
    }

    #[test]
    fn a_root_that_hangs_is_named_and_the_rest_is_read() {
        let hanging = |_: &std::path::Path| {
            std::thread::sleep(std::time::Duration::from_secs(600));
            Ok(Space::default())
        };
        let mut reader = Reader::new(&Root::default()).asking(Arc::new(hanging));
        let mut reading = Reading::default();
        for _ in 0..2 {
            reader.read(&mut reading);
            let [(field, reason)] = reading.unread.entries() else { panic!("{:?}", reading.unread) };
            assert_eq!(field, "root");
            assert!(reason.starts_with("statvfs: no answer for "), "{reason}");
            assert!(reading.cpus.is_some() && reading.root.is_none());
        }
    }
}
