//! Opens a file of a spool that is ours: plain, and of this user. What somebody else has put under its name is not followed, not waited
//! for and not believed.

use std::ffi::CStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::kernel;

/// What stands under a name.
#[derive(Debug)]
pub enum Found {
    /// A plain file of this user.
    Own(File, Metadata),
    /// A link, a FIFO, a directory, a device, or a file of another user.
    Planted,
    /// Nothing.
    None,
}

/// O_NONBLOCK: opening a FIFO would wait for its other end.
const FLAGS: libc::c_int = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;

/// Opens a file to read, and to write as well if asked to. Never makes one.
pub fn open(path: &Path, write: bool) -> io::Result<Found> {
    let needed = if write { 0o600 } else { 0o400 };
    found(OpenOptions::new().read(true).write(write).custom_flags(FLAGS).open(path), || {
        fs::symlink_metadata(path).map_or(true, |about| is_own(&about) && about.mode() & needed == needed)
    })
}

/// Opens a file in a directory to read.
pub fn open_at(directory: &File, name: &CStr) -> io::Result<Found> {
    found(kernel::open_at(directory, name, libc::O_RDONLY | FLAGS), || true)
}

/// What was opened, or not; `should_open` is asked when the kernel did not permit it.
fn found(opened: io::Result<File>, should_open: impl Fn() -> bool) -> io::Result<Found> {
    match opened {
        Ok(file) => {
            let about = file.metadata()?;
            Ok(if is_own(&about) { Found::Own(file, about) } else { Found::Planted })
        }
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOENT) => Ok(Found::None),
            // In order: a link; a socket, or a device that is not there; a directory.
            Some(libc::ELOOP | libc::ENXIO | libc::ENODEV | libc::EISDIR) => Ok(Found::Planted),
            // A file of another user; or one of ours, and this will pass.
            Some(libc::EACCES | libc::EPERM) if !should_open() => Ok(Found::Planted),
            _ => Err(error),
        },
    }
}

fn is_own(about: &Metadata) -> bool {
    about.is_file() && about.uid() == kernel::user()
}

/// Whether a path is a directory of this user, and no link to one.
pub fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_dir() && about.uid() == kernel::user())
}
