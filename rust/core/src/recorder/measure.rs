//! What an execution cost, from readings before and after it.

use super::series::Clock;
use crate::journal::format::{NO_CHANGE, NO_PEAK, NO_VALUE};
use crate::sampling::clock;

/// The CPU clock that can tell the time of an execution, ns.
pub fn cpu(clock: Clock) -> Option<u64> {
    match clock {
        Clock::None => None,
        Clock::Process => clock::process_cpu_ns(),
        Clock::Thread => clock::thread_cpu_ns(),
    }
}

/// Peak and change of resident memory in KiB, from the bytes before and after and the true peak in between if it was measured.
pub fn memory_of(before: u64, after: Option<u64>, peak: Option<u64>) -> (u32, i32) {
    let kib = |bytes: u64| (bytes / 1_024).min(u64::from(NO_PEAK - 1));
    match after {
        Some(after) if before != NO_VALUE => {
            let (before, after) = (kib(before), kib(after));
            let change = after as i64 - before as i64;
            let peak = peak.map_or(before.max(after), kib);
            (peak as u32, change.clamp(i64::from(NO_CHANGE + 1), i64::from(i32::MAX)) as i32)
        }
        _ => (NO_PEAK, NO_CHANGE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_the_larger_reading_and_the_difference() {
        assert_eq!(memory_of(10 << 20, Some(12 << 20), None), (12 << 10, 2 << 10));
        assert_eq!(memory_of(12 << 20, Some(10 << 20), None), (12 << 10, -(2 << 10)));
        assert_eq!(memory_of(0, Some(u64::MAX - 1), None), (NO_PEAK - 1, i32::MAX));
        assert_eq!(memory_of(u64::MAX - 1, Some(0), None), (NO_PEAK - 1, NO_CHANGE + 1));
    }

    #[test]
    fn a_true_peak_takes_the_place_of_the_larger_reading() {
        assert_eq!(memory_of(10 << 20, Some(12 << 20), Some(200 << 20)), (200 << 10, 2 << 10));
        assert_eq!(
            memory_of(50 << 20, Some(12 << 20), Some(13 << 20)),
            (13 << 10, -(38 << 10)),
            "given back before it began"
        );
        assert_eq!(memory_of(NO_VALUE, Some(1), Some(2)), (NO_PEAK, NO_CHANGE));
    }

    #[test]
    fn memory_without_two_readings_is_unknown() {
        assert_eq!(memory_of(NO_VALUE, Some(1), None), (NO_PEAK, NO_CHANGE));
        assert_eq!(memory_of(1, None, None), (NO_PEAK, NO_CHANGE));
    }
}
