//! The unit of CPU and start times in `/proc`: ticks, of which a second has as many as the kernel says, 100 nearly everywhere.

use std::sync::OnceLock;

use crate::kernel;

/// Ticks in a second.
pub fn ticks_a_second() -> u64 {
    static TICKS: OnceLock<u64> = OnceLock::new();
    *TICKS.get_or_init(|| kernel::sysconf(libc::_SC_CLK_TCK).unwrap_or(100))
}

/// Ticks as ns.
pub fn ns_of_ticks(ticks: u64) -> u64 {
    scaled(ticks, ticks_a_second())
}

/// In 128 bits: a process of a thousand cores and years would leave 64.
fn scaled(ticks: u64, ticks_a_second: u64) -> u64 {
    let ns = u128::from(ticks) * 1_000_000_000 / u128::from(ticks_a_second);
    u64::try_from(ns).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_kernels_and_not_a_millisecond() {
        assert_eq!(scaled(150, 100), 1_500_000_000);
        assert_eq!(scaled(1, 1024), 976_562);
        assert_eq!(scaled(u64::MAX, 100), u64::MAX);
        assert!((1..=1_000_000).contains(&ticks_a_second()));
    }
}
