//! The directory of a spool: made, checked, and used by its descriptor only.

use std::ffi::{CStr, CString};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::own::{self, Found};
use super::random;
use crate::kernel;

/// Name of the file that holds the id of a spool.
const ID_FILE: &CStr = c"spool.id";

/// An open spool.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    directory: File,
}

impl Spool {
    /// Opens the directory and makes it with its id if need be. Refuses one of another user, and one that others could replace.
    pub fn open(path: &Path) -> io::Result<Spool> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| of_others(path, error))?;
        let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let directory = opened.map_err(|error| of_others(path, error))?;
        let about = directory.metadata()?;
        if about.uid() != kernel::user() {
            return Err(of_others(path, io::Error::from(io::ErrorKind::PermissionDenied)));
        }
        refuse_loose(path.parent())?;
        if about.mode() & 0o077 != 0 {
            directory.set_permissions(fs::Permissions::from_mode(0o700))?;
        }
        let spool = Spool { path: path.to_owned(), directory };
        spool.id()?;
        Ok(spool)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The id of this spool in marks, 32 hex digits; made once, whoever comes first.
    pub fn id(&self) -> io::Result<String> {
        if let Some(id) = self.read_id()? {
            return Ok(id);
        }
        let id = hex(&random::bytes());
        let temporary = c_name(&format!(".{}.tmp", hex(&random::bytes())))?;
        let mut file = self.create(&temporary, libc::O_WRONLY)?;
        let made =
            file.write_all(id.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| self.link(&temporary, ID_FILE));
        self.remove(&temporary);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => self
                .read_id()?
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "spool.id is damaged: remove it")),
        }
    }

    /// Bytes that all segments together take, those that are being made included.
    pub fn used(&self) -> io::Result<u64> {
        let mut used: u64 = 0;
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "seg" || extension == "tmp") {
                // Gone in between: a drainer deletes what is counted.
                used = used.saturating_add(entry.metadata().map_or(0, |about| taken(&about)));
            }
        }
        Ok(used)
    }

    /// A new file of mode 0600 under this name.
    pub fn create(&self, name: &CStr, access: libc::c_int) -> io::Result<File> {
        let flags = access | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        kernel::open_at(&self.directory, name, flags)
    }

    /// Gives a file its final name.
    pub fn rename(&self, from: &CStr, to: &CStr) -> io::Result<()> {
        kernel::rename_at(&self.directory, from, to)
    }

    /// Removes a file; a failure leaves a file that nobody reads.
    pub fn remove(&self, name: &CStr) {
        let _ = kernel::unlink_at(&self.directory, name);
    }

    /// A second name, which must not exist.
    fn link(&self, from: &CStr, to: &CStr) -> io::Result<()> {
        kernel::link_at(&self.directory, from, to)
    }

    fn read_id(&self) -> io::Result<Option<String>> {
        let mut id = Vec::new();
        match own::open_at(&self.directory, ID_FILE)? {
            Found::Own(file, _) => file.take(64).read_to_end(&mut id)?,
            Found::Planted => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "spool.id is no file of this user: remove it"));
            }
            Found::None => return Ok(None),
        };
        let id = id.trim_ascii_end();
        match str::from_utf8(id) {
            Ok(id) if id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => Ok(Some(id.to_owned())),
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "spool.id is damaged: remove it")),
        }
    }
}

/// Refuses a directory in which others may put another spool in the place of ours. Its own group is trusted by a process, as file systems
/// do that give each user a group of his own.
fn refuse_loose(parent: Option<&Path>) -> io::Result<()> {
    let Some(parent) = parent.filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
    let about = fs::metadata(parent)?;
    let own_group = [0, kernel::group()].contains(&about.gid());
    let loose = if own_group { 0o002 } else { 0o022 };
    if about.mode() & loose == 0 || about.mode() & libc::S_ISVTX != 0 {
        return Ok(());
    }
    let text =
        format!("other users may write to {0}, and so replace the spool in it: chmod go-w {0}", parent.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

/// An error in words if it is one because something on the way to the spool belongs to another user.
fn of_others(path: &Path, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    let found = |path: &Path| Some((path.to_owned(), fs::metadata(path).ok()?.uid()));
    match path.ancestors().find_map(found) {
        Some((place, owner)) if owner != kernel::user() => {
            let text = format!(
                "{} belongs to user {owner} and this process to user {}: give each user a state_dir; users may share a store",
                place.display(),
                kernel::user()
            );
            io::Error::new(io::ErrorKind::PermissionDenied, text)
        }
        _ => error,
    }
}

/// Bytes that a file takes: its length, of which a hole does not count; the length alone where the file system tells of no blocks.
pub fn taken(about: &Metadata) -> u64 {
    match about.blocks().saturating_mul(512) {
        0 => about.len(),
        allocated => allocated.min(about.len()),
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A name for the kernel.
pub fn c_name(name: &str) -> io::Result<CString> {
    Ok(CString::new(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::scratch::Scratch;

    #[test]
    fn all_who_open_a_spool_at_once_get_one_id() {
        let scratch = Scratch::directory();
        let path = scratch.path().join("deep/spool");
        let ids: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| Spool::open(&path).unwrap().id().unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0] && id.len() == 32));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }

    #[test]
    fn the_directory_is_for_its_owner_only() {
        let scratch = Scratch::directory();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
        Spool::open(scratch.path()).unwrap();
        assert_eq!(fs::metadata(scratch.path()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_or_link_in_the_place_of_the_spool_is_refused() {
        let scratch = Scratch::directory();
        let (file, link) = (scratch.path().join("file"), scratch.path().join("link"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(scratch.path(), &link).unwrap();
        assert!(Spool::open(&file).is_err());
        assert!(Spool::open(&link).is_err());
    }
}
