//! Which of the two ways to append a spool gets, and why.

use crate::sampling::file_system::file_system;

use super::format::Way;
use super::spool::Spool;

/// What the user wishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// A map where that is known to be safe.
    #[default]
    Auto,
    /// One `write(2)` a record.
    Write,
    /// A map also where nobody has tried it, but not where it cannot work.
    Map,
}

impl Wish {
    /// Names in the configuration.
    pub const NAMES: [(&'static str, Wish); 3] = [("auto", Wish::Auto), ("write", Wish::Write), ("map", Wish::Map)];

    /// The wish of this name.
    pub fn from_name(name: &str) -> Option<Wish> {
        Wish::NAMES.iter().find(|(known, _)| *known == name).map(|(_, wish)| *wish)
    }
}

/// A page that was allocated once can be stored to for ever, and a read sees a store at once.
const SAFE: [&str; 3] = ["ext4", "xfs", "tmpfs"];
/// Stores of one machine are not seen by another, or not at once.
const SHARED_BY_MACHINES: [&str; 12] =
    ["nfs", "cifs", "smb2", "fuse", "9p", "ceph", "lustre", "gfs2", "ocfs2", "vboxsf", "ecryptfs", "pstore"];

/// The way for a spool, and why in a few words.
pub fn choose(spool: &Spool, wish: Wish) -> (Way, String) {
    choose_for(file_system(spool.path()), wish)
}

/// The way on a file system of this name, and why.
pub fn choose_for(kind: &str, wish: Wish) -> (Way, String) {
    if cfg!(not(target_endian = "little")) {
        return (Way::Write, "a map needs a little-endian processor".to_owned());
    }
    match wish {
        Wish::Write => (Way::Write, "configured".to_owned()),
        Wish::Map if SHARED_BY_MACHINES.contains(&kind) => {
            (Way::Write, format!("a map was configured, but {kind} may show its records late or to nobody"))
        }
        Wish::Map => (Way::Map, "configured".to_owned()),
        Wish::Auto if SAFE.contains(&kind) => (Way::Map, format!("{kind} keeps what was allocated")),
        Wish::Auto => (Way::Write, format!("{kind} is not known to be safe for a map")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_for_file_systems_that_keep_what_they_allocated() {
        for kind in ["ext4", "xfs", "tmpfs"] {
            assert_eq!(choose_for(kind, Wish::Auto).0, Way::Map, "{kind}");
            assert_eq!(choose_for(kind, Wish::Write), (Way::Write, "configured".to_owned()));
        }
        for kind in ["btrfs", "zfs", "overlay", "nfs", "cifs", "smb2", "9p", "fuse", "ramfs", "f2fs", "unknown"] {
            let (way, why) = choose_for(kind, Wish::Auto);
            assert_eq!(way, Way::Write, "{kind}");
            assert!(why.contains(kind), "{why}");
        }
    }

    #[test]
    fn a_configured_map_is_refused_only_where_it_cannot_work() {
        assert_eq!(choose_for("btrfs", Wish::Map).0, Way::Map);
        assert_eq!(choose_for("overlay", Wish::Map).0, Way::Map);
        assert_eq!(choose_for("nfs", Wish::Map).0, Way::Write);
        assert_eq!(Wish::from_name("map"), Some(Wish::Map));
        assert_eq!(Wish::from_name("mmap"), None);
    }
}
