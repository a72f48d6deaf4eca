//! The page of a worker: `docs/journal-format.md`, section 5.

use queue_metrics_core::heartbeat::{
    COUNTERS, COUNTERS_OFFSET, Content, HEARTBEAT_OFFSET, PAGE_MAGIC, PAGE_SIZE, PAGE_VERSION, read_page,
};

use super::{Target, heartbeat};

pub const TARGET: Target = Target { name: "page", longest: PAGE_SIZE + 64, bytes: 32_768, bytes_each: 8, run, seeds };

fn run(input: &[u8]) {
    check(input);
    let mut sound = input.to_vec();
    sign(&mut sound);
    check(&sound);
}

fn check(copy: &[u8]) {
    let sequence = copy.get(16..24).and_then(|bytes| bytes.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let Ok(page) = read_page(copy, sequence) else { return };
    assert_eq!(page.content == Content::Writing, sequence % 2 == 1);
    if let Ok(torn) = read_page(copy, sequence.wrapping_add(2)) {
        assert_eq!(torn.content, Content::Writing);
        assert_eq!(torn.counters, page.counters);
    }
    if let Content::Whole(heartbeat) = &page.content {
        let again = around(&heartbeat.encode(), sequence, &page.counters);
        assert_eq!(read_page(&again, sequence).unwrap(), page);
    }
}

fn around(heartbeat: &[u8], sequence: u64, counters: &[u64; COUNTERS]) -> Vec<u8> {
    let mut page = vec![0; PAGE_SIZE];
    page[..8].copy_from_slice(&PAGE_MAGIC);
    page[8..12].copy_from_slice(&PAGE_VERSION.to_le_bytes());
    page[12..16].copy_from_slice(&(heartbeat.len() as u32).to_le_bytes());
    page[16..24].copy_from_slice(&sequence.to_le_bytes());
    page[HEARTBEAT_OFFSET..HEARTBEAT_OFFSET + heartbeat.len()].copy_from_slice(heartbeat);
    for (index, counter) in counters.iter().enumerate() {
        let at = COUNTERS_OFFSET + 8 * index;
        page[at..at + 8].copy_from_slice(&counter.to_le_bytes());
    }
    page
}

/// Makes a page of version 1 out of any bytes, with a heartbeat of version 1 that may be cut anywhere.
pub fn sign(page: &mut Vec<u8>) {
    page.resize(page.len().max(PAGE_SIZE), 0);
    page[..8].copy_from_slice(&PAGE_MAGIC);
    page[8..12].copy_from_slice(&PAGE_VERSION.to_le_bytes());
    page[14..16].fill(0);
    page[16] &= 0xfe;
    page[HEARTBEAT_OFFSET..HEARTBEAT_OFFSET + 2].copy_from_slice(&1_u16.to_le_bytes());
    page[HEARTBEAT_OFFSET + 2] = 1 + page[HEARTBEAT_OFFSET + 2] % 5;
}

fn seeds() -> Vec<Vec<u8>> {
    let heartbeat = heartbeat::example().encode();
    vec![
        around(&heartbeat, 4, &[0; COUNTERS]),
        around(&heartbeat, 5, &[u64::MAX; COUNTERS]),
        vec![0; PAGE_SIZE],
        vec![1; 20],
    ]
}
