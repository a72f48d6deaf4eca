//! What the kernel of Linux alone has.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use libc::{c_int, c_void, clockid_t, off_t};

use super::{check, filled};

/// Time since boot with the time asleep.
pub const BOOT_CLOCK: clockid_t = libc::CLOCK_BOOTTIME;
/// Code of a signal that a thread of this process sent.
pub const SENT_BY_THREAD: c_int = libc::SI_TKILL;

/// Where the error of this thread stands.
pub fn errno_place() -> *mut c_int {
    // SAFETY: the C library answers a place that lives as long as the thread.
    unsafe { libc::__errno_location() }
}

/// Fills bytes with random ones; false when there is no getrandom(2), as where system calls are filtered.
pub fn random(bytes: &mut [u8]) -> bool {
    // SAFETY: the pointer and length are those of the slice.
    let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    usize::try_from(filled) == Ok(bytes.len())
}

/// Fills a mask of the CPUs that this thread may use; false when the mask is too short.
pub fn affinity(mask: &mut [u64]) -> bool {
    // SAFETY: the kernel writes at most the bytes of the mask; 0 is this thread.
    unsafe { libc::sched_getaffinity(0, size_of_val(mask), mask.as_mut_ptr().cast()) == 0 }
}

/// The clock of a process's CPU time; None without such a process in this pid namespace.
pub fn cpu_clock(pid: libc::pid_t) -> Option<clockid_t> {
    // SAFETY: the C library writes one number, which is ours.
    filled(|clock| unsafe { libc::clock_getcpuclockid(pid, clock) })
}

/// Allocates blocks of a file behind an offset, and leaves its size as it is.
pub fn keep_room(file: &File, offset: off_t, bytes: off_t) -> io::Result<()> {
    // SAFETY: fallocate takes a descriptor and numbers; the file is open.
    check(unsafe { libc::fallocate(file.as_raw_fd(), libc::FALLOC_FL_KEEP_SIZE, offset, bytes) })
}

/// Gives a file of this size all its blocks.
pub fn allocate(file: &File, bytes: off_t) -> io::Result<()> {
    // SAFETY: as above.
    check(unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, bytes) })
}

/// Has a copy-on-write file system write blocks of an empty file where they are; nothing happens on others.
pub fn keep_in_place(file: &File) {
    const NO_COPY_ON_WRITE: c_int = 0x0080_0000;
    let mut flags: c_int = 0;
    // SAFETY: both calls take a descriptor and an int of ours.
    unsafe {
        if libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &mut flags) == 0 {
            flags |= NO_COPY_ON_WRITE;
            libc::ioctl(file.as_raw_fd(), libc::FS_IOC_SETFLAGS, &flags);
        }
    }
}

/// Makes the pages of a range present and writable; false before Linux 5.14.
pub fn populate(start: *mut c_void, length: usize) -> bool {
    // SAFETY: nothing in the range changes, and the kernel asks whether it is mapped.
    unsafe { libc::madvise(start, length, libc::MADV_POPULATE_WRITE) == 0 }
}

/// True when a page in a range cannot be had; false before Linux 5.14. To be called in a signal handler too.
pub fn is_cut(start: *mut c_void, length: usize) -> bool {
    // SAFETY: nothing is changed, and the range need not be mapped for this question.
    unsafe { libc::madvise(start, length, libc::MADV_POPULATE_READ) != 0 && *errno_place() == libc::EFAULT }
}

/// Has the kernel wipe a range of private memory in every child; false when it does not.
pub fn wipe_in_children(start: *mut c_void, length: usize) -> bool {
    // SAFETY: nothing changes in this process, and the kernel asks whether the range is mapped.
    unsafe { libc::madvise(start, length, libc::MADV_WIPEONFORK) == 0 }
}

/// Has all threads of this process pass a memory barrier; false when the kernel does not do that.
pub fn barrier() -> bool {
    const PRIVATE_EXPEDITED: c_int = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: c_int = 1 << 4;
    // SAFETY: membarrier takes numbers and touches no memory of ours.
    [REGISTER_PRIVATE_EXPEDITED, PRIVATE_EXPEDITED]
        .iter()
        .all(|command| unsafe { libc::syscall(libc::SYS_membarrier, *command, 0, 0) } == 0)
}
