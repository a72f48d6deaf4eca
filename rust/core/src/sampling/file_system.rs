//! The file system that a path lies on: its name, as `doctor` shows it, and whether it can hang.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::kernel;

/// Names of the numbers in `statfs(2)`; those that workers meet.
const NAMES: [(u32, &str); 22] = [
    (0x0000_EF53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683E, "btrfs"),
    (0x0102_1994, "tmpfs"),
    (0x8584_58F6, "ramfs"),
    (0x794C_7630, "overlay"),
    (0x0000_6969, "nfs"),
    (0xFF53_4D42, "cifs"),
    (0xFE53_4D42, "smb2"),
    (0x6573_5546, "fuse"),
    (0x0102_1997, "9p"),
    (0x2FC1_2FC1, "zfs"),
    (0xF2F5_2010, "f2fs"),
    (0xCA45_1A4E, "bcachefs"),
    (0x6165_676C, "pstore"),
    (0x7371_7368, "squashfs"),
    (0x00C3_6400, "ceph"),
    (0x0BD0_0BD0, "lustre"),
    (0x0116_1970, "gfs2"),
    (0x7461_636F, "ocfs2"),
    (0x786F_4256, "vboxsf"),
    (0x0000_F15F, "ecryptfs"),
];

/// The name of the file system of a path; "unknown" when the kernel does not say.
pub fn file_system(path: &Path) -> &'static str {
    magic(path).and_then(name).unwrap_or("unknown")
}

/// File systems on disks and in memory, which always answer. So does an overlay: what is written to it must lie on one of these. FUSE,
/// whose server may be on this machine, is none.
const OF_THIS_MACHINE: [&str; 10] =
    ["ext4", "xfs", "btrfs", "tmpfs", "ramfs", "overlay", "zfs", "f2fs", "bcachefs", "squashfs"];

/// Whether no server and no other process is behind the file system of a path. Itself as slow as the answer.
pub fn is_of_this_machine(path: &Path) -> bool {
    OF_THIS_MACHINE.contains(&file_system(path))
}

fn magic(path: &Path) -> Option<u32> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    kernel::statfs(&path).map(|found| found.f_type as u32)
}

fn name(magic: u32) -> Option<&'static str> {
    NAMES.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_unknown_numbers() {
        assert_eq!(name(0xEF53), Some("ext4"));
        assert_eq!(name(0x0102_1994), Some("tmpfs"));
        assert_eq!(name(0x9123_683E), Some("btrfs"));
        assert_eq!(name(1), None);
    }

    #[test]
    fn file_systems_that_may_hang_are_not_of_this_machine() {
        assert!(is_of_this_machine(Path::new("/dev/shm")));
        for other in ["/proc", "/sys", "/no/such/place"] {
            assert!(!is_of_this_machine(Path::new(other)), "{other}");
        }
        let known = |other: &str| NAMES.iter().any(|(_, name)| *name == other);
        assert!(OF_THIS_MACHINE.iter().all(|name| known(name)));
        for server in ["nfs", "cifs", "smb2", "fuse", "9p", "ceph", "lustre", "vboxsf"] {
            assert!(known(server) && !OF_THIS_MACHINE.contains(&server), "{server}");
        }
    }

    #[test]
    fn a_missing_path_is_unknown() {
        assert_eq!(file_system(Path::new("/no/such/place")), "unknown");
        assert_eq!(file_system(Path::new("a\0b")), "unknown");
    }
}
