//! Why a record could not be written.

use std::io;

/// Reason of a dropped record; the number is its place in worker pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Dropped {
    /// No space, quota or permitted file size is left.
    DiskFull = 0,
    /// The segments together reached the bound of the spool.
    SpoolFull = 1,
    /// The spool cannot be made or written by this user.
    NotWritable = 2,
    /// Anything else that the kernel said.
    IoError = 3,
    /// More executions than slots.
    Overflow = 4,
    /// More names than can be kept.
    TooManyNames = 5,
}

impl Dropped {
    /// Names of the reasons, by number.
    pub const NAMES: [&'static str; 6] =
        ["disk_full", "spool_full", "not_writable", "io_error", "overflow", "too_many_names"];

    /// The reason in an error of the kernel.
    pub fn from_error(error: &io::Error) -> Dropped {
        match error.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => Dropped::DiskFull,
            Some(
                libc::EROFS | libc::EACCES | libc::EPERM | libc::ENOENT | libc::ENOTDIR | libc::EEXIST | libc::ELOOP,
            ) => Dropped::NotWritable,
            _ => Dropped::IoError,
        }
    }
}
