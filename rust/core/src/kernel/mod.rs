//! Calls of the kernel as safe functions, for those that need no memory of ours beyond the call. Knows nothing of what they are for.
//!
//! What Linux alone has is in a file of its own, and beside it the same names for other systems, where the answer is that there is no such thing.

#![expect(unsafe_code, reason = "calls the kernel")]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd};

use libc::{c_int, clockid_t};

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "elsewhere.rs")]
mod system;

pub use self::system::*;

fn check(answer: c_int) -> io::Result<()> {
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What a call filled; None when it answered anything but 0.
#[inline]
fn filled<T>(call: impl FnOnce(*mut T) -> c_int) -> Option<T> {
    let mut answer = MaybeUninit::<T>::uninit();
    // SAFETY: every call that is given here fills the whole structure when it answers 0.
    (call(answer.as_mut_ptr()) == 0).then(|| unsafe { answer.assume_init() })
}

/// The error of the last call in this thread.
pub fn errno() -> c_int {
    // SAFETY: it belongs to this thread.
    unsafe { *errno_place() }
}

/// Puts it back, as a handler must leave it.
pub fn set_errno(number: c_int) {
    // SAFETY: as above.
    unsafe { *errno_place() = number };
}

/// Device and inode in a `stat`.
#[allow(clippy::unnecessary_cast, reason = "other systems have narrower numbers")]
pub fn identity(stat: &libc::stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// The user that this process acts as.
pub fn user() -> u32 {
    // SAFETY: geteuid only reads.
    unsafe { libc::geteuid() }
}

/// The group that this process acts as.
pub fn group() -> u32 {
    // SAFETY: getegid only reads.
    unsafe { libc::getegid() }
}

/// Whether there is no process of a pid; one that is not ours to signal is one.
pub fn is_gone(pid: libc::pid_t) -> bool {
    // SAFETY: signal 0 is sent to nobody; the kernel only checks the pid.
    unsafe { libc::kill(pid, 0) != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH) }
}

/// A number of the system; None when it is not told.
pub fn sysconf(name: c_int) -> Option<u64> {
    // SAFETY: sysconf only reads.
    u64::try_from(unsafe { libc::sysconf(name) }).ok().filter(|number| *number > 0)
}

/// What lies at a path, a link itself.
pub fn lstat(path: &CStr) -> io::Result<libc::stat> {
    // SAFETY: the path ends with NUL.
    filled(|answer| unsafe { libc::lstat(path.as_ptr(), answer) }).ok_or_else(io::Error::last_os_error)
}

/// The file system of a path, as the kernel knows it.
pub fn statfs(path: &CStr) -> Option<libc::statfs> {
    // SAFETY: the path ends with NUL.
    filled(|answer| unsafe { libc::statfs(path.as_ptr(), answer) })
}

/// The file system of a path, as POSIX has it.
pub fn statvfs(path: &CStr) -> io::Result<libc::statvfs> {
    // SAFETY: the path ends with NUL.
    filled(|answer| unsafe { libc::statvfs(path.as_ptr(), answer) }).ok_or_else(io::Error::last_os_error)
}

/// What this process, a thread or its children have used.
#[inline]
pub fn usage(who: c_int) -> Option<libc::rusage> {
    // SAFETY: the structure is ours.
    filled(|usage| unsafe { libc::getrusage(who, usage) })
}

/// The time of a clock.
#[inline]
pub fn time(clock: clockid_t) -> Option<libc::timespec> {
    // SAFETY: the structure is ours.
    filled(|time| unsafe { libc::clock_gettime(clock, time) })
}

/// flock(2).
pub fn flock(file: &File, operation: c_int) -> io::Result<()> {
    // SAFETY: flock takes a descriptor and flags; the file is open.
    check(unsafe { libc::flock(file.as_raw_fd(), operation) })
}

/// Opens a file in a directory; a new one has mode 0600.
pub fn open_at(directory: BorrowedFd, name: &CStr, flags: c_int) -> io::Result<File> {
    // SAFETY: the name ends with NUL and the directory is open.
    let fd = unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), flags, 0o600) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else has it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Makes a directory in a directory.
pub fn make_directory_at(directory: BorrowedFd, name: &CStr, mode: libc::mode_t) -> io::Result<()> {
    // SAFETY: the name ends with NUL and the directory is open.
    check(unsafe { libc::mkdirat(directory.as_raw_fd(), name.as_ptr(), mode) })
}

/// What a name in a directory stands for, a link itself.
pub fn stat_at(directory: BorrowedFd, name: &CStr) -> io::Result<libc::stat> {
    let fd = directory.as_raw_fd();
    // SAFETY: the name ends with NUL and the directory is open.
    filled(|answer| unsafe { libc::fstatat(fd, name.as_ptr(), answer, libc::AT_SYMLINK_NOFOLLOW) })
        .ok_or_else(io::Error::last_os_error)
}

/// The names in a directory, but `.` and `..`.
pub fn names_in(directory: BorrowedFd) -> io::Result<Vec<CString>> {
    let own = open_at(directory, c".", libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC)?;
    // SAFETY: the descriptor is open.
    let stream = unsafe { libc::fdopendir(own.as_raw_fd()) };
    if stream.is_null() {
        return Err(io::Error::last_os_error());
    }
    // The stream closes it.
    let _ = own.into_raw_fd();
    let mut names = Vec::new();
    let end = loop {
        // It alone tells the end from a failure.
        set_errno(0);
        // SAFETY: the stream is open, and nobody else uses it.
        let entry = unsafe { libc::readdir(stream) };
        if entry.is_null() {
            break io::Error::last_os_error();
        }
        // SAFETY: the name ends with NUL and is copied before the next call.
        let name = unsafe { CStr::from_ptr((*entry).d_name.as_ptr()) };
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    };
    // SAFETY: the stream is open and not used again.
    unsafe { libc::closedir(stream) };
    if end.raw_os_error() == Some(0) { Ok(names) } else { Err(end) }
}

/// Gives what has a name in one directory a name in another one, or in the same.
pub fn rename_at(from: BorrowedFd, name: &CStr, to: BorrowedFd, new: &CStr) -> io::Result<()> {
    // SAFETY: both names end with NUL and both directories are open.
    check(unsafe { libc::renameat(from.as_raw_fd(), name.as_ptr(), to.as_raw_fd(), new.as_ptr()) })
}

/// Gives a file of a directory a second name, which must not exist.
pub fn link_at(directory: BorrowedFd, from: &CStr, to: &CStr) -> io::Result<()> {
    let directory = directory.as_raw_fd();
    // SAFETY: both names end with NUL and the directory is open.
    check(unsafe { libc::linkat(directory, from.as_ptr(), directory, to.as_ptr(), 0) })
}

/// Removes a name from a directory; of a directory, with the flag AT_REMOVEDIR.
pub fn unlink_at(directory: BorrowedFd, name: &CStr, flags: c_int) -> io::Result<()> {
    // SAFETY: the name ends with NUL and the directory is open.
    check(unsafe { libc::unlinkat(directory.as_raw_fd(), name.as_ptr(), flags) })
}
