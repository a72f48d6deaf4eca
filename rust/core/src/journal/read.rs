//! Reads segments of any writer, living or dead. Takes any bytes, changes nothing.

#![expect(unsafe_code, reason = "keeps a file from being closed that is not ours any more")]

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::directory::Entry;
use super::format::{
    Checksum, HEADER_SIZE, Header, HeaderRead, LARGEST_CAPACITY, RECORD_SIZE, SEALED, Slot, TAIL_OFFSET, Way, decode,
};
use super::own::Found;
use crate::kernel;

/// Slots read by one `pread`.
const CHUNK: usize = 1024;
/// A file with more slots was not written by appending: a spool holds 256 MiB.
const LARGEST_FILE: u64 = 4 * LARGEST_CAPACITY;

/// What a file of the spool turned out to be.
#[derive(Debug)]
pub enum Opened {
    /// A segment of this version.
    Readable(SegmentReader),
    /// No segment: another magic, size or checksum, no plain file, or one of another user.
    Damaged,
    /// A segment of this newer version.
    Newer(u32),
}

/// How far a segment can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Slots; in a map, some of them may be empty as yet.
    pub slots: u64,
    /// Nobody will add to them.
    pub is_last: bool,
}

/// An open segment. Holds no lock.
#[derive(Debug)]
pub struct SegmentReader {
    file: ManuallyDrop<File>,
    identity: (u64, u64),
    header: Header,
    checksum: Checksum,
}

impl SegmentReader {
    /// Opens a segment of this user by its path.
    pub fn open(path: &Path) -> io::Result<Opened> {
        SegmentReader::open_entry(&Entry::at(path)?)
    }

    /// Opens a segment.
    pub fn open_entry(entry: &Entry) -> io::Result<Opened> {
        let (file, about) = match entry.find(libc::O_RDONLY)? {
            Found::Own(file, about) => (file, about),
            Found::Planted => return Ok(Opened::Damaged),
            Found::None => return Err(io::Error::from(io::ErrorKind::NotFound)),
        };
        if about.length / RECORD_SIZE as u64 > LARGEST_FILE {
            return Ok(Opened::Damaged);
        }
        let identity = about.identity;
        let mut page = [0; HEADER_SIZE];
        let length = read_full(&file, &mut page, 0)?;
        Ok(match Header::decode(&page[..length]) {
            Ok(HeaderRead::Newer(version)) => Opened::Newer(version),
            Ok(HeaderRead::Known(header)) if length == HEADER_SIZE => Opened::Readable(SegmentReader {
                file: ManuallyDrop::new(file),
                identity,
                header,
                checksum: Checksum::new(&header.id),
            }),
            _ => Opened::Damaged,
        })
    }

    /// What the header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Device and inode of the file.
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// How many slots can be read now: up to the size of the file (write) or the tail (map).
    pub fn slots(&self) -> io::Result<u64> {
        Ok(self.extent(&self.header.boot)?.slots)
    }

    /// How many slots can be read now, in the boot with this id, and whether there will be no more.
    pub fn extent(&self, boot: &[u8; 16]) -> io::Result<Extent> {
        let filled = self.file.metadata()?.len().saturating_sub(HEADER_SIZE as u64) / RECORD_SIZE as u64;
        if self.header.way == Way::Write {
            return Ok(Extent { slots: filled, is_last: false });
        }
        let held = filled.min(self.header.capacity);
        if self.header.boot != *boot && self.is_abandoned()? {
            // The machine went down: header and records reached the disk in any order, and the tail may be of any time.
            return Ok(Extent { slots: self.behind_last(held)?, is_last: true });
        }
        let mut tail = [0; 8];
        self.file.read_exact_at(&mut tail, TAIL_OFFSET as u64)?;
        let tail = u64::from_le_bytes(tail);
        Ok(Extent { slots: (tail & !SEALED).min(held), is_last: tail & SEALED != 0 })
    }

    /// The number of the slot behind the last one that is not empty, of the first `count`.
    fn behind_last(&self, count: u64) -> io::Result<u64> {
        let mut behind = 0;
        for slot in self.records(0, count) {
            let (number, slot) = slot?;
            if slot != Slot::Empty {
                behind = number + 1;
            }
        }
        Ok(behind)
    }

