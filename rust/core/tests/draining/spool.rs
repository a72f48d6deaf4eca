//! Segments written by hand, with the locks that their writers would hold.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use queue_metrics_core::journal::format::{Checksum, Header, Record, SegmentId, Way, definition, encode};
use queue_metrics_core::names;

/// A directory that goes when the test ends.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("qm-drain-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn header(id: SegmentId, created: i64) -> Vec<u8> {
    Header {
        id,
        boot: [0; 16],
        created,
        created_monotonic: 0,
        start_ticks: 0,
        pid: 1,
        way: Way::Write,
        capacity: 1023,
        pid_namespace: 0,
    }
    .encode()
    .to_vec()
}

struct Open {
    id: SegmentId,
    file: File,
    defined: HashSet<Vec<u8>>,
}

/// Writers of a spool; each has one current segment.
pub struct Writers {
    directory: PathBuf,
    current: HashMap<usize, Open>,
    made: u64,
}

impl Writers {
    pub fn new(directory: &Path) -> Writers {
        Writers { directory: directory.to_owned(), current: HashMap::new(), made: 0 }
    }

    /// Appends a record, and the definitions it needs that its segment lacks.
    pub fn write(&mut self, writer: usize, record: &Record, needs: &[&[u8]]) {
        let made = &mut self.made;
        let open = self.current.entry(writer).or_insert_with(|| {
            *made += 1;
            // Scattered, so that the order of ids is not that of creation.
            let id = u128::from(names::hash64(&made.to_le_bytes())).to_be_bytes();
            let path = self.directory.join(format!("{:032x}.seg", u128::from_be_bytes(id)));
            let mut file = OpenOptions::new().append(true).create_new(true).open(path).unwrap();
            file.lock_shared().unwrap();
            file.write_all(&header(id, *made as i64)).unwrap();
            Open { id, file, defined: HashSet::new() }
        });
        let checksum = Checksum::new(&open.id);
        for list in needs {
            if open.defined.insert(list.to_vec()) {
                for part in definition(list) {
                    open.file.write_all(&encode(&part, checksum)).unwrap();
                }
            }
        }
        open.file.write_all(&encode(record, checksum)).unwrap();
    }

    /// The writer's next record goes to another segment.
    pub fn rotate(&mut self, writer: usize) {
        self.current.remove(&writer);
    }
}
