//! The page that holds the heartbeat of a worker: `docs/journal-format.md` 5, read. The recorder writes it.

use super::Heartbeat;
use crate::error::{Error, Result};

/// Size of a worker page.
pub const PAGE_SIZE: usize = 4096;
/// Magic of a worker page.
pub const PAGE_MAGIC: [u8; 8] = *b"QMWORKER";
/// Version of a worker page.
pub const PAGE_VERSION: u32 = 1;
/// Offset of the heartbeat in a page.
pub const HEARTBEAT_OFFSET: usize = 64;
/// Offset of the counters in a page.
pub const COUNTERS_OFFSET: usize = 3_584;
/// Number of counters: 15 reasons of dropped records, then hook errors.
pub const COUNTERS: usize = 16;
/// Index of the counter of hook errors.
pub const HOOK_ERRORS: usize = 15;

/// What a worker page holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The heartbeat, as far as it can be read.
    pub content: Content,
    /// Dropped records by reason, then hook errors.
    pub counters: [u64; COUNTERS],
}

/// The heartbeat of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It is whole.
    Whole(Box<Heartbeat>),
    /// It was being written: read the page again.
    Writing,
    /// Its version is newer than this package; the page, and so its counters, are not.
    Newer,
}

/// Reads a copy of a worker page; takes any bytes. The copy must have been made by one `read`, so that a page being written
/// shows by an odd or changed sequence: give the sequence that was read *after* the copy.
pub fn read_page(copy: &[u8], sequence_after: u64) -> Result<Page> {
    let broken = |at: usize| Error::Decode { what: "a worker page", at };
    let page: &[u8; PAGE_SIZE] = copy.first_chunk().ok_or(broken(copy.len()))?;
    let half = |at: usize| u32::from_le_bytes(*page[at..].first_chunk().unwrap_or(&[0; 4]));
    let word = |at: usize| u64::from_le_bytes(*page[at..].first_chunk().unwrap_or(&[0; 8]));
    if page[..8] != PAGE_MAGIC {
        return Err(broken(0));
    }
    match half(8) {
        PAGE_VERSION => {}
        version if version > PAGE_VERSION => return Err(Error::Newer { what: "a worker page", version }),
        _ => return Err(broken(8)),
    }
    let counters = std::array::from_fn(|index| word(COUNTERS_OFFSET + 8 * index));
    let sequence = word(16);
    if sequence % 2 == 1 || sequence != sequence_after {
        return Ok(Page { content: Content::Writing, counters });
    }
    let end = HEARTBEAT_OFFSET.saturating_add(half(12) as usize);
    let bytes = page.get(HEARTBEAT_OFFSET..end).filter(|_| end <= COUNTERS_OFFSET).ok_or(broken(12))?;
    let content = match Heartbeat::decode(bytes) {
        Ok(heartbeat) => Content::Whole(Box::new(heartbeat)),
        Err(Error::Newer { .. }) => Content::Newer,
        Err(error) => return Err(error),
    };
    Ok(Page { content, counters })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::heartbeat::tests::example;
    use crate::heartbeat::{NO_TIME, NO_VALUE};
    use crate::journal::vectors::{assert_vector, vector};

    fn page(heartbeat: &[u8]) -> [u8; PAGE_SIZE] {
        let mut page = [0; PAGE_SIZE];
        page[..8].copy_from_slice(&PAGE_MAGIC);
        page[8] = 1;
        page[12..16].copy_from_slice(&(heartbeat.len() as u32).to_le_bytes());
        page[HEARTBEAT_OFFSET..HEARTBEAT_OFFSET + heartbeat.len()].copy_from_slice(heartbeat);
        page[COUNTERS_OFFSET + 8 * HOOK_ERRORS] = 7;
        page
    }

    #[test]
    fn a_page_being_written_has_counters_but_no_heartbeat() {
        let heartbeat = example(["h", "l", "c", "q", "t", "j"].map(String::from));
        let mut page = page(&heartbeat.encode());
        assert_eq!(read_page(&page, 0).unwrap().content, Content::Whole(Box::new(heartbeat)));
        assert_eq!(read_page(&page, 2).unwrap().content, Content::Writing);
        page[16] = 1;
        let read = read_page(&page, 1).unwrap();
        assert_eq!((read.content, read.counters[HOOK_ERRORS]), (Content::Writing, 7));
    }

    #[test]
    fn what_is_newer_is_no_damage() {
        let mut page = page(&example(["h", "l", "c", "q", "t", "j"].map(String::from)).encode());
        page[HEARTBEAT_OFFSET] = 2;
        let read = read_page(&page, 0).unwrap();
        assert_eq!((read.content, read.counters[HOOK_ERRORS]), (Content::Newer, 7));
        page[HEARTBEAT_OFFSET] = 0;
        assert!(matches!(read_page(&page, 0), Err(Error::Decode { .. })));
        page[8] = 2;
        assert!(matches!(read_page(&page, 0), Err(Error::Newer { version: 2, .. })));
        page[8] = 0;
        assert!(matches!(read_page(&page, 0), Err(Error::Decode { at: 8, .. })));
    }

    #[test]
    fn the_page_of_the_specification_is_read() {
        const AT: i64 = 1_700_000_000_000_000;
        let heartbeat = Heartbeat {
            process_started: AT - 60_000_000,
            written: AT,
            job_started: AT - 2_000_000,
            state_changed: AT - 2_500_000,
            busy: 41_000_000,
            idle: 18_500_000,
            finished: 120,
            failed: 7,
            rss: 50 << 20,
            rss_peak: 64 << 20,
            cpu: 30_250_000,
            boot: 0x1716_1514_1312_1110,
            seen: NO_TIME,
            cpu_spent: NO_VALUE,
            cpu_over: NO_VALUE,
            ..example(["höst-1", "celery", "broker", "default", "app.send", "job-1"].map(String::from))
        };
        assert_vector("HEARTBEAT", &heartbeat.encode());
        let mut page = [0; PAGE_SIZE];
        for (at, name) in [(0, "PAGE"), (HEARTBEAT_OFFSET, "HEARTBEAT"), (COUNTERS_OFFSET, "COUNTERS")] {
            let part = vector(name);
            page[at..at + part.len()].copy_from_slice(&part);
        }
        let mut counters = [0; COUNTERS];
        (counters[0], counters[5], counters[HOOK_ERRORS]) = (3, 1, 2);
        assert_vector("COUNTERS", &counters.map(u64::to_le_bytes).concat());
        assert_eq!(read_page(&page, 6).unwrap(), Page { content: Content::Whole(Box::new(heartbeat)), counters });
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(mut noise in prop::collection::vec(any::<u8>(), 0..4_200), headed: bool, after: u64) {
            if headed && noise.len() >= 64 {
                noise[..12].copy_from_slice(b"QMWORKER\x01\0\0\0");
            }
            let _ = read_page(&noise, after);
        }
    }
}
