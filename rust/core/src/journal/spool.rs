//! The directory of a spool: made, checked, and used by its descriptor only.

use std::ffi::{CStr, CString};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::directory::Directory;
use super::own::{About, Found, Owners};
use super::random;
use crate::kernel;

/// Name of the file that holds the id of a spool.
const ID_FILE: &CStr = c"spool.id";

/// In the mode of a directory: only the owner of a file may rename or remove it.
const STICKY: u32 = 0o1000;

/// An open spool.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    directory: Arc<Directory>,
}

impl Spool {
    /// Opens the directory and makes it with its id if need be. Refuses one of others than its owners, and one that others could replace.
    pub fn open(path: &Path, owners: Owners) -> io::Result<Spool> {
        match owners {
            Owners::User => DirBuilder::new().recursive(true).mode(0o700).create(path),
            Owners::Group(_) => make_shared(path, owners, true),
        }
        .map_err(|error| of_others(path, owners, error))?;
        let spool = Spool::reopen(path, owners)?;
        spool.id()?;
        Ok(spool)
    }

    /// Opens the directory that is there. All that is done in it later meets this very directory, whatever its path leads to by then.
    pub fn reopen(path: &Path, owners: Owners) -> io::Result<Spool> {
        let directory = Directory::open(path, owners).map_err(|error| of_others(path, owners, error))?;
        refuse_others(path, &directory)?;
        refuse_loose(path, &directory)?;
        Ok(Spool { path: path.to_owned(), directory: Arc::new(directory) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its directory.
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// True while its path leads to it, and no job has closed its descriptor.
    pub fn is_there(&self) -> bool {
        self.directory.is_at(&self.path)
    }

    /// The id of this spool in marks, 32 hex digits; made once, whoever comes first.
    pub fn id(&self) -> io::Result<String> {
        make_id(&self.directory)
    }

    /// Bytes that all segments together take, those that are being made included.
    pub fn used(&self) -> io::Result<u64> {
        let mut used: u64 = 0;
        for name in self.directory.names()? {
            if [b".seg", b".tmp"].iter().any(|ending| name.to_bytes().ends_with(*ending)) {
                // Gone in between: a drainer deletes what is counted.
                used = used.saturating_add(self.directory.look_at(&name)?.map_or(0, |about| about.taken));
            }
        }
        Ok(used)
    }

    /// A new file of the owners under this name.
    pub fn create(&self, name: &CStr, access: libc::c_int) -> io::Result<File> {
        self.directory.create(name, access)
    }

    /// Gives a file its final name.
    pub fn rename(&self, from: &CStr, to: &CStr) -> io::Result<()> {
        self.directory.rename(from, to)
    }

    /// Removes a file; a failure leaves a file that nobody reads.
    pub fn remove(&self, name: &CStr) {
        let _ = self.directory.remove(name);
    }
}

fn make_id(directory: &Directory) -> io::Result<String> {
    if let Some(id) = read_id(directory)? {
        return Ok(id);
    }
    let id = hex(&random::bytes());
    let temporary = c_name(&format!(".{}.tmp", hex(&random::bytes())))?;
    let mut file = directory.create(&temporary, libc::O_WRONLY)?;
    let made =
        file.write_all(id.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| directory.link(&temporary, ID_FILE));
    let _ = directory.remove(&temporary);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read_id(directory)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "spool.id is damaged: remove it")),
    }
}

