//! The map way of appending: a file in shared memory, an atomic add and a compare-and-swap a record, no system call.

#![expect(unsafe_code, reason = "shares mapped memory with other processes")]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicI64, Ordering};

use super::descriptor::Descriptor;
use super::format::{Checksum, HEADER_SIZE, Header, Payload, RECORD_SIZE, SEALED, SegmentId, TAIL_OFFSET, Way};
use super::header::MAGIC;
use super::map::Map;
use super::place::FilePlace;
use super::segment::{Append, CHECK_US, Refused, capacity, lock_shared};
use super::spool::{Spool, c_name, hex};
use super::{guard, random};
use crate::kernel;
use crate::sampling::clock;
use crate::sampling::process::Identity;

const _: () = assert!(HEADER_SIZE.is_multiple_of(RECORD_SIZE) && TAIL_OFFSET.is_multiple_of(8));

/// This segment takes no more: the next one will.
#[derive(Debug)]
pub struct Ended;

/// A segment that this process, or one it was forked from, has made and mapped.
#[derive(Debug)]
pub struct MapSegment {
    map: Map,
    capacity: u64,
    bytes: u64,
    checksum: Checksum,
    checked_at: AtomicI64,
    place: FilePlace,
    id: SegmentId,
    /// Kept for its lock alone, which the mapping holds as well, should a job close the descriptor.
    _file: Descriptor,
}

impl MapSegment {
    /// Makes a segment of `bytes`, all of them allocated. An error leaves nothing behind.
    pub fn create(spool: &Spool, identity: &Identity, bytes: u64) -> io::Result<MapSegment> {
        let id = random::bytes();
        let (temporary, name) = (c_name(&format!(".{}.tmp", hex(&id)))?, format!("{}.seg", hex(&id)));
        let header = Header::new(id, identity, Way::Map, capacity(bytes));
        let bytes = HEADER_SIZE as u64 + header.capacity * RECORD_SIZE as u64;
        if bytes > largest_file() {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        let file = spool.create(&temporary, libc::O_RDWR)?;
        let made = (|| {
            kernel::keep_in_place(&file);
            allocate(&file, bytes)?;
            lock_shared(&file)?;
            let map = Map::new(&file, 0, bytes as usize)?;
            map.populate();
            let page = header.encode();
            for (at, word) in page.as_chunks::<8>().0.iter().enumerate() {
                map.word(at * 8).store(u64::from_le_bytes(*word), Ordering::Relaxed);
            }
            let mut seen = [0; HEADER_SIZE];
            file.read_exact_at(&mut seen, 0)?;
            if seen != page {
                return Err(io::Error::other("a read does not see what a map stores"));
            }
            let place = FilePlace::of(&file, &spool.path().join(&name))?;
            let file = Descriptor::keep(file)?;
            spool.rename(&temporary, &c_name(&name)?)?;
            Ok(MapSegment {
                map,
                capacity: header.capacity,
                bytes,
                checksum: Checksum::new(&id),
                checked_at: AtomicI64::new(clock::wall_us()),
                place,
                id,
                _file: file,
            })
        })();
        if made.is_err() {
            spool.remove(&temporary);
        }
        made
    }

    /// Whether the file is still where a drainer reads it, and as long as it was. Threads that ask at once do no harm.
    #[cold]
    fn check(&self, now: i64) -> Result<(), Ended> {
        self.checked_at.store(now, Ordering::Relaxed);
        // Cut to nothing and grown again, it is of the same length.
        let begins_well = || self.map.word(0).load(Ordering::Relaxed) == u64::from_le_bytes(*MAGIC);
        if self.place.is_whole(self.bytes) && begins_well() && guard::arm() {
            return Ok(());
        }
        // Also for siblings, which would find it out later.
        self.map.word(TAIL_OFFSET).fetch_or(SEALED, Ordering::Relaxed);
        Err(Ended)
    }
}

impl MapSegment {
    /// As [`Append::append`], inlined: the words of the record go from registers into the map.
    #[inline(always)]
    pub fn append_at_once(&self, payload: Payload) -> Result<(), Ended> {
        let words = payload.words(self.checksum);
        if let Some(at) = payload.at()
            && at.abs_diff(self.checked_at.load(Ordering::Relaxed)) >= CHECK_US
        {
            self.check(at)?;
        }
        let lines = self.map.lines();
        let tail = &lines[TAIL_OFFSET / RECORD_SIZE][TAIL_OFFSET % RECORD_SIZE / 8];
        loop {
            // SEALED makes it larger than any capacity. Looking first keeps the tail of a full or sealed segment as it is.
            if tail.load(Ordering::Relaxed) >= self.capacity {
                return Err(Ended);
            }
            let slot = tail.fetch_add(1, Ordering::Relaxed);
            if slot >= self.capacity {
                return Err(Ended);
            }
            let line = &lines[HEADER_SIZE / RECORD_SIZE + slot as usize];
            let [commit, fields @ ..] = line;
            let [word, values @ ..] = words;
            for at in 0..fields.len() {
                fields[at].store(values[at], Ordering::Relaxed);
            }
            let committed = commit.compare_exchange(0, word, Ordering::Release, Ordering::Relaxed).is_ok();
            if self.map.is_broken() {
                return Err(Ended);
            }
            // Else a drainer has waited for this slot in vain and given it up: the record goes to another one.
            if committed {
                return Ok(());
            }
        }
    }
}

impl Append for MapSegment {
    fn append(&self, payload: &Payload) -> Result<(), Refused> {
        self.append_at_once(*payload).map_err(|Ended| Refused::Ended)
    }

    fn forked(&self) {}

    fn doubt(&self) {
        self.checked_at.store(i64::MIN, Ordering::Relaxed);
    }

    fn id(&self) -> &SegmentId {
        &self.id
    }

    fn way(&self) -> Way {
        Way::Map
    }

    fn is_past_half(&self) -> bool {
        self.map.word(TAIL_OFFSET).load(Ordering::Relaxed) > self.capacity / 2
    }
}

/// Gives the file all its blocks now, since a store to one that the disk has no room for is a SIGBUS.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    loop {
        match kernel::allocate(file, bytes as libc::off_t) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Above this size the kernel would send SIGXFSZ.
fn largest_file() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit, which is ours.
    if unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &mut limit) } != 0 {
        return u64::MAX;
    }
    limit.rlim_cur
}

#[cfg(test)]
#[path = "map_segment_tests.rs"]
mod tests;
