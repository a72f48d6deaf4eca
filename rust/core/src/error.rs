//! What can go wrong in the core: bytes that cannot be read, and the file system.

use std::fmt;
use std::io;

/// The one error of this crate.
#[derive(Debug)]
pub enum Error {
    /// Bytes of ours are damaged or newer than this version: what, and at which byte.
    Decode {
        /// What was being read.
        what: &'static str,
        /// Offset of the first byte that made no sense.
        at: usize,
    },
    /// Bytes that a newer version of the package wrote; of them nothing is read.
    Newer {
        /// What was being read.
        what: &'static str,
        /// Its version.
        version: u32,
    },
    /// A count or sum would leave 64 bits.
    Overflow {
        /// The part of the value that overflowed.
        what: &'static str,
    },
    /// The operating system said no.
    Io(io::Error),
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Decode { what, at } => write!(f, "cannot read {what}: damaged or newer at byte {at}"),
            Error::Newer { what, version } => {
                write!(f, "cannot read {what} of version {version}, which is newer than this package")
            }
            Error::Overflow { what } => write!(f, "{what} would leave 64 bits"),
            Error::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Io(error)
    }
}