fn read_id(directory: &Directory) -> io::Result<Option<String>> {
    let mut id = Vec::new();
    match directory.find(ID_FILE, libc::O_RDONLY)? {
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

/// Makes a directory of a group, with an id if it is a spool, and those on the way to it. It gets its name when it is open to the group:
/// another member who comes at the same time would be refused before. One with an id cannot be replaced by another's.
fn make_shared(path: &Path, owners: Owners, is_spool: bool) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    if !parent.as_os_str().is_empty() {
        make_shared(parent, owners, false)?;
    }
    let temporary = parent.join(format!(".{}.new", hex(&random::bytes())));
    DirBuilder::new().mode(0o700).create(&temporary)?;
    let made = (|| {
        let directory = Directory::open(&temporary, owners)?;
        directory.close_to_others()?;
        if is_spool {
            make_id(&directory)?;
        }
        fs::rename(&temporary, path)
    })();
    match made {
        Ok(()) => Ok(()),
        Err(error) => {
            // It is ours, and as new.
            let _ = fs::remove_dir_all(&temporary);
            // Somebody else was faster.
            if fs::symlink_metadata(path).is_ok() { Ok(()) } else { Err(error) }
        }
    }
}

/// Refuses a directory of others than the owners, and closes one of ours that has become open.
fn refuse_others(path: &Path, directory: &Directory) -> io::Result<()> {
    let about = directory.about()?;
    let shared = about.mode & 0o2070 == 0o2070;
    match directory.owners() {
        Owners::User if about.user != kernel::user() => {
            Err(of_others(path, directory.owners(), io::Error::from(io::ErrorKind::PermissionDenied)))
        }
        Owners::User if shared => Err(refused(format!(
            "{0} is shared by group {1}: set shared_group = \"{1}\", or chmod 700 {0}",
            path.display(),
            about.group
        ))),
        Owners::User if about.mode & 0o077 != 0 => directory.close_to_others(),
        Owners::Group(group) if about.group != group || !shared || about.mode & 0o007 != 0 => Err(refused(format!(
            "{0} is no directory of group {group} with mode 2770, as shared_group wants: chgrp -R {group} {0}; chmod -R g+rwX,o= {0}; chmod g+s {0}",
            path.display()
        ))),
        _ => Ok(()),
    }
}

/// Refuses a directory in a place where others may put another spool into its stead. A user's own group is trusted by a process, as file
/// systems do that give each user a group of his own. A shared one is refused in a sticky place too: who is no member could have made it there.
fn refuse_loose(path: &Path, directory: &Directory) -> io::Result<()> {
    let about = directory.about_parent()?;
    let (trusted, may_be_sticky) = match directory.owners() {
        Owners::User => (kernel::group(), true),
        Owners::Group(group) => (group, false),
    };
    let loose = if [0, trusted].contains(&about.group) { 0o002 } else { 0o022 };
    if about.mode & loose == 0 || may_be_sticky && about.mode & STICKY != 0 {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(path).display();
    Err(refused(format!("other users may write to {parent}, and so replace the spool in it: chmod go-w {parent}")))
}

fn refused(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

/// An error in words if it is one because something on the way to the spool belongs to others.
fn of_others(path: &Path, owners: Owners, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    let found = |path: &Path| Some((path.to_owned(), About::from(&fs::metadata(path).ok()?)));
    let user = kernel::user();
    match (path.ancestors().find_map(found), owners) {
        (Some((place, about)), Owners::User) if about.user != user => refused(format!(
            "{} belongs to user {} and this process to user {user}: give each user a state_dir; users may share a store, or a spool by shared_group",
            place.display(),
            about.user
        )),
        (Some((place, about)), Owners::Group(group)) => refused(format!(
            "user {user} may not use {}, of user {} and group {}: is the process in group {group} (shared_group), and {0} of mode 2770 and that group?",
            place.display(),
            about.user,
            about.group
        )),
        _ => error,
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
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;
    use crate::journal::scratch::Scratch;

    #[test]
    fn all_who_open_a_spool_at_once_get_one_id() {
        let scratch = Scratch::directory();
        let path = scratch.path().join("deep/spool");
        let ids: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..16).map(|_| scope.spawn(|| Spool::open(&path, Owners::User).unwrap().id().unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0] && id.len() == 32));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
    }

    #[test]
    fn the_directory_is_for_its_owner_only() {
        let scratch = Scratch::directory();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
        Spool::open(scratch.path(), Owners::User).unwrap();
        assert_eq!(fs::metadata(scratch.path()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_or_link_in_the_place_of_the_spool_is_refused() {
        let scratch = Scratch::directory();
        let (file, link) = (scratch.path().join("file"), scratch.path().join("link"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(scratch.path(), &link).unwrap();
        assert!(Spool::open(&file, Owners::User).is_err());
        assert!(Spool::open(&link, Owners::User).is_err());
    }
}
