//! The segments in a spool: what is there, how long, and how far it was read. Sets aside what cannot be read.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{CStr, CString};
use std::io;
use std::sync::Arc;

use crate::journal::directory::{Directory, Entry};
use crate::journal::format::{HEADER_SIZE, Header, RECORD_SIZE, SegmentId, Way, Worker};
use crate::journal::own::About;
use crate::journal::read::{Opened, SegmentReader};
use crate::journal::repair;
use crate::sampling::clock::wall_us;
use crate::sampling::process::{boot_id, boot_word};

/// Where files without a readable header go.
const DAMAGED: &CStr = c"damaged";

/// What is known about one segment.
#[derive(Debug)]
pub struct Segment {
    entry: Entry,
    identity: (u64, u64),
    header: Header,
    /// Slots seen by the last look.
    pub size: u64,
    /// Slots seen by the look before: what lies below was written, or in a map reserved, before the last look began.
    pub size_before: u64,
    /// There will be no more slots.
    pub is_last: bool,
    /// Its writers are known to have run before the machine was started last.
    pub is_of_another_boot: bool,
    /// Slots read.
    pub position: u64,
    /// Slots read when the last look began.
    pub position_before: u64,
    /// Slots that the mark of the store says are counted.
    pub committed: u64,
    /// Bytes that the file takes.
    pub bytes: u64,
    /// Key of the END that it is held back at.
    pub held: Option<u64>,
    /// Slot of the END that it was held back at last, and the number of the look before that.
    pub met: Option<(u64, u64)>,
    /// Slot that was reserved and empty, and since when, monotonic ns.
    pub hole: Option<(u64, u64)>,
    /// Slot whose END is a duplicate although its START was seen: nobody else can break the circle.
    pub released: Option<u64>,
    /// Since when it was superfluous, µs.
    pub superfluous_since: Option<i64>,
    /// Ids defined in it.
    pub defined: HashSet<u64>,
    /// Keys of workers that wrote a WORKER or START in it.
    pub workers: HashSet<u64>,
}

impl Segment {
    /// Slots seen and not read.
    pub fn unread(&self) -> u64 {
        self.size.saturating_sub(self.position)
    }

    /// True when this is the file that was taken up, and still ours.
    fn is_file(&self, about: &About) -> bool {
        about.identity == self.identity && self.entry.directory.owners().have(about)
    }

    /// True when this worker wrote in it, or made it: its next record will be here, and until then its lock alone says that it lives.
    pub fn is_of(&self, worker: &Worker) -> bool {
        let made = (self.header.pid, self.header.start_ticks, self.header.pid_namespace, boot_word(&self.header.boot));
        self.workers.contains(&worker.worker)
            || made == (worker.pid, worker.start_ticks, worker.pid_namespace, worker.boot)
    }

    /// True when nothing behind an empty slot is read as yet.
    pub fn waits_for_slot(&self) -> bool {
        self.unread() > 0 && self.hole.is_some_and(|(slot, _)| slot == self.position)
    }

    /// Opens it; None when it has gone, is no segment any more, or another file stands in its place.
    pub fn open(&self) -> io::Result<Option<SegmentReader>> {
        match open(&self.entry)? {
            Some(Opened::Readable(reader)) if reader.identity() == self.identity => Ok(Some(reader)),
            _ => Ok(None),
        }
    }

    /// True when no process can append any more.
    pub fn is_abandoned(&self) -> io::Result<bool> {
        Ok(match self.open()? {
            Some(reader) => reader.is_abandoned()?,
            None => true,
        })
    }

    /// True when what lies in this slot was there before the last look, the one of this number, began.
    pub fn is_older_than_look(&self, slot: u64, look: u64) -> bool {
        match self.header.way {
            Way::Write => slot < self.size_before,
            // Reserved is not filled: only what was met is known to be there.
            Way::Map => self.met.is_some_and(|(met, before)| met == slot && before < look),
        }
    }

    /// True when all that can be seen is counted, and was there before the last look began.
    pub fn is_whole(&self) -> bool {
        let settled = self.header.way == Way::Write || self.position_before >= self.size;
        self.committed >= self.size && self.size == self.size_before && settled
    }

    /// True when nobody can append any more and all of it is counted. A map is sealed for that, also under the hands of a living worker,
    /// which goes on in another segment; else the lock must be free, and the size is taken after that.
    pub fn is_finished(&self) -> io::Result<bool> {
        let Some(reader) = self.open()? else { return Ok(false) };
        if self.is_last {
            return Ok(self.size <= self.committed);
        }
        if self.header.way == Way::Map
            && let Ok(reserved) = repair::seal(&self.entry, &reader)
        {
            return Ok(reserved <= self.committed);
        }
        Ok(reader.is_abandoned()? && reader.slots()? <= self.committed)
    }

