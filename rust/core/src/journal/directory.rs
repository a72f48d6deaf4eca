//! A directory of a spool, used by its descriptor only: what is put in the place of its path later, or of a part of the path, is not met.
//!
//! All names in it are single ones and no link is followed, so plain `openat` is as strict as `openat2` would be: RESOLVE_BENEATH has nothing
//! to hold back, and RESOLVE_NO_SYMLINKS on the way to the spool would refuse the honest links of `/var/run` or of a home on another disk.

use std::ffi::{CStr, CString};
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use super::descriptor::Descriptor;
use super::own::{About, Found, Owners};
use crate::kernel;

const DIRECTORY: libc::c_int = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
/// O_NONBLOCK: opening a FIFO would wait for its other end.
const FILE: libc::c_int = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;

/// An open directory, and whose files in it are believed.
#[derive(Debug)]
pub struct Directory {
    descriptor: Descriptor,
    owners: Owners,
}

impl Directory {
    /// Opens a directory as it is, no link to one; who may use it is asked elsewhere.
    pub fn open(path: &Path, owners: Owners) -> io::Result<Directory> {
        let opened = OpenOptions::new().read(true).custom_flags(DIRECTORY).open(path)?;
        Ok(Directory { descriptor: Descriptor::keep(opened)?, owners })
    }

    /// Whose files are believed.
    pub fn owners(&self) -> Owners {
        self.owners
    }

    /// What the kernel says of it.
    pub fn about(&self) -> io::Result<About> {
        Ok(About::from(&kernel::stat_at(self.descriptor.borrow()?, c".")?))
    }

    /// What the kernel says of the directory that it lies in now, whatever its path leads to.
    pub fn about_parent(&self) -> io::Result<About> {
        Ok(About::from(&kernel::stat_at(self.descriptor.borrow()?, c"..")?))
    }

    /// True while its descriptor is ours and its path leads to it.
    pub fn is_at(&self, path: &Path) -> bool {
        let at =
            std::fs::symlink_metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == self.descriptor.identity());
        at && self.descriptor.state().is_some()
    }

    /// Gives it to the owners and keeps all others out.
    pub fn close_to_others(&self) -> io::Result<()> {
        let own = File::from(self.descriptor.borrow()?.try_clone_to_owned()?);
        if let Owners::Group(group) = self.owners {
            std::os::unix::fs::fchown(&own, None, Some(group))?;
        }
        own.set_permissions(Permissions::from_mode(self.owners.directory_mode()))
    }

    /// Opens a file with this access, such as O_RDONLY. Never makes one.
    pub fn find(&self, name: &CStr, access: libc::c_int) -> io::Result<Found> {
        match kernel::open_at(self.descriptor.borrow()?, name, access | FILE) {
            Ok(file) => {
                let about = About::from(&file.metadata()?);
                Ok(if self.owners.have(&about) { Found::Own(file, about) } else { Found::Planted })
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOENT) => Ok(Found::None),
                // In order: a link; a socket, or a device that is not there; a directory.
                Some(libc::ELOOP | libc::ENXIO | libc::ENODEV | libc::EISDIR) => Ok(Found::Planted),
                // A file of another user; or one of ours, and this will pass.
                Some(libc::EACCES | libc::EPERM) if !self.should_open(name, access) => Ok(Found::Planted),
                _ => Err(error),
            },
        }
    }

    /// What the kernel should have permitted.
    fn should_open(&self, name: &CStr, access: libc::c_int) -> bool {
        let write = access & libc::O_ACCMODE != libc::O_RDONLY;
        match self.look_at(name) {
            Ok(Some(about)) => self.owners.have(&about) && self.owners.may_open(&about, write),
            _ => true,
        }
    }

    /// What a name stands for, a link itself; None when it stands for nothing.
    pub fn look_at(&self, name: &CStr) -> io::Result<Option<About>> {
        match kernel::stat_at(self.descriptor.borrow()?, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            stat => stat.map(|stat| Some(About::from(&stat))),
        }
    }

    /// All names in it.
    pub fn names(&self) -> io::Result<Vec<CString>> {
        kernel::names_in(self.descriptor.borrow()?)
    }

    /// A new file of the owners under this name.
    pub fn create(&self, name: &CStr, access: libc::c_int) -> io::Result<File> {
        let flags = access | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let file = kernel::open_at(self.descriptor.borrow()?, name, flags)?;
        if self.owners != Owners::User {
            // The mask of the process takes away what the group needs.
            file.set_permissions(Permissions::from_mode(self.owners.file_mode()))?;
        }
        Ok(file)
    }

    /// Gives a file its final name.
    pub fn rename(&self, from: &CStr, to: &CStr) -> io::Result<()> {
        let directory = self.descriptor.borrow()?;
        kernel::rename_at(directory, from, directory, to)
    }

    /// Moves what has this name into another directory.
    pub fn move_to(&self, name: &CStr, other: &Directory) -> io::Result<()> {
        kernel::rename_at(self.descriptor.borrow()?, name, other.descriptor.borrow()?, name)
    }

    /// A second name, which must not exist.
    pub fn link(&self, from: &CStr, to: &CStr) -> io::Result<()> {
        kernel::link_at(self.descriptor.borrow()?, from, to)
    }

    /// Removes a file.
    pub fn remove(&self, name: &CStr) -> io::Result<()> {
        kernel::unlink_at(self.descriptor.borrow()?, name, 0)
    }

    /// Opens a directory of the owners in this one; None when there is none, or one of others.
    pub fn inner(&self, name: &CStr) -> Option<Directory> {
        let opened = kernel::open_at(self.descriptor.borrow().ok()?, name, DIRECTORY).ok()?;
        let own = self.owners.have_made(&About::from(&opened.metadata().ok()?));
        own.then(|| Descriptor::keep(opened).ok()).flatten().map(|descriptor| Directory { descriptor, ..*self })
    }

    /// Makes a directory of the owners in this one, as far as there is none of any kind.
    pub fn make_inner(&self, name: &CStr) -> Option<Directory> {
        let made = kernel::make_directory_at(self.descriptor.borrow().ok()?, name, 0o700);
        let inner = self.inner(name);
        if let (Ok(()), Some(inner), Owners::Group(_)) = (made, &inner, self.owners) {
            inner.close_to_others().ok()?;
        }
        inner
    }
}

/// A name in a directory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it is.
    pub directory: Arc<Directory>,
    /// What it is called there.
    pub name: CString,
}

impl Entry {
    /// That of a file of this user, by its path; what its directory is, is not asked.
    pub fn at(path: &Path) -> io::Result<Entry> {
        let directory = Directory::open(path.parent().unwrap_or(path), Owners::User)?;
        Ok(Entry {
            directory: Arc::new(directory),
            name: CString::new(path.file_name().unwrap_or_default().as_bytes())?,
        })
    }

    /// Opens the file with this access.
    pub fn find(&self, access: libc::c_int) -> io::Result<Found> {
        self.directory.find(&self.name, access)
    }
}
