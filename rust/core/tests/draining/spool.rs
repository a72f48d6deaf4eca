//! Segments of both ways written by hand, with the locks that their writers would hold, and the moments between reserving and filling a slot.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use queue_metrics_core::journal::format::{
    Checksum, HEADER_SIZE, Header, RECORD_SIZE, Record, SEALED, SegmentId, TAIL_OFFSET, Way, Worker, definition, encode,
};
use queue_metrics_core::names;
use queue_metrics_core::sampling::process::Identity;

/// Few slots, so that writers often change to the next segment.
const CAPACITY: u64 = 40;

pub fn header(id: SegmentId, created: i64, way: Way) -> Vec<u8> {
    Header {
        id,
        boot: Identity::of_this_process().boot,
        created,
        created_monotonic: 0,
        start_ticks: 0,
        pid: 1,
        way,
        capacity: CAPACITY,
        pid_namespace: 0,
    }
    .encode()
    .to_vec()
}

struct Open {
    id: SegmentId,
    path: PathBuf,
    file: File,
    way: Way,
    defined: HashSet<Vec<u8>>,
    introduced: HashSet<u64>,
}

impl Open {
    /// Takes the next slot of a map; None when it is full or sealed.
    fn reserve(&self) -> Option<u64> {
        let mut tail = [0; 8];
        self.file.read_exact_at(&mut tail, TAIL_OFFSET as u64).unwrap();
        let tail = u64::from_le_bytes(tail);
        (tail & SEALED == 0 && tail < CAPACITY).then(|| {
            self.file.write_all_at(&(tail + 1).to_le_bytes(), TAIL_OFFSET as u64).unwrap();
            tail
        })
    }

    /// Appends one record; false when it belongs to the next segment.
    fn append(&self, record: &Record) -> bool {
        let bytes = encode(record, Checksum::new(&self.id));
        match self.way {
            Way::Write => (&self.file).write_all(&bytes).map(|()| true).unwrap(),
            Way::Map => loop {
                let Some(slot) = self.reserve() else { return false };
                if commit(&self.file, slot, &bytes) {
                    return true;
                }
            },
        }
    }
}

/// What the compare-and-swap does, which nothing else can come between in one thread; false when a drainer has given up the slot.
fn commit(file: &File, slot: u64, bytes: &[u8]) -> bool {
    let at = HEADER_SIZE as u64 + slot * RECORD_SIZE as u64;
    let mut word = [0; 8];
    file.read_exact_at(&mut word, at).unwrap();
    let empty = word == [0; 8];
    if empty {
        file.write_all_at(bytes, at).unwrap();
    }
    empty
}

/// A slot that one of the processes that share a segment has reserved and not filled.
pub struct Stalled {
    writer: usize,
    id: SegmentId,
    slot: u64,
    /// Holds the lock, as the process would.
    file: File,
}

/// Writers of a spool; each has one current segment.
pub struct Writers {
    directory: PathBuf,
    current: HashMap<usize, Open>,
    /// Who the workers are that say it, with their label lists.
    workers: HashMap<u64, (Worker, Vec<u8>)>,
    made: u64,
}

impl Writers {
    pub fn new(directory: &Path) -> Writers {
        Writers { directory: directory.to_owned(), current: HashMap::new(), workers: HashMap::new(), made: 0 }
    }

    fn current(&mut self, writer: usize) -> &mut Open {
        let (made, directory) = (&mut self.made, &self.directory);
        self.current.entry(writer).or_insert_with(|| {
            *made += 1;
            let way = if made.is_multiple_of(3) { Way::Write } else { Way::Map };
            // Scattered, so that the order of ids is not that of creation.
            let id = u128::from(names::hash64(&made.to_le_bytes())).to_be_bytes();
            let path = directory.join(format!("{:032x}.seg", u128::from_be_bytes(id)));
            let mut options = OpenOptions::new();
            let file = options.read(true).create_new(true).append(way == Way::Write).write(true).open(&path).unwrap();
            file.lock_shared().unwrap();
            (&file).write_all(&header(id, *made as i64, way)).unwrap();
            if way == Way::Map {
                file.set_len(HEADER_SIZE as u64 + CAPACITY * RECORD_SIZE as u64).unwrap();
            }
            Open { id, path, file, way, defined: HashSet::new(), introduced: HashSet::new() }
        })
    }

    /// From now on this worker says who it is before its first START in a segment.
    pub fn know(&mut self, worker: Worker, list: Vec<u8>) {
        self.workers.insert(worker.worker, (worker, list));
    }

    fn introduce(&mut self, writer: usize, worker: u64) -> bool {
        let Some((record, list)) = self.workers.get(&worker).cloned() else { return true };
        if self.current(writer).introduced.contains(&worker) {
            return true;
        }
        let said = self.define(writer, &[&list]) && self.current(writer).append(&Record::Worker(record));
        if said {
            self.current(writer).introduced.insert(worker);
        }
        said
    }

    /// Appends a record, and the definitions it needs that its segment lacks.
    pub fn write(&mut self, writer: usize, record: &Record, needs: &[&[u8]]) {
        while !self.try_write(writer, record, needs) {
            self.rotate(writer);
        }
    }

    fn define(&mut self, writer: usize, needs: &[&[u8]]) -> bool {
        let open = self.current(writer);
        needs.iter().all(|list| {
            if open.defined.contains(*list) {
                return true;
            }
            let whole = definition(list).all(|part| open.append(&part));
            if whole {
                open.defined.insert(list.to_vec());
            }
            whole
        })
    }

    fn try_write(&mut self, writer: usize, record: &Record, needs: &[&[u8]]) -> bool {
        let said = match record {
            Record::Start(start) => self.introduce(writer, start.worker),
            _ => true,
        };
        said && self.define(writer, needs) && self.current(writer).append(record)
    }

    /// Reserves a slot for a record of this worker and stops there; None when the segment is not of the map way, or full.
    pub fn stall(&mut self, writer: usize, worker: u64, needs: &[&[u8]]) -> Option<Stalled> {
        let defined = self.introduce(writer, worker) && self.define(writer, needs);
        let open = self.current(writer);
        let slot = (defined && open.way == Way::Map).then(|| open.reserve()).flatten()?;
        let file = OpenOptions::new().read(true).write(true).open(&open.path).ok()?;
        file.lock_shared().unwrap();
        Some(Stalled { writer, id: open.id, slot, file })
    }

    /// The process goes on: it fills its slot, or writes the record elsewhere if that was given up.
    pub fn go_on(&mut self, stalled: Stalled, record: &Record, needs: &[&[u8]]) {
        if !commit(&stalled.file, stalled.slot, &encode(record, Checksum::new(&stalled.id))) {
            self.write(stalled.writer, record, needs);
        }
    }

    /// The writer's next record goes to another segment.
    pub fn rotate(&mut self, writer: usize) {
        self.current.remove(&writer);
    }
}
