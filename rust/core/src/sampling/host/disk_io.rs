//! `/proc/diskstats`: what disks did since boot.
//!
//! Source: Linux, Documentation/admin-guide/iostats.rst. A sector of this table is 512 bytes whatever the disk's are.

use super::name::Name;
use super::scan::Scan;

const SECTOR: u64 = 512;

/// Counters of one disk since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskCounters {
    /// Name in `/dev`, a `!` standing for a `/`.
    pub name: Name,
    /// Reads completed.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Time of all reads together, ms.
    pub read_ms: u64,
    /// Writes completed.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Time of all writes together, ms.
    pub write_ms: u64,
    /// Requests under way now.
    pub in_flight: u64,
    /// Time with at least one request under way, ms.
    pub busy_ms: u64,
    /// Time of all requests together, ms: over an interval, divided by it, the mean length of the queue.
    pub weighted_ms: u64,
}

/// What a block device lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A disk of its own.
    Disk,
    /// On other disks, whose counters hold its requests as well: dm, md, loop, and others made of disks.
    Layered,
    /// In memory: zram, ram.
    Memory,
}

impl Layer {
    /// As a snapshot says it.
    pub fn word(self) -> &'static str {
        match self {
            Layer::Disk => "disk",
            Layer::Layered => "layered",
            Layer::Memory => "memory",
        }
    }
}

impl DiskCounters {
    /// What it lies on, by its name.
    pub fn layer(&self) -> Layer {
        let name = self.name.as_bytes();
        let begins = |prefixes: &[&[u8]]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        if begins(&[b"zram", b"ram"]) {
            Layer::Memory
        } else if begins(&[b"dm-", b"md", b"loop", b"bcache", b"drbd"]) {
            Layer::Layered
        } else {
            Layer::Disk
        }
    }

    /// Whether it never did anything: an unused loop device.
    pub fn is_unused(&self) -> bool {
        self.reads == 0 && self.writes == 0
    }
}

/// Whole disks only; the memory of `disks` is used again. False when the text is none.
pub fn parse(text: &[u8], disks: &mut Vec<DiskCounters>) -> bool {
    disks.clear();
    let mut scan = Scan::new(text);
    while !scan.is_empty() {
        let Some(disk) = line(&mut scan) else { return false };
        // The kernel lists partitions behind their disk.
        if !is_partition(disk.name.as_bytes(), disks) {
            disks.push(disk);
        }
        if scan.line().is_none() {
            return false;
        }
    }
    true
}

/// `254 0 vda 82250 13644 7111090 38698 45264 100946 11869552 27798 0 12652 67726 ...`
fn line(scan: &mut Scan) -> Option<DiskCounters> {
    let [_major, _minor] = scan.numbers()?;
    let name = Name::new(scan.word()?)?;
    let [reads, _, sectors_read, read_ms, writes, _, sectors_written, write_ms, in_flight, busy_ms, weighted_ms] =
        scan.numbers()?;
    let (read_bytes, written_bytes) = (sectors_read.checked_mul(SECTOR)?, sectors_written.checked_mul(SECTOR)?);
    Some(DiskCounters {
        name,
        reads,
        read_bytes,
        read_ms,
        writes,
        written_bytes,
        write_ms,
        in_flight,
        busy_ms,
        weighted_ms,
    })
}

