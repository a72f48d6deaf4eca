//! Memory of a group: limits, use, working set, swap, kills.

use super::cpu::{first_of, nearest, optional};
use super::hierarchy::{Place, Version, join};
use crate::sampling::root::{Root, malformed};
use crate::sampling::text::{keyed, single};
use crate::sampling::unread::Unread;

/// 2^63 less room for a page of any size: nobody has that much.
const NO_LIMIT: u64 = 9_000_000_000_000_000_000;

/// Memory of a group, bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemorySample {
    /// The least limit of the group and those around it (`memory.max`).
    pub limit_bytes: Option<u64>,
    /// The least limit above which it is slowed down (`memory.high`); version 2 only.
    pub high_bytes: Option<u64>,
    /// In use, with the cache of files.
    pub usage_bytes: Option<u64>,
    /// In use without the cache that can be dropped at once (`inactive_file`): what the kernel's killer looks at.
    pub working_set_bytes: Option<u64>,
    /// Swapped out.
    pub swap_bytes: Option<u64>,
    /// The least limit of swap.
    pub swap_limit_bytes: Option<u64>,
    /// Processes that were killed because the group was full, since it was made.
    pub oom_kills: Option<u64>,
    /// The group and those around it.
    pub levels: Vec<MemoryLevel>,
}

/// One group on the way up, bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemoryLevel {
    /// Its directory.
    pub directory: String,
    /// Its limit; None: none of its own.
    pub limit_bytes: Option<u64>,
    /// Its working set, with that of the groups in it.
    pub working_set_bytes: Option<u64>,
}

impl MemorySample {
    /// What can still be taken before a limit on the way up is met. None without a limit.
    pub fn headroom_bytes(&self) -> Option<u64> {
        let room = |level: &MemoryLevel| Some(level.limit_bytes?.saturating_sub(level.working_set_bytes?));
        self.levels.iter().filter_map(room).min()
    }
}

/// Memory of the group now.
pub fn read(root: &Root, place: Option<&Place>, unread: &mut Unread) -> MemorySample {
    let mut sample = MemorySample::default();
    let Some(place) = place else {
        unread.note("usage_bytes", "no control group for memory");
        return sample;
    };
    let names = names(place.version);
    let directories = place.levels();
    let mut used = Vec::with_capacity(directories.len());
    for directory in &directories {
        let limit = unread.keep(&["limit_bytes"], limit(root, directory, names.limit)).flatten();
        let of_group = working_set(root, directory, names);
        sample.levels.push(MemoryLevel {
            directory: directory.clone(),
            limit_bytes: limit,
            working_set_bytes: of_group.as_ref().ok().map(|(_, working_set)| *working_set),
        });
        used.push(of_group);
    }
    let mut least = |field, name: &str| least(root, &directories, name, field, unread);
    sample.high_bytes = names.high.and_then(|name| least("high_bytes", name));
    sample.swap_limit_bytes = names.swap_limit.and_then(|name| least("swap_limit_bytes", name));
    sample.limit_bytes = sample.levels.iter().filter_map(|level| level.limit_bytes).min();
    // The same readings as those of the groups: another one may be some pages off, and the room left would not be what is left.
    if let Some((usage, working_set)) = unread.keep(&["usage_bytes", "working_set_bytes"], first_of(used.into_iter())) {
        (sample.usage_bytes, sample.working_set_bytes) = (Some(usage), Some(working_set));
    }
    let swap = nearest(&directories, |directory| number(root, directory, names.swap, names.swap_key));
    sample.swap_bytes = unread.keep(&["swap_bytes"], swap);
    let kills = nearest(&directories, |directory| number(root, directory, names.kills, Some("oom_kill")));
    sample.oom_kills = unread.keep(&["oom_kills"], kills);
    sample
}

/// What the two versions call the same things.
#[derive(Clone, Copy)]
struct Names {
    usage: &'static str,
    limit: &'static str,
    high: Option<&'static str>,
    cache_key: &'static str,
    swap: &'static str,
    swap_key: Option<&'static str>,
    swap_limit: Option<&'static str>,
    kills: &'static str,
}

fn names(version: Version) -> Names {
    match version {
        Version::V2 => Names {
            usage: "memory.current",
            limit: "memory.max",
            high: Some("memory.high"),
            cache_key: "inactive_file",
            swap: "memory.swap.current",
            swap_key: None,
            swap_limit: Some("memory.swap.max"),
            kills: "memory.events",
        },
        // Version 1 limits memory and swap together (`memory.memsw.limit_in_bytes`), so swap has no limit of its own.
        Version::V1 => Names {
            usage: "memory.usage_in_bytes",
            limit: "memory.limit_in_bytes",
            high: None,
            cache_key: "total_inactive_file",
            swap: "memory.stat",
            swap_key: Some("total_swap"),
            swap_limit: None,
            kills: "memory.oom_control",
        },
    }
}

/// Use and working set of a group.
fn working_set(root: &Root, directory: &str, names: Names) -> Result<(u64, u64), String> {
    let usage = number(root, directory, names.usage, None)?;
    let cache = number(root, directory, "memory.stat", Some(names.cache_key))?;
    Ok((usage, usage.saturating_sub(cache)))
}

fn number(root: &Root, directory: &str, name: &str, key: Option<&str>) -> Result<u64, String> {
    let path = join(directory, name);
    let text = root.read(&path)?;
    key.map_or_else(|| single(&text), |key| keyed(&text, key)).ok_or_else(|| malformed(&path))
}

