//! The header of a segment.

use super::format::{RECORD_SIZE, array};
use crate::error::{Error, Result};
use crate::sampling::clock;
use crate::sampling::process::Identity;

/// Size of the header; slot 0 lies behind it.
pub const HEADER_SIZE: usize = 4096;
/// The bit of a map's tail that says that nobody appends any more.
pub const SEALED: u64 = 1 << 63;
/// No segment holds more records: 256 MiB.
pub const LARGEST_CAPACITY: u64 = 1 << 22;
/// The first bytes of a segment.
pub const MAGIC: &[u8; 8] = b"QMSEGMNT";
const VERSION: u32 = 1;
const BYTE_ORDER: u32 = 0x0A0B_0C0D;
const CHECKED: usize = 124;
/// Offset of the tail word of a map in the header.
pub const TAIL_OFFSET: usize = 128;
/// Random id of a segment.
pub type SegmentId = [u8; 16];

/// How records are appended to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Way {
    /// One `write(2)` a record.
    Write = 0,
    /// A shared mapping.
    Map = 1,
}

impl Way {
    /// Its name for users.
    pub fn name(self) -> &'static str {
        match self {
            Way::Write => "write",
            Way::Map => "map",
        }
    }
}

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Id of the segment.
    pub id: SegmentId,
    /// Boot id of the kernel, zeros when unknown.
    pub boot: [u8; 16],
    /// Created, µs.
    pub created: i64,
    /// Created, monotonic ns.
    pub created_monotonic: u64,
    /// Start time of the creating process, clock ticks since boot.
    pub start_ticks: u64,
    /// Pid of the creating process.
    pub pid: u32,
    /// How records are appended.
    pub way: Way,
    /// Capacity in records: exact for map, a soft bound for write.
    pub capacity: u64,
    /// Inode of the pid namespace of the creator, 0 when unknown.
    pub pid_namespace: u64,
}

/// What the header of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderRead {
    /// A segment of this version.
    Known(Header),
    /// A segment of this newer version, whatever else its header holds.
    Newer(u32),
}

impl Header {
    /// The header of a segment that this process makes now.
    pub fn new(id: SegmentId, identity: &Identity, way: Way, capacity: u64) -> Header {
        Header {
            id,
            boot: identity.boot,
            created: clock::wall_us(),
            created_monotonic: clock::monotonic_ns(),
            start_ticks: identity.start_ticks,
            pid: identity.pid,
            way,
            capacity,
            pid_namespace: identity.pid_namespace,
        }
    }

    /// The header page.
    pub fn encode(&self) -> [u8; HEADER_SIZE] {
        let mut page = [0; HEADER_SIZE];
        let mut put = |at: usize, bytes: &[u8]| page[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, MAGIC);
        put(8, &VERSION.to_le_bytes());
        put(12, &BYTE_ORDER.to_le_bytes());
        put(16, &self.id);
        put(32, &self.boot);
        put(48, &self.created.to_le_bytes());
        put(56, &self.created_monotonic.to_le_bytes());
        put(64, &self.start_ticks.to_le_bytes());
        put(72, &self.pid.to_le_bytes());
        put(76, &(RECORD_SIZE as u32).to_le_bytes());
        put(80, &(HEADER_SIZE as u32).to_le_bytes());
        put(84, &(self.way as u32).to_le_bytes());
        put(88, &self.capacity.to_le_bytes());
        put(96, &self.pid_namespace.to_le_bytes());
        let sum = crc32c::crc32c(&page[..CHECKED]);
        page[CHECKED..CHECKED + 4].copy_from_slice(&sum.to_le_bytes());
        page
    }

    /// Reads a header; takes any bytes.
    pub fn decode(page: &[u8]) -> Result<HeaderRead> {
        let broken = |at: usize| Error::Decode { what: "the header of a segment", at };
        let page: &[u8; CHECKED + 4] = page.first_chunk().ok_or(broken(page.len()))?;
        let half = |at: usize| u32::from_le_bytes(array(page, at));
        let word = |at: usize| u64::from_le_bytes(array(page, at));
        if &page[..8] != MAGIC {
            return Err(broken(0));
        }
        if half(12) != BYTE_ORDER {
            return Err(broken(12));
        }
        // Before the checksum: what a newer version covers with it is not known here, and its data must not be set aside.
        if half(8) > VERSION {
            return Ok(HeaderRead::Newer(half(8)));
        }
        if half(CHECKED) != crc32c::crc32c(&page[..CHECKED]) {
            return Err(broken(CHECKED));
        }
        if half(8) != VERSION {
            return Err(broken(8));
        }
        if half(76) as usize != RECORD_SIZE || half(80) as usize != HEADER_SIZE {
            return Err(broken(76));
        }
        let way = match half(84) {
            0 => Way::Write,
            1 => Way::Map,
            _ => return Err(broken(84)),
        };
        if word(88) > LARGEST_CAPACITY {
            return Err(broken(88));
        }
        Ok(HeaderRead::Known(Header {
            id: array(page, 16),
            boot: array(page, 32),
            created: word(48) as i64,
            created_monotonic: word(56),
            start_ticks: word(64),
            pid: half(72),
            way,
            capacity: word(88),
            pid_namespace: word(96),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::vectors::{assert_vector, vector};

    fn header(way: Way) -> Header {
        Header {
            id: std::array::from_fn(|index| index as u8),
            boot: std::array::from_fn(|index| 16 + index as u8),
            created: 1_700_000_000_000_000,
            created_monotonic: 0,
            start_ticks: 987_654,
            pid: 4242,
            way,
            capacity: 1023,
            pid_namespace: 0,
        }
    }

    #[test]
    fn a_header_is_the_bytes_of_the_specification() {
        let write = header(Way::Write);
        let map = Header {
            created_monotonic: 3_600_000_000_000,
            capacity: 4,
            pid_namespace: 4_026_531_836,
            ..header(Way::Map)
        };
        assert_vector("HEADER", &write.encode()[..TAIL_OFFSET]);
        assert_vector("MAP", &[&map.encode()[..TAIL_OFFSET], &(SEALED | 3).to_le_bytes()].concat());
        for (name, header) in [("HEADER", write), ("MAP", map)] {
            assert_eq!(Header::decode(&vector(name)).unwrap(), HeaderRead::Known(header));
        }
    }

    #[test]
    fn a_header_with_any_bit_flipped_is_refused_or_newer() {
        let written = vector("HEADER");
        for bit in 0..written.len() * 8 {
            let mut page = written.clone();
            page[bit / 8] ^= 1 << (bit % 8);
            let read = Header::decode(&page);
            assert!(
                read.is_err() || (8..12).contains(&(bit / 8)) && matches!(read, Ok(HeaderRead::Newer(_))),
                "bit {bit}"
            );
        }
    }
}