    /// What lies in one slot now; None when the file is shorter.
    pub fn slot(&self, number: u64) -> io::Result<Option<Slot>> {
        Ok(self.records(number, number.saturating_add(1)).next().transpose()?.map(|(_, slot)| slot))
    }

    /// The slots from number `from` up to but without number `to`, in order; fewer when the file is shorter.
    pub fn records(&self, from: u64, to: u64) -> Records<'_> {
        Records { reader: self, next: from, to, buffer: Vec::new(), first: from, failed: false }
    }

    /// True when no process holds the lock: nobody can append any more.
    pub fn is_abandoned(&self) -> io::Result<bool> {
        match kernel::flock(&self.file, libc::LOCK_EX | libc::LOCK_NB) {
            Ok(()) => {
                let _ = kernel::flock(&self.file, libc::LOCK_UN);
                Ok(true)
            }
            Err(error) if error.raw_os_error() == Some(libc::EWOULDBLOCK) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Drop for SegmentReader {
    fn drop(&mut self) {
        // A job may have closed every descriptor; the file that has our number by now is not ours to close.
        if self.file.metadata().is_ok_and(|found| (found.dev(), found.ino()) == self.identity) {
            // SAFETY: the file is not used again.
            unsafe { ManuallyDrop::drop(&mut self.file) };
        }
    }
}

/// Iterator over the slots of a segment: their numbers and what lies there.
#[derive(Debug)]
pub struct Records<'a> {
    reader: &'a SegmentReader,
    next: u64,
    to: u64,
    buffer: Vec<u8>,
    first: u64,
    failed: bool,
}

impl Records<'_> {
    /// Reads the chunk that begins at the next slot.
    fn load(&mut self) -> io::Result<()> {
        let wanted = (self.to - self.next).min(CHUNK as u64) as usize * RECORD_SIZE;
        self.buffer.resize(wanted, 0);
        let offset = self.next.checked_mul(RECORD_SIZE as u64).and_then(|bytes| bytes.checked_add(HEADER_SIZE as u64));
        let length = match offset.filter(|offset| i64::try_from(*offset).is_ok()) {
            Some(offset) => read_full(&self.reader.file, &mut self.buffer, offset)?,
            None => 0,
        };
        self.buffer.truncate(length - length % RECORD_SIZE);
        self.first = self.next;
        Ok(())
    }
}

impl Iterator for Records<'_> {
    type Item = io::Result<(u64, Slot)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.to || self.failed {
            return None;
        }
        let mut at = (self.next - self.first) as usize * RECORD_SIZE;
        if at >= self.buffer.len() {
            if let Err(error) = self.load() {
                self.failed = true;
                return Some(Err(error));
            }
            at = 0;
        }
        let Some(bytes) = self.buffer.get(at..).and_then(|rest| rest.first_chunk()) else {
            self.to = self.next;
            return None;
        };
        let slot = (self.next, decode(bytes, self.reader.checksum));
        self.next += 1;
        Some(Ok(slot))
    }
}

