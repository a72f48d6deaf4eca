//! Whose files of a spool are believed: plain ones, of this user or of the group that shares the spool. Opens nothing.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;

use crate::kernel;

/// Who may write to a spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owners {
    /// This user alone.
    #[default]
    User,
    /// The members of the group with this number, who trust each other.
    Group(u32),
}

impl Owners {
    /// Mode of the directories in a spool. That of a group hands the group on to what is made in it.
    pub fn directory_mode(self) -> u32 {
        match self {
            Owners::User => 0o700,
            Owners::Group(_) => 0o2770,
        }
    }

    /// Mode of the files in a spool.
    pub fn file_mode(self) -> u32 {
        match self {
            Owners::User => 0o600,
            Owners::Group(_) => 0o660,
        }
    }

    /// True for a plain file of theirs. Only a member can have made one with the group in a directory that nobody else may write to.
    pub fn have(self, about: &About) -> bool {
        about.is_file() && self.have_made(about)
    }

    /// True when it bears their user or group.
    pub fn have_made(self, about: &About) -> bool {
        about.user == kernel::user() || matches!(self, Owners::Group(group) if about.group == group)
    }

    /// True when the mode of a file of theirs lets this process read it, and write to it as well if asked.
    pub fn may_open(self, about: &About, write: bool) -> bool {
        let needed = if write { 0o6 } else { 0o4 };
        let shift = if about.user == kernel::user() { 6 } else { 3 };
        about.mode >> shift & needed == needed
    }
}

/// In a mode, as POSIX has them: the type, and two of them.
const KIND: u32 = 0o170_000;
const PLAIN: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;

/// What the kernel says of a file, a directory, or a link itself.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Device and inode.
    pub identity: (u64, u64),
    /// Type and permissions.
    pub mode: u32,
    /// Its user.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// Its names.
    pub links: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Bytes that it takes: its length, of which a hole does not count; the length alone where the file system tells of no blocks.
    pub taken: u64,
    /// When it was changed last, seconds since 1970.
    pub modified: i64,
}

impl About {
    /// A plain file.
    pub fn is_file(&self) -> bool {
        self.mode & KIND == PLAIN
    }

    /// A directory.
    pub fn is_directory(&self) -> bool {
        self.mode & KIND == DIRECTORY
    }
}

impl From<&Metadata> for About {
    fn from(about: &Metadata) -> About {
        About {
            identity: (about.dev(), about.ino()),
            mode: about.mode(),
            user: about.uid(),
            group: about.gid(),
            links: about.nlink(),
            length: about.len(),
            taken: taken(about.len(), about.blocks()),
            modified: about.mtime(),
        }
    }
}

impl From<&libc::stat> for About {
    #[allow(clippy::unnecessary_cast, reason = "other machines have narrower numbers")]
    fn from(stat: &libc::stat) -> About {
        let length = stat.st_size as u64;
        About {
            identity: kernel::identity(stat),
            mode: stat.st_mode as u32,
            user: stat.st_uid,
            group: stat.st_gid,
            links: stat.st_nlink as u64,
            length,
            taken: taken(length, stat.st_blocks as u64),
            modified: stat.st_mtime,
        }
    }
}

fn taken(length: u64, blocks: u64) -> u64 {
    match blocks.saturating_mul(512) {
        0 => length,
        allocated => allocated.min(length),
    }
}

/// What stands under a name.
#[derive(Debug)]
pub enum Found {
    /// A plain file of the owners.
    Own(File, About),
    /// A link, a FIFO, a directory, a device, or a file of another user.
    Planted,
    /// Nothing.
    None,
}