/// Whether this is `sda1` where there is `sda`, or `nvme0n1p2` where there is `nvme0n1`. By what is there, not by the name alone:
/// some machines have an `xvda1` that is a disk.
fn is_partition(name: &[u8], disks: &[DiskCounters]) -> bool {
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return false;
    }
    let mut disk = &name[..name.len() - digits];
    if let [before @ .., number, b'p'] = disk
        && number.is_ascii_digit()
    {
        disk = &disk[..before.len() + 1];
    } else if disk.last().is_none_or(|last| last.is_ascii_digit() || *last == b'-') {
        return false;
    }
    disks.iter().rev().any(|known| known.name.as_bytes() == disk)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(listed: &[&str]) -> Vec<String> {
        let text: String =
            listed.iter().map(|name| format!(" 8 0 {name} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n")).collect();
        let mut disks = Vec::new();
        assert!(parse(text.as_bytes(), &mut disks));
        disks.iter().map(|disk| disk.name.to_string()).collect()
    }

    #[test]
    fn every_field_of_a_disk() {
        let mut disks = Vec::new();
        assert!(parse(b" 254       0 vda 82250 13644 7111090 38698 45264 100946 11869552 27798 3 12652 67726 12847 35 1335960 885 8489 344\n", &mut disks));
        let disk = disks[0];
        assert_eq!((disk.reads, disk.read_bytes, disk.read_ms), (82_250, 7_111_090 * 512, 38_698));
        assert_eq!((disk.writes, disk.written_bytes, disk.write_ms), (45_264, 11_869_552 * 512, 27_798));
        assert_eq!((disk.in_flight, disk.busy_ms, disk.weighted_ms), (3, 12_652, 67_726));
    }

    #[test]
    fn partitions_are_not_counted_again() {
        assert_eq!(names(&["sda", "sda1", "sda15", "sdaa", "sdaa1"]), ["sda", "sdaa"]);
        assert_eq!(names(&["vda", "vda1", "xvda", "xvda1", "hda", "hda2"]), ["vda", "xvda", "hda"]);
        assert_eq!(names(&["nvme0n1", "nvme0n1p1", "nvme0n1p12", "nvme1n1"]), ["nvme0n1", "nvme1n1"]);
        assert_eq!(names(&["mmcblk0", "mmcblk0p1", "mmcblk0boot0"]), ["mmcblk0", "mmcblk0boot0"]);
        assert_eq!(names(&["loop0", "loop0p1", "loop1", "loop10"]), ["loop0", "loop1", "loop10"]);
        assert_eq!(
            names(&["md0", "md127", "md127p1", "dm-0", "dm-1", "dm-10", "zram0", "sr0"]),
            ["md0", "md127", "dm-0", "dm-1", "dm-10", "zram0", "sr0"]
        );
        assert_eq!(names(&["xvda1", "xvda2"]), ["xvda1", "xvda2"], "disks of their own: there is no xvda");
        assert_eq!(names(&["cciss!c0d0", "cciss!c0d0p1"]), ["cciss!c0d0"]);
    }

    #[test]
    fn what_lies_on_other_disks_is_said() {
        let layer = |name: &str| {
            let mut disks = Vec::new();
            assert!(parse(format!(" 8 0 {name} 1 2 3 4 5 6 7 8 9 10 11\n").as_bytes(), &mut disks));
            disks[0].layer().word()
        };
        assert_eq!(["sda", "nvme0n1", "vda", "mmcblk0"].map(layer), ["disk"; 4]);
        assert_eq!(["dm-3", "md0", "loop7"].map(layer), ["layered"; 3]);
        assert_eq!(["zram0", "ram1"].map(layer), ["memory"; 2]);
    }

    #[test]
    fn what_is_no_diskstats() {
        for other in [
            &b"x\n"[..],
            b" 8 0 sda 1 2 3\n",
            b" 8 0 sda 1 2 3 4 5 6 7 8 9 10 11 12",
            b" 8 0 a-name-of-more-than-thirty-one-bytes 1 2 3 4 5 6 7 8 9 10 11\n",
        ] {
            assert!(!parse(other, &mut Vec::new()), "{}", String::from_utf8_lossy(other));
        }
        assert!(parse(b"", &mut Vec::new()), "a container may have no disk at all");
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(noise: Vec<u8>) {
            let _ = parse(&noise, &mut Vec::new());
        }

        #[test]
        fn any_name_is_looked_at(name in "[a-z0-9!-]{1,31}") {
            prop_assert_eq!(names(&[&name]), [name]);
        }
    }
}
