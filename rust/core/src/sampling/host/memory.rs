//! `/proc/meminfo` and the swapping counters of `/proc/vmstat`.
//!
//! Source: Linux, Documentation/filesystems/proc.rst, "meminfo"; the "kB" of the text are KiB.

use super::scan::Scan;

/// Memory in bytes. None: the text does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Usable memory of the machine.
    pub total: Option<u64>,
    /// In no use at all.
    pub free: Option<u64>,
    /// What new work can have without swapping, by the kernel's own estimate; see [`Memory::available`].
    pub stated_available: Option<u64>,
    /// Buffers of block devices.
    pub buffers: Option<u64>,
    /// Page cache, with `shared` and without reclaimable slabs.
    pub cached: Option<u64>,
    /// Slabs that can be given back.
    pub reclaimable: Option<u64>,
    /// tmpfs and System V or anonymous shared memory.
    pub shared: Option<u64>,
    /// Used of late.
    pub active: Option<u64>,
    /// Not used of late.
    pub inactive: Option<u64>,
    /// All slabs of the kernel.
    pub slab: Option<u64>,
    /// Waits to be written to a disk.
    pub dirty: Option<u64>,
    /// Promised to processes.
    pub committed: Option<u64>,
    /// All swap.
    pub swap_total: Option<u64>,
    /// Swap in no use.
    pub swap_free: Option<u64>,
}

impl Memory {
    /// `/proc/meminfo`. None when it holds no total.
    pub fn parse(text: &[u8]) -> Option<Memory> {
        let mut memory = Memory::default();
        let mut scan = Scan::new(text);
        // By the first letter, so that most lines cost one comparison.
        while let [first, ..] = scan.peek() {
            let field = match first {
                b'M' if scan.skip(b"MemTotal:") => Some(&mut memory.total),
                b'M' if scan.skip(b"MemFree:") => Some(&mut memory.free),
                b'M' if scan.skip(b"MemAvailable:") => Some(&mut memory.stated_available),
                b'B' if scan.skip(b"Buffers:") => Some(&mut memory.buffers),
                b'C' if scan.skip(b"Cached:") => Some(&mut memory.cached),
                b'C' if scan.skip(b"Committed_AS:") => Some(&mut memory.committed),
                b'A' if scan.skip(b"Active:") => Some(&mut memory.active),
                b'I' if scan.skip(b"Inactive:") => Some(&mut memory.inactive),
                b'D' if scan.skip(b"Dirty:") => Some(&mut memory.dirty),
                b'S' if scan.skip(b"SwapTotal:") => Some(&mut memory.swap_total),
                b'S' if scan.skip(b"SwapFree:") => Some(&mut memory.swap_free),
                b'S' if scan.skip(b"Shmem:") => Some(&mut memory.shared),
                b'S' if scan.skip(b"Slab:") => Some(&mut memory.slab),
                b'S' if scan.skip(b"SReclaimable:") => Some(&mut memory.reclaimable),
                _ => None,
            };
            if let Some(field) = field {
                *field = scan.number().and_then(|kibibytes| kibibytes.checked_mul(1024));
            }
            if scan.line().is_none() {
                break;
            }
        }
        memory.total.is_some().then_some(memory)
    }

    /// What new work can have without swapping: the kernel's estimate, or where it makes none (before Linux 3.14) free + buffers +
    /// cached + reclaimable − shared, at most the total.
    pub fn available(&self) -> Option<u64> {
        self.stated_available.or_else(|| {
            let given_back = self.free? + self.buffers? + self.cached? + self.reclaimable.unwrap_or(0);
            Some(given_back.saturating_sub(self.shared.unwrap_or(0)).min(self.total?))
        })
    }

    /// Total − available: what cannot be had.
    pub fn used(&self) -> Option<u64> {
        Some(self.total?.saturating_sub(self.available()?))
    }

    /// Swap in use.
    pub fn swap_used(&self) -> Option<u64> {
        Some(self.swap_total?.saturating_sub(self.swap_free?))
    }
}