/// Reads until the buffer is full or the file ends; answers how many bytes.
fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::journal::format::{Record, SegmentId, Stop, encode};
    use crate::journal::vectors::vector;

    const SEGMENT: SegmentId = [7; 16];

    /// A file in the temporary directory that goes when the test ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(content: &[u8]) -> Scratch {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!("qm-read-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, content).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            std::fs::remove_file(&self.0).unwrap();
        }
    }

    fn header(way: Way) -> Vec<u8> {
        Header {
            id: SEGMENT,
            boot: [0; 16],
            created: 0,
            created_monotonic: 0,
            start_ticks: 0,
            pid: 1,
            way,
            capacity: 1023,
            pid_namespace: 0,
        }
        .encode()
        .to_vec()
    }

    fn stop(worker: u64) -> [u8; RECORD_SIZE] {
        encode(&Record::Stop(Stop { at: 5, worker }), Checksum::new(&SEGMENT))
    }

    fn read(content: &[u8], from: u64, to: u64) -> Vec<(u64, Slot)> {
        let file = Scratch::new(content);
        let Opened::Readable(reader) = SegmentReader::open(&file.0).unwrap() else { panic!("not readable") };
        let to = to.min(reader.slots().unwrap());
        reader.records(from, to).map(Result::unwrap).collect()
    }

    #[test]
    fn a_damaged_slot_and_trailing_bytes_hide_no_record() {
        let mut content = header(Way::Write);
        for worker in 0..2_500 {
            content.extend(stop(worker));
        }
        content[HEADER_SIZE + 64 * 1_500 + 20] ^= 1;
        content.extend([1; 63]);
        let slots = read(&content, 3, u64::MAX);
        assert_eq!(slots.len(), 2_497);
        for (number, slot) in slots {
            let whole = Slot::Record(Record::Stop(Stop { at: 5, worker: number }));
            assert_eq!(slot, if number == 1_500 { Slot::Damaged } else { whole });
        }
    }

    #[test]
    fn a_map_is_read_up_to_its_tail() {
        let mut content = header(Way::Map);
        content[TAIL_OFFSET..TAIL_OFFSET + 8].copy_from_slice(&(SEALED | 3).to_le_bytes());
        for bytes in [stop(1), [0; 64], stop(2), stop(3)] {
            content.extend(bytes);
        }
        let slots = read(&content, 0, u64::MAX);
        assert_eq!(slots.len(), 3);
        assert_eq!(slots[1].1, Slot::Empty);
    }

    #[test]
    fn the_map_of_the_specification_is_read_up_to_its_tail_and_known_to_be_sealed() {
        let mut content = vector("MAP");
        content.resize(HEADER_SIZE, 0);
        content.extend(["START", "END", "HINT", "STOP"].map(vector).concat());
        let file = Scratch::new(&content);
        let Opened::Readable(reader) = SegmentReader::open(&file.0).unwrap() else { panic!("not readable") };
        let extent = reader.extent(&reader.header().boot).unwrap();
        assert_eq!((extent.slots, extent.is_last), (3, true));
        let slots = read(&content, 0, u64::MAX);
        assert!(matches!(
            slots[..],
            [
                (0, Slot::Record(Record::Start(_))),
                (1, Slot::Record(Record::End(_))),
                (2, Slot::Record(Record::Hint(_)))
            ]
        ));
    }

    #[test]
    fn a_lock_says_whether_somebody_may_append() {
        let file = Scratch::new(&header(Way::Write));
        let Opened::Readable(reader) = SegmentReader::open(&file.0).unwrap() else { panic!("not readable") };
        assert!(reader.is_abandoned().unwrap());
        let writer = File::open(&file.0).unwrap();
        writer.lock_shared().unwrap();
        assert!(!reader.is_abandoned().unwrap());
        drop(writer);
        assert!(reader.is_abandoned().unwrap());
    }

    #[test]
    fn a_directory_or_link_is_no_segment() {
        assert!(matches!(SegmentReader::open(&std::env::temp_dir()).unwrap(), Opened::Damaged));
        let target = Scratch::new(&header(Way::Write));
        let link = target.0.with_extension("link");
        std::os::unix::fs::symlink(&target.0, &link).unwrap();
        let refused = SegmentReader::open(&link);
        std::fs::remove_file(&link).unwrap();
        assert!(matches!(refused.unwrap(), Opened::Damaged));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_bytes_are_read(noise in prop::collection::vec(any::<u8>(), 0..6_000), headed: bool, map: bool, from in 0_u64..200) {
            let content = if headed { [header(if map { Way::Map } else { Way::Write }), noise].concat() } else { noise };
            let file = Scratch::new(&content);
            match SegmentReader::open(&file.0).unwrap() {
                Opened::Readable(reader) => {
                    prop_assert!(headed);
                    prop_assert!(reader.records(from, u64::MAX).all(|slot| slot.is_ok()));
                    prop_assert!(reader.records(u64::MAX - 1, u64::MAX).next().is_none());
                }
                Opened::Damaged => prop_assert!(!headed),
                Opened::Newer(_) => prop_assert!(false, "noise passed for a newer segment"),
            }
        }
    }
}