    /// Gives back what a map of which all is counted has allocated and nobody will use. Leaves a failure to the next time.
    pub fn trim(&self) {
        if self.header.way == Way::Map
            && self.bytes > (HEADER_SIZE as u64 + self.size * RECORD_SIZE as u64).next_multiple_of(4096)
        {
            let _ = self.open().map(|reader| {
                let Some(reader) = reader.filter(|reader| reader.is_abandoned().unwrap_or(false)) else { return };
                if repair::seal(&self.entry, &reader).is_ok_and(|reserved| reserved <= self.committed) {
                    let _ = repair::trim(&self.entry, &reader, self.size);
                }
            });
        }
    }

    /// Gives up a reserved and empty slot; false when it is filled.
    pub fn give_up(&self, reader: &SegmentReader, slot: u64) -> io::Result<bool> {
        repair::tombstone(&self.entry, reader, slot)
    }

    /// Deletes the file.
    pub fn delete(&self) -> io::Result<()> {
        self.entry.directory.remove(&self.entry.name)
    }
}

/// What a look at the spool brought.
#[derive(Debug, Default)]
pub struct Look {
    /// New segments, oldest first.
    pub found: Vec<SegmentId>,
    /// Segments that somebody else removed.
    pub gone: Vec<Segment>,
}

/// All segments of a spool.
#[derive(Debug)]
pub struct Segments {
    spool: Arc<Directory>,
    /// Of the kernel; None when it tells none, or as long as that cannot be read.
    boot: Option<[u8; 16]>,
    known: BTreeMap<SegmentId, Segment>,
    /// Oldest first: a START usually lies in an older segment than its END.
    order: Vec<SegmentId>,
    /// Segments of a newer version, left alone.
    pub newer: usize,
    /// What is no segment and could not be set aside.
    left: usize,
}

impl Segments {
    /// Nothing is known yet.
    pub fn new(spool: &Arc<Directory>) -> Segments {
        Segments { spool: Arc::clone(spool), boot: None, known: BTreeMap::new(), order: Vec::new(), newer: 0, left: 0 }
    }

    /// Goes on in another descriptor of the spool, or in another directory that took its place.
    pub fn go_on_in(&mut self, spool: &Arc<Directory>) {
        self.spool = Arc::clone(spool);
        self.known.values_mut().for_each(|segment| segment.entry.directory = Arc::clone(spool));
    }

    /// One by its id.
    pub fn get(&self, id: &SegmentId) -> Option<&Segment> {
        self.known.get(id)
    }

    /// One by its id.
    pub fn get_mut(&mut self, id: &SegmentId) -> Option<&mut Segment> {
        self.known.get_mut(id)
    }

    /// All, in order of ids.
    pub fn iter(&self) -> impl Iterator<Item = (&SegmentId, &Segment)> {
        self.known.iter()
    }

