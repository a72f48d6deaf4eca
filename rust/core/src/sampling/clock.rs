//! Clocks of the kernel.

use crate::kernel;

use libc::clockid_t;

/// Wall clock, µs since 1970.
pub fn wall_us() -> i64 {
    wall_ns() / 1_000
}

/// Wall clock, ns since 1970.
pub fn wall_ns() -> i64 {
    read(libc::CLOCK_REALTIME).unwrap_or(0) as i64
}

/// Monotonic clock, ns.
#[inline]
pub fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC).unwrap_or(0)
}

/// Time since boot with the time asleep, ns.
pub fn boot_ns() -> Option<u64> {
    read(kernel::BOOT_CLOCK)
}

/// CPU time of all threads of this process, ns.
#[inline]
pub fn process_cpu_ns() -> Option<u64> {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU time of this thread, ns.
#[inline]
pub fn thread_cpu_ns() -> Option<u64> {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time of all threads of another process, ns; those that ended too. None if there is no such process in this pid namespace.
pub fn process_cpu_ns_of(pid: u32) -> Option<u64> {
    kernel::cpu_clock(libc::pid_t::try_from(pid).ok()?).and_then(read)
}

#[inline]
fn read(clock: clockid_t) -> Option<u64> {
    let time = kernel::time(clock)?;
    // Clocks do not go back behind 1970.
    Some((time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64))
}
