//! What a drainer changes in a map of others: an empty slot becomes a tombstone, a tail is sealed, and what was never used is given
//! back. Only in files of the owners of the spool.

use std::fs::File;
use std::io;
use std::sync::atomic::Ordering;

use super::directory::Entry;
use super::format::{HEADER_SIZE, RECORD_SIZE, SEALED, TAIL_OFFSET, TOMBSTONE, Way};
use super::map::Map;
use super::own::Found;
use super::read::SegmentReader;

/// Gives up a slot that is reserved and empty: whoever reserved it writes its record to another one. False when it is filled.
pub fn tombstone(entry: &Entry, reader: &SegmentReader, slot: u64) -> io::Result<bool> {
    let offset = slot
        .checked_mul(RECORD_SIZE as u64)
        .filter(|_| slot < reader.header().capacity)
        .and_then(|bytes| bytes.checked_add(HEADER_SIZE as u64))
        .ok_or(io::ErrorKind::InvalidInput)?;
    let file = open(entry, reader, offset + RECORD_SIZE as u64)?;
    let map = Map::new(&file, offset, RECORD_SIZE)?;
    let given_up = map.word(0).compare_exchange(0, TOMBSTONE, Ordering::AcqRel, Ordering::Acquire).is_ok();
    whole(&map)?;
    Ok(given_up)
}

/// Sees to it that nobody appends any more, and answers how many slots were reserved until then: none will be reserved after.
pub fn seal(entry: &Entry, reader: &SegmentReader) -> io::Result<u64> {
    let file = open(entry, reader, HEADER_SIZE as u64)?;
    let map = Map::new(&file, 0, HEADER_SIZE)?;
    let tail = map.word(TAIL_OFFSET).fetch_or(SEALED, Ordering::AcqRel) & !SEALED;
    whole(&map)?;
    Ok(tail.min(reader.header().capacity))
}

/// Cuts a segment that is sealed, and mapped by nobody, behind so many slots.
pub fn trim(entry: &Entry, reader: &SegmentReader, slots: u64) -> io::Result<()> {
    let bytes = HEADER_SIZE as u64 + slots.min(reader.header().capacity) * RECORD_SIZE as u64;
    let file = open(entry, reader, HEADER_SIZE as u64)?;
    if file.metadata()?.len() > bytes { file.set_len(bytes) } else { Ok(()) }
}

/// Opens the file that the reader reads, for writing.
fn open(entry: &Entry, reader: &SegmentReader, least: u64) -> io::Result<File> {
    let (file, about) = match entry.find(libc::O_RDWR)? {
        Found::Own(file, about) => (file, about),
        Found::Planted => return Err(io::Error::from(io::ErrorKind::PermissionDenied)),
        Found::None => return Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    if about.identity != reader.identity() || reader.header().way != Way::Map {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    if about.length < least {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    Ok(file)
}

/// An error when the file was cut while it was mapped.
fn whole(map: &Map) -> io::Result<()> {
    if map.is_broken() { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) } else { Ok(()) }
}