    /// All.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&SegmentId, &mut Segment)> {
        self.known.iter_mut()
    }

    /// Ids, oldest segment first.
    pub fn order(&self) -> Vec<SegmentId> {
        self.order.clone()
    }

    /// Slots seen and not read.
    pub fn unread(&self) -> u64 {
        self.known.values().map(Segment::unread).sum()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.known.values().map(|segment| segment.bytes).sum()
    }

    /// Forgets one.
    pub fn remove(&mut self, id: &SegmentId) -> Option<Segment> {
        self.order.retain(|known| known != id);
        self.known.remove(id)
    }

    /// How many files were set aside, ever, and how many are left alone that should be.
    pub fn set_aside(&self) -> usize {
        let names = self.spool.inner(DAMAGED).and_then(|aside| aside.names().ok());
        self.left + names.map_or(0, |names| names.len())
    }

    /// Lists the spool and takes all sizes anew.
    pub fn look(&mut self) -> io::Result<Look> {
        let mut look = Look::default();
        let mut present = HashSet::new();
        (self.newer, self.left) = (0, 0);
        self.boot = self.boot.or_else(|| boot_id().ok().flatten());
        for name in self.spool.names()? {
            let Some(digits) = name.to_str().ok().and_then(|name| name.strip_suffix(".seg")) else { continue };
            let id = u128::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 32).map(u128::to_be_bytes);
            // It may have gone since the directory was listed.
            let Some(about) = self.spool.look_at(&name)? else { continue };
            match id {
                Some(id) if self.known.get(&id).is_some_and(|known| known.is_file(&about)) => {
                    present.insert(id);
                }
                id => {
                    // Another file has taken its place.
                    look.gone.extend(id.and_then(|id| self.remove(&id)));
                    if let Some(found) = self.find(name, id)? {
                        present.insert(found);
                        look.found.push(found);
                    }
                }
            }
        }
        let gone: Vec<SegmentId> = self.known.keys().filter(|id| !present.contains(*id)).copied().collect();
        look.gone = gone.iter().filter_map(|id| self.remove(id)).collect();
        for segment in self.known.values_mut() {
            measure(segment, self.boot)?;
        }
        self.order = self.known.keys().copied().collect();
        self.order.sort_by_key(|id| (self.known.get(id).map(|segment| segment.header.created), *id));
        look.found.sort_by_key(|id| self.order.iter().position(|known| known == id));
        Ok(look)
    }

    /// Takes up a new file, or sets it aside.
    fn find(&mut self, name: CString, id: Option<SegmentId>) -> io::Result<Option<SegmentId>> {
        let entry = Entry { directory: Arc::clone(&self.spool), name };
        match open(&entry)? {
            Some(Opened::Readable(reader)) if Some(reader.header().id) == id => {
                let header = *reader.header();
                let segment = Segment {
                    entry,
                    identity: reader.identity(),
                    header,
                    size: 0,
                    size_before: 0,
                    is_last: false,
                    is_of_another_boot: false,
                    position: 0,
                    position_before: 0,
                    committed: 0,
                    bytes: 0,
                    held: None,
                    met: None,
                    hole: None,
                    released: None,
                    superfluous_since: None,
                    defined: HashSet::new(),
                    workers: HashSet::new(),
                };
                self.known.insert(header.id, segment);
                Ok(id)
            }
            Some(Opened::Newer(_)) => {
                self.newer += 1;
                Ok(None)
            }
            // It has gone since the directory was listed.
            None => Ok(None),
            Some(Opened::Readable(_) | Opened::Damaged) => {
                // A directory of another user, for one, cannot be moved: it is passed over at each look.
                self.left += usize::from(!put_aside(&self.spool, &entry.name));
                Ok(None)
            }
        }
    }

    /// Removes what a process that died while it made a file left behind an hour ago.
    pub fn sweep(&self) -> io::Result<()> {
        for name in self.spool.names()? {
            let is_temporary = name.to_bytes().starts_with(b".") && name.to_bytes().ends_with(b".tmp");
            let is_old = |about: About| about.is_file() && wall_us() / 1_000_000 - about.modified >= 3_600;
            if is_temporary && self.spool.look_at(&name)?.is_some_and(is_old) {
                // Somebody else may have been faster.
                let _ = self.spool.remove(&name);
            }
        }
        Ok(())
    }
}

/// Opens a file of the spool; None when there is none.
fn open(entry: &Entry) -> io::Result<Option<Opened>> {
    match SegmentReader::open_entry(entry) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Moves what should not be in a spool to where nobody reads it; false when that cannot be done.
pub fn put_aside(spool: &Directory, name: &CStr) -> bool {
    spool.make_inner(DAMAGED).is_some_and(|aside| spool.move_to(name, &aside).is_ok())
}

/// Takes the size of a segment anew. A file that got shorter keeps its position: what was counted stays counted.
fn measure(segment: &mut Segment, boot: Option<[u8; 16]>) -> io::Result<()> {
    let (length, bytes) =
        segment.entry.directory.look_at(&segment.entry.name)?.map_or((0, 0), |about| (about.length, about.taken));
    segment.size_before = segment.size;
    segment.position_before = segment.position;
    segment.bytes = bytes;
    segment.is_of_another_boot = is_another(&segment.header.boot, boot);
    match segment.header.way {
        Way::Write => segment.size = length.saturating_sub(HEADER_SIZE as u64) / RECORD_SIZE as u64,
        Way::Map if segment.is_last => {}
        Way::Map => {
            let extent = segment.open()?.map(|reader| reader.extent(&boot.unwrap_or_default())).transpose()?;
            segment.size = extent.map_or(0, |extent| extent.slots);
            segment.is_last = extent.is_some_and(|extent| extent.is_last);
        }
    }
    Ok(())
}

/// True when both boots are known and differ: what nobody knows is no reason to give up a slot that a process may be about to fill.
fn is_another(of_segment: &[u8; 16], now: Option<[u8; 16]>) -> bool {
    *of_segment != [0; 16] && now.is_some_and(|now| now != *of_segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_that_is_not_known_is_no_other_one() {
        let (one, other, unknown) = ([1; 16], [2; 16], [0; 16]);
        assert!(is_another(&one, Some(other)));
        assert!(!is_another(&one, Some(one)));
        assert!(!is_another(&one, None));
        assert!(!is_another(&unknown, Some(one)));
    }
}
