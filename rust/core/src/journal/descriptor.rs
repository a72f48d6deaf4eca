//! A descriptor that outlives a program's habit of closing descriptors that it does not know.
//!
//! A daemon closes every descriptor, and its next file gets a number that was ours. So ours lie at high numbers, which a
//! program practically never reaches; where the limit is too low for that, each use asks the kernel first whose number it is.

#![expect(unsafe_code, reason = "calls the kernel with descriptors that are kept as numbers")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::kernel;

/// High numbers begin this far below the soft limit.
const ROOM: u64 = 128;
/// A table of descriptors grows with the highest number, and each fork copies it.
const HIGHEST: u64 = 8_192;
/// Below this number a descriptor is not out of a program's reach.
const LOWEST: u64 = 384;

/// An open file that is ours, by device and inode.
#[derive(Debug)]
pub struct Descriptor {
    fd: RawFd,
    device: u64,
    inode: u64,
    high: bool,
}

/// What the kernel says about a descriptor that is ours.
#[derive(Clone, Copy, Debug)]
pub struct State {
    /// Bytes in the file.
    pub size: u64,
}

impl Descriptor {
    /// Takes a file over, to a high number if there is one.
    pub fn keep(file: File) -> io::Result<Descriptor> {
        let (file, high) = raise(file);
        let stat = stat(file.as_raw_fd())?;
        let (device, inode) = kernel::identity(&stat);
        Ok(Descriptor { fd: file.into_raw_fd(), device, inode, high })
    }

    /// The state of the file, or None when the number is closed or shows another file now.
    pub fn state(&self) -> Option<State> {
        let stat = stat(self.fd).ok()?;
        let ours = kernel::identity(&stat) == self.identity();
        ours.then_some(State { size: stat.st_size as u64 })
    }

    /// For a call of the kernel; EBADF when the descriptor is not ours any more.
    pub fn borrow(&self) -> io::Result<BorrowedFd<'_>> {
        if !self.high && self.state().is_none() {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        // SAFETY: it is open as long as self, but for a program that closes what is not its own; then the call answers EBADF.
        Ok(unsafe { BorrowedFd::borrow_raw(self.fd) })
    }

    /// Device and inode of the file that was taken over.
    pub fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// One `write(2)`; answers how many bytes were taken, or EBADF when the descriptor is not ours any more.
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if !self.high && self.state().is_none() {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        loop {
            // SAFETY: the pointer and length are those of a slice.
            let written = unsafe { libc::write(self.fd, bytes.as_ptr().cast(), bytes.len()) };
            if let Ok(written) = usize::try_from(written) {
                return Ok(written);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// One `pread(2)` from the beginning, or None when the descriptor is not ours any more.
    #[inline]
    pub fn read(&self, buffer: &mut [u8]) -> Option<usize> {
        self.read_at(buffer, 0)
    }

    /// One `pread(2)`, or None when it failed or the descriptor is not ours any more.
    #[inline]
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Option<usize> {
        if !self.high && self.state().is_none() {
            return None;
        }
        let offset = libc::off_t::try_from(offset).ok()?;
        // SAFETY: the pointer and length are those of a slice.
        usize::try_from(unsafe { libc::pread(self.fd, buffer.as_mut_ptr().cast(), buffer.len(), offset) }).ok()
    }

    /// Size and links of a file or directory, which under `/proc` count what is in it, or None when the descriptor is not ours any more.
    pub fn size_and_links(&self) -> Option<(u64, u64)> {
        let stat = stat(self.fd).ok()?;
        let ours = kernel::identity(&stat) == self.identity();
        ours.then_some((stat.st_size as u64, stat.st_nlink as u64))
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if self.state().is_some() {
            // SAFETY: the number shows our file, and nobody else closes it.
            unsafe { libc::close(self.fd) };
        }
    }
}

/// The same open file at a high number, and whether there was one.
fn raise(file: File) -> (File, bool) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit, which is ours.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return (file, false);
    }
    let from = limit.rlim_cur.min(HIGHEST).saturating_sub(ROOM);
    if from < LOWEST {
        return (file, false);
    }
    // Another number each time: one that was closed under us must not come back as another file of ours.
    static TURN: AtomicU64 = AtomicU64::new(0);
    let from = from + TURN.fetch_add(1, Ordering::Relaxed) % (ROOM / 2);
    // SAFETY: fcntl makes a new descriptor or says no.
    let raised = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, from as libc::c_int) };
    if raised < 0 {
        return (file, false);
    }
    // SAFETY: the descriptor is new and nobody else has it.
    (unsafe { File::from_raw_fd(raised) }, true)
}

fn stat(fd: RawFd) -> io::Result<libc::stat> {
    let mut answer = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel fills the structure when it answers 0.
    unsafe {
        if libc::fstat(fd, answer.as_mut_ptr()) == 0 {
            Ok(answer.assume_init())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}
