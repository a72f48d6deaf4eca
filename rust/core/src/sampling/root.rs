//! Where `/proc` and `/sys` begin: at `/`, or in a fixture tree of a test.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directory that the readers take for `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Default for Root {
    fn default() -> Root {
        Root(PathBuf::from("/"))
    }
}

impl Root {
    /// A tree that is not this machine's, for tests.
    pub fn at(path: &Path) -> Root {
        Root(path.to_owned())
    }

    /// Whether this is the machine's own root, so that system calls speak of the same processes as the files.
    pub fn is_real(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// A path as the kernel's documentation writes it, with or without the first `/`.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The content of a file, or why there is none: `/proc/1/environ: permission denied`.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Vec<u8>, String> {
        let path = path.as_ref();
        fs::read(self.path(path)).map_err(|error| reason(&path.display().to_string(), &error))
    }
}

/// Why a file gave nothing, as a sample says it.
pub fn reason(path: &str, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "no such file",
        io::ErrorKind::PermissionDenied => "permission denied",
        _ => match error.raw_os_error() {
            Some(libc::ESRCH) => "the process is gone",
            Some(libc::EOPNOTSUPP) => "switched off in the kernel",
            _ => return format!("{path}: {error}"),
        },
    };
    format!("{path}: {why}")
}

/// Why the content of a file is of no use.
pub fn malformed(path: &str) -> String {
    format!("{path}: not understood")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_below_the_root_and_reasons_name_them_without_it() {
        let root = Root::at(Path::new("/no/such/tree"));
        assert_eq!(root.path("/proc/stat"), Path::new("/no/such/tree/proc/stat"));
        assert_eq!(root.path("proc/stat"), root.path("/proc/stat"));
        assert_eq!(root.read("/proc/stat"), Err("/proc/stat: no such file".into()));
        assert!(!root.is_real() && Root::default().is_real());
    }
}
