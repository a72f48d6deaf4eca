//! The clocks of `clock.rs` that sampling by sysinfo needs, for systems that are no Unix. Checked by the compiler, run by nobody.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime};

/// Wall clock, µs since 1970.
pub fn wall_us() -> i64 {
    wall_ns() / 1_000
}

/// Wall clock, ns since 1970.
pub fn wall_ns() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_nanos() as i64)
}

/// Monotonic clock, ns; it begins with the first look at it.
pub fn monotonic_ns() -> u64 {
    static FIRST_LOOK: LazyLock<Instant> = LazyLock::new(Instant::now);
    FIRST_LOOK.elapsed().as_nanos() as u64
}
