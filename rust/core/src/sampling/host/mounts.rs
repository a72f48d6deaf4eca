//! `/proc/self/mountinfo`: which file systems are mounted, each once.
//!
//! Source: proc_pid_mountinfo(5).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::super::text;
pub use super::pseudo::PSEUDO;

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Major and minor number of its device: what tells bind mounts from file systems of their own.
    pub device: (u64, u64),
    /// Where it is.
    pub mountpoint: PathBuf,
    /// Its type: `ext4`, `nfs4`.
    pub filesystem: String,
    /// What is mounted, as the kernel shows it: `/dev/vda1`, `server:/export`.
    pub source: String,
    /// Whether nothing can be written through this mount.
    pub read_only: bool,
}

/// File systems that can fill, each once, in the order of the table. Lines that are not understood are left out.
///
/// Of several mounts of one device the shortest path is kept, of several at one path the last, which covers the others. An overlay is
/// kept at `/` only: elsewhere it is the root of some container on this host, on a disk that is counted anyway.
pub fn parse(table: &[u8]) -> Vec<Mount> {
    let mut mounts: Vec<Mount> = Vec::new();
    for mount in text::lines(table).filter_map(mount) {
        mounts.retain(|covered| covered.mountpoint != mount.mountpoint);
        mounts.push(mount);
    }
    mounts.retain(|mount| {
        let overlay_of_another = mount.filesystem == "overlay" && mount.mountpoint.as_os_str() != "/";
        !overlay_of_another && !PSEUDO.contains(&mount.filesystem.as_str())
    });
    let mut found: Vec<Mount> = Vec::new();
    for mount in mounts {
        match found.iter_mut().find(|known| known.device == mount.device) {
            None => found.push(mount),
            Some(known) if mount.mountpoint.as_os_str().len() < known.mountpoint.as_os_str().len() => *known = mount,
            Some(_) => {}
        }
    }
    found
}

/// `36 35 98:0 /subtree /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn mount(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|byte| *byte == b' ');
    let device = words.nth(2)?;
    let colon = device.iter().position(|byte| *byte == b':')?;
    let device = (text::decimal(&device[..colon])?, text::decimal(&device[colon + 1..])?);
    let mountpoint = PathBuf::from(OsString::from_vec(unescaped(words.nth(1)?)));
    let options = words.next()?;
    words.find(|word| *word == b"-")?;
    let filesystem = String::from_utf8_lossy(&unescaped(words.next()?)).into_owned();
    let source = String::from_utf8_lossy(&unescaped(words.next()?)).into_owned();
    Some(Mount {
        device,
        mountpoint,
        filesystem,
        source,
        read_only: options.split(|byte| *byte == b',').any(|option| option == b"ro"),
    })
}

/// Blank, tab, line feed, backslash and `#` stand as `\040` and so on.
fn unescaped(escaped: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let [first, behind @ ..] = rest {
        if *first == b'\\'
            && let [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] = behind
        {
            plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = after;
        } else {
            plain.push(*first);
            rest = behind;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points(table: &str) -> Vec<String> {
        parse(table.as_bytes()).iter().map(|mount| mount.mountpoint.display().to_string()).collect()
    }

    #[test]
    fn every_field_of_a_mount() {
        let found = parse(b"36 35 254:1 / /mnt/my\\040disk\\134x ro,noatime shared:1 master:2 - ext4 /dev/my\\011disk rw,errors=continue\n");
        let expected = Mount {
            device: (254, 1),
            mountpoint: "/mnt/my disk\\x".into(),
            filesystem: "ext4".into(),
            source: "/dev/my\tdisk".into(),
            read_only: true,
        };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn pseudo_file_systems_and_memory_are_left_out() {
        let table = "1 1 0:5 / /proc rw - proc proc rw\n2 1 0:6 / /dev/shm rw - tmpfs tmpfs rw\n3 1 7:1 / /snap/x ro - squashfs /dev/loop1 ro\n\
                     4 1 8:1 / / rw - ext4 /dev/sda1 rw\n5 1 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n6 1 0:31 / /srv rw - nfs4 h:/x rw\n";
        assert_eq!(points(table), ["/", "/srv"]);
    }

    #[test]
    fn a_bind_mount_is_its_file_system_once_and_the_shortest_path_names_it() {
        let table = "1 1 8:1 /var/x /data/bind rw - ext4 /dev/sda1 rw\n2 1 8:1 / / rw - ext4 /dev/sda1 rw\n3 1 8:1 /etc/hosts /etc/hosts rw - ext4 /dev/sda1 rw\n";
        assert_eq!(points(table), ["/"]);
    }

    #[test]
    fn what_is_mounted_over_covers_what_was_there() {
        let table = "1 1 8:1 / /data rw - ext4 /dev/sda1 rw\n2 1 8:2 / /data rw - xfs /dev/sda2 rw\n";
        let found = parse(table.as_bytes());
        assert_eq!((found.len(), found[0].filesystem.as_str()), (1, "xfs"));
        assert_eq!(points(&format!("{table}3 1 0:9 / /data rw - tmpfs t rw\n")), Vec::<String>::new());
    }

    #[test]
    fn an_overlay_counts_as_root_only() {
        let table =
            "1 1 0:50 / / rw - overlay overlay rw,lowerdir=/a\n2 1 0:51 / /var/lib/x/merged rw - overlay overlay rw\n";
        assert_eq!(points(table), ["/"]);
    }

    #[test]
    fn broken_lines_are_left_out() {
        for line in [
            "",
            "1 1 8:1 / /x rw",
            "1 1 81 / /x rw - ext4 /dev/sda1 rw\n",
            "1 1 8:1 / /x rw ext4 /dev/sda1 rw\n",
            "1 1 8:1 / /x rw - ext4\n",
        ] {
            assert_eq!(points(&format!("{line}\n")), Vec::<String>::new(), "{line}");
        }
        assert_eq!(unescaped(b"a\\04\\999\\"), b"a\\04\\999\\");
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(noise: Vec<u8>) {
            let _ = parse(&noise);
        }

        #[test]
        fn every_path_is_read_back(path: Vec<u8>) {
            let escaped: Vec<u8> = path.iter().flat_map(|byte| match byte {
                b' ' | b'\t' | b'\n' | b'\\' | b'#' => format!("\\{byte:03o}").into_bytes(),
                other => vec![*other],
            }).collect();
            prop_assert_eq!(unescaped(&escaped), path);
        }
    }
}