/// What was moved between memory and swap since boot, in pages, and processes ended for want of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swapping {
    /// Pages read from swap.
    pub pages_in: Option<u64>,
    /// Pages written to swap.
    pub pages_out: Option<u64>,
    /// Processes ended by the kernel for want of memory; None before Linux 4.13.
    pub oom_kills: Option<u64>,
}

impl Swapping {
    /// `/proc/vmstat`. None when it is no such text.
    pub fn parse(text: &[u8]) -> Option<Swapping> {
        let mut swapping = Swapping::default();
        let mut scan = Scan::new(text);
        loop {
            let field = if scan.skip(b"pswpin ") {
                &mut swapping.pages_in
            } else if scan.skip(b"pswpout ") {
                &mut swapping.pages_out
            } else if scan.skip(b"oom_kill ") {
                &mut swapping.oom_kills
            } else if scan.line().is_some() {
                continue;
            } else {
                break;
            };
            *field = scan.number();
        }
        (swapping != Swapping::default()).then_some(swapping)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &[u8] = b"MemTotal:       24684092 kB\nMemFree:        21147260 kB\nMemAvailable:   23492932 kB\nBuffers:           28432 kB\n\
        Cached:          2412788 kB\nSwapCached:           12 kB\nActive:           750832 kB\nInactive:        2375500 kB\n\
        Active(anon):      26200 kB\nSwapTotal:       1000000 kB\nSwapFree:         999000 kB\nDirty:            183792 kB\n\
        Shmem:             69508 kB\nSlab:             310580 kB\nSReclaimable:     275596 kB\nCommitted_AS:    1154824 kB\nHugePages_Total:       0\n";

    #[test]
    fn every_field_in_bytes() {
        let memory = Memory::parse(TEXT).unwrap();
        let kib = |number: u64| Some(number * 1024);
        assert_eq!(
            (memory.total, memory.free, memory.available()),
            (kib(24_684_092), kib(21_147_260), kib(23_492_932))
        );
        assert_eq!((memory.buffers, memory.cached, memory.reclaimable), (kib(28_432), kib(2_412_788), kib(275_596)));
        assert_eq!((memory.shared, memory.slab, memory.dirty), (kib(69_508), kib(310_580), kib(183_792)));
        assert_eq!((memory.active, memory.inactive, memory.committed), (kib(750_832), kib(2_375_500), kib(1_154_824)));
        assert_eq!(
            (memory.swap_total, memory.swap_free, memory.swap_used()),
            (kib(1_000_000), kib(999_000), kib(1000))
        );
        assert_eq!(memory.used(), kib(24_684_092 - 23_492_932));
    }

    #[test]
    fn without_the_kernels_estimate_what_can_be_given_back_is_available() {
        let old =
            b"MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 400 kB\nShmem: 150 kB\nSReclaimable: 30 kB\n";
        let memory = Memory::parse(old).unwrap();
        assert_eq!((memory.stated_available, memory.available()), (None, Some(430 * 1024)));
        assert_eq!(Memory::parse(b"MemTotal: 1000 kB\nMemFree: 100 kB\n").unwrap().available(), None);
    }

    #[test]
    fn what_is_no_meminfo() {
        for other in
            [&b""[..], b"MemTotal: 12", b"MemFree: 1 kB\n", b"MemTotal: x kB\n", b"MemTotal: 99999999999999999999 kB\n"]
        {
            assert_eq!(Memory::parse(other), None);
        }
    }

    #[test]
    fn swapping_is_found_among_a_hundred_counters() {
        let text = b"nr_free_pages 5\npswpin 7\npswpout 8\nzone_oom 1\noom_kill 2\n";
        assert_eq!(Swapping::parse(text), Some(Swapping { pages_in: Some(7), pages_out: Some(8), oom_kills: Some(2) }));
        assert_eq!(Swapping::parse(b"pswpin 7\n").unwrap().oom_kills, None);
        assert_eq!(Swapping::parse(b"nr_free_pages 5\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(noise: Vec<u8>) {
            let _ = (Memory::parse(&noise), Swapping::parse(&noise), Memory::parse(&TEXT[..noise.len().min(TEXT.len())]));
        }
    }
}
