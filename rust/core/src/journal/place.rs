//! Where the file of a segment lies, and whether a drainer still finds it there.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::kernel;

/// A file by its path, device and inode.
#[derive(Debug)]
pub struct FilePlace {
    path: CString,
    device: u64,
    inode: u64,
}

impl FilePlace {
    /// Of a file that has, or is about to get, this path.
    pub fn of(file: &File, path: &Path) -> io::Result<FilePlace> {
        let about = file.metadata()?;
        let path = CString::new(path.as_os_str().as_bytes())?;
        Ok(FilePlace { path, device: about.dev(), inode: about.ino() })
    }

    /// False when the file was deleted, renamed or cut below a size, or its directory was. True when the kernel does not let this process
    /// look any more, as after a change of user. One system call.
    pub fn is_whole(&self, bytes: u64) -> bool {
        match kernel::lstat(&self.path) {
            Ok(stat) => {
                kernel::identity(&stat) == (self.device, self.inode)
                    && u64::try_from(stat.st_size).is_ok_and(|size| size >= bytes)
            }
            Err(error) => !matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::journal::scratch::Scratch;

    #[test]
    fn a_file_that_was_moved_replaced_cut_or_deleted_is_noticed() {
        let scratch = Scratch::directory();
        let (path, other) = (scratch.path().join("a"), scratch.path().join("b"));
        fs::write(&path, [1; 100]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let place = FilePlace::of(&file, &path).unwrap();
        assert!(place.is_whole(100) && !place.is_whole(101));
        fs::rename(&path, &other).unwrap();
        assert!(!place.is_whole(0));
        fs::write(&path, [1; 100]).unwrap();
        assert!(!place.is_whole(0), "another file under this name");
        fs::rename(&other, &path).unwrap();
        assert!(place.is_whole(100));
        file.set_len(99).unwrap();
        assert!(!place.is_whole(100));
        fs::remove_file(&path).unwrap();
        assert!(!place.is_whole(0));
    }
}
