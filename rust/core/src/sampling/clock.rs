//! Clocks of the kernel.

use std::mem::MaybeUninit;

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
    read(libc::CLOCK_BOOTTIME)
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
    let mut clock: clockid_t = 0;
    // SAFETY: the C library writes one number, which is ours.
    let known = unsafe { libc::clock_getcpuclockid(libc::pid_t::try_from(pid).ok()?, &mut clock) } == 0;
    if known { read(clock) } else { None }
}

#[inline]
fn read(clock: clockid_t) -> Option<u64> {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the kernel writes one timespec, which is ours, when it answers 0.
    let time = unsafe { (libc::clock_gettime(clock, time.as_mut_ptr()) == 0).then(|| time.assume_init())? };
    // Clocks do not go back behind 1970.
    Some((time.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(time.tv_nsec as u64))
}