/// The least limit on the way up.
fn least(root: &Root, directories: &[String], name: &str, field: &str, unread: &mut Unread) -> Option<u64> {
    directories.iter().filter_map(|directory| unread.keep(&[field], limit(root, directory, name)).flatten()).min()
}

/// A group's own limit. A group at the top, or one whose controller is off, has no file: it has no limit.
fn limit(root: &Root, directory: &str, name: &str) -> Result<Option<u64>, String> {
    let path = join(directory, name);
    match optional(root, &path)? {
        Some(text) => parse_limit(&text).ok_or_else(|| malformed(&path)),
        None => Ok(None),
    }
}

/// `max`, or bytes; version 1 writes the greatest number of whole pages for no limit, 2^63 less a page or more.
fn parse_limit(text: &[u8]) -> Option<Option<u64>> {
    if text == b"max\n" {
        return Some(None);
    }
    single(text).map(|bytes| (bytes < NO_LIMIT).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sampling::fixture::Tree;

    fn of(tree: &Tree, version: Version, mount: &str, path: &str) -> (MemorySample, Unread) {
        let mut unread = Unread::default();
        let place = Place { version, mount: mount.into(), path: path.into() };
        (read(tree.root(), Some(&place), &mut unread), unread)
    }

    fn group(tree: &Tree, directory: &str, limit: &str, usage: u64, cache: u64) {
        tree.file(&format!("{directory}/memory.max"), limit).file(&format!("{directory}/memory.high"), "max\n");
        tree.file(&format!("{directory}/memory.current"), format!("{usage}\n"));
        tree.file(&format!("{directory}/memory.stat"), format!("anon 1\ninactive_file {cache}\nactive_file 9\n"));
        tree.file(&format!("{directory}/memory.swap.current"), "4096\n");
        tree.file(&format!("{directory}/memory.swap.max"), "8192\n");
        tree.file(&format!("{directory}/memory.events"), "low 0\nhigh 2\nmax 5\noom 1\noom_kill 3\noom_group_kill 0\n");
    }

    #[test]
    fn the_least_limit_holds_and_the_headroom_is_that_of_the_fullest_group_around() {
        let tree = Tree::new();
        group(&tree, "sys/fs/cgroup/pod/app", "1000000\n", 300_000, 100_000);
        group(&tree, "sys/fs/cgroup/pod", "1200000\n", 1_150_000, 50_000);
        tree.file("sys/fs/cgroup/pod/memory.high", "900000\n");
        let (sample, unread) = of(&tree, Version::V2, "/sys/fs/cgroup", "/pod/app");
        assert_eq!((sample.limit_bytes, sample.high_bytes), (Some(1_000_000), Some(900_000)));
        assert_eq!((sample.usage_bytes, sample.working_set_bytes), (Some(300_000), Some(200_000)));
        assert_eq!(sample.headroom_bytes(), Some(100_000), "the group around has less left than the own limit");
        assert_eq!((sample.swap_bytes, sample.swap_limit_bytes, sample.oom_kills), (Some(4_096), Some(8_192), Some(3)));
        assert!(unread.is_empty(), "{unread:?}");
    }

    #[test]
    fn a_group_without_files_of_its_own_is_answered_by_the_next_one_around() {
        let tree = Tree::new();
        group(&tree, "sys/fs/cgroup/pod", "max\n", 500_000, 600_000);
        tree.file("sys/fs/cgroup/pod/app/cgroup.procs", "");
        let (sample, unread) = of(&tree, Version::V2, "/sys/fs/cgroup", "/pod/app");
        assert_eq!((sample.limit_bytes, sample.headroom_bytes()), (None, None));
        assert_eq!((sample.usage_bytes, sample.working_set_bytes), (Some(500_000), Some(0)), "never below nothing");
        assert!(unread.is_empty(), "{unread:?}");
    }

    #[test]
    fn version_1_has_other_names_and_a_number_for_no_limit() {
        let tree = Tree::new();
        let own = "sys/fs/cgroup/memory/app";
        tree.file(&format!("{own}/memory.limit_in_bytes"), "2000000\n");
        tree.file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        tree.file(&format!("{own}/memory.usage_in_bytes"), "1500000\n");
        let stat = "inactive_file 1\nswap 1\ntotal_inactive_file 500000\ntotal_swap 4096\n";
        tree.file(&format!("{own}/memory.stat"), stat);
        tree.file(&format!("{own}/memory.oom_control"), "oom_kill_disable 0\nunder_oom 1\noom_kill 2\n");
        let (sample, unread) = of(&tree, Version::V1, "/sys/fs/cgroup/memory", "/app");
        assert_eq!((sample.limit_bytes, sample.working_set_bytes), (Some(2_000_000), Some(1_000_000)));
        assert_eq!(
            (sample.headroom_bytes(), sample.swap_bytes, sample.oom_kills),
            (Some(1_000_000), Some(4_096), Some(2))
        );
        assert!(unread.is_empty(), "{unread:?}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let tree = Tree::new();
        tree.file("sys/fs/cgroup/memory.max", "10").file("sys/fs/cgroup/memory.current", "");
        let (sample, unread) = of(&tree, Version::V2, "/sys/fs/cgroup", "/");
        assert_eq!((sample.limit_bytes, sample.usage_bytes, sample.oom_kills), (None, None, None));
        let named: Vec<&str> = unread.entries().iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(named, ["limit_bytes", "usage_bytes", "working_set_bytes", "swap_bytes", "oom_kills"]);
        let mut unread = Unread::default();
        assert_eq!(read(tree.root(), None, &mut unread), MemorySample::default());
        assert!(!unread.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(noise: Vec<u8>) {
            let _ = parse_limit(&noise);
        }
    }
}
