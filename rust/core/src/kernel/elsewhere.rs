//! The names of `linux.rs` for systems of the BSD family: what they do not have is answered so. Checked by the compiler, run by nobody.

use std::fs::File;
use std::io;

use libc::{c_int, c_void, clockid_t, off_t};

/// Of macOS: it counts the time asleep.
pub const BOOT_CLOCK: clockid_t = libc::CLOCK_MONOTONIC;
/// No code of a signal.
pub const SENT_BY_THREAD: c_int = c_int::MIN;

/// Where the error of this thread stands.
pub fn errno_place() -> *mut c_int {
    // SAFETY: the C library answers a place that lives as long as the thread.
    unsafe { libc::__error() }
}

/// Fills at most 256 bytes with random ones.
pub fn random(bytes: &mut [u8]) -> bool {
    // SAFETY: the pointer and length are those of the slice.
    unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), bytes.len()) == 0 }
}

/// A process is bound to no CPUs here.
pub fn affinity(_mask: &mut [u64]) -> bool {
    false
}

/// No process has a clock for others.
pub fn cpu_clock(_pid: libc::pid_t) -> Option<clockid_t> {
    None
}

/// There is no fallocate: what a full disk has no room for fails when it is written.
pub fn keep_room(_file: &File, _offset: off_t, _bytes: off_t) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// There is no fallocate, so records are appended by `write(2)`.
pub fn allocate(_file: &File, _bytes: off_t) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Cannot be asked for.
pub fn keep_in_place(_file: &File) {}

/// Cannot be asked for.
pub fn populate(_start: *mut c_void, _length: usize) -> bool {
    false
}

/// Cannot be asked.
pub fn is_cut(_start: *mut c_void, _length: usize) -> bool {
    false
}

/// A fork is known by the pid alone.
pub fn wipe_in_children(_start: *mut c_void, _length: usize) -> bool {
    false
}

/// Cannot be asked for.
pub fn barrier() -> bool {
    false
}
