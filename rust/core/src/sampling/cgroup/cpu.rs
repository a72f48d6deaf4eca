//! CPU of a group: quota, allowed CPUs, use, throttling.

use std::cmp::Ordering;

use super::affinity;
use super::hierarchy::{Place, Version, join};
use crate::sampling::root::{Root, malformed};
use crate::sampling::text::{decimal, keyed, lines, single, words};
use crate::sampling::unread::Unread;

/// CPU of a group. Counters are since it was made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuSample {
    /// The least quota of the group and those around it, cores; 0.2 is a fifth of one.
    pub quota_cores: Option<f64>,
    /// CPUs that the group may use.
    pub cpuset_cores: Option<u64>,
    /// CPUs that this process may use.
    pub affinity_cores: Option<u64>,
    /// CPU time of all processes in the group, ns.
    pub usage_ns: Option<u64>,
    /// The group with the least quota, whose counts the next three are: its directory.
    pub throttled_group: Option<String>,
    /// Periods of the quota in which that group ran.
    pub periods: Option<u64>,
    /// Of these, periods in which it was stopped.
    pub throttled_periods: Option<u64>,
    /// Time that it was stopped, ns; on several CPUs at once it counts for each.
    pub throttled_ns: Option<u64>,
    /// The group and those around it, each with its quota.
    pub levels: Vec<CpuLevel>,
}

/// One group on the way up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuLevel {
    /// Its directory.
    pub directory: String,
    /// Its quota, cores; None: none of its own.
    pub quota_cores: Option<f64>,
    /// CPU time of all processes in it, ns.
    pub usage_ns: Option<u64>,
}

impl CpuSample {
    /// What the group may use, cores: the least of quota, allowed CPUs and affinity. None if nothing is known.
    pub fn limit_cores(&self) -> Option<f64> {
        let cpus = [self.cpuset_cores, self.affinity_cores].into_iter().flatten().map(|cores| cores as f64);
        cpus.chain(self.quota_cores).reduce(f64::min)
    }

    /// Whether the stopped time is this group's own, and no part of it that of others in a group around it.
    pub fn is_stopped_itself(&self) -> bool {
        self.levels.first().is_some_and(|own| self.throttled_group.as_ref() == Some(&own.directory))
    }
}

/// The groups that the three controllers rule this process by.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Quota and throttling.
    pub cpu: Option<Place>,
    /// CPU time.
    pub cpuacct: Option<Place>,
    /// Allowed CPUs.
    pub cpuset: Option<Place>,
}

/// CPU of the group now.
pub fn read(root: &Root, places: &Places, unread: &mut Unread) -> CpuSample {
    let affinity = affinity::cpus().ok_or_else(|| "sched_getaffinity: refused".to_owned());
    let mut sample = CpuSample { affinity_cores: unread.keep(&["affinity_cores"], affinity), ..CpuSample::default() };
    if let Some(place) = &places.cpuset {
        sample.cpuset_cores = unread.keep(&["cpuset_cores"], cpuset(root, place));
    }
    let (Some(cpu), Some(cpuacct)) = (&places.cpu, &places.cpuacct) else {
        unread.note("usage_ns", "no control group for CPU");
        return sample;
    };
    // Where version 1 counts the time of another group than it limits, that time says nothing about this one.
    let elsewhere =
        (cpu.path != cpuacct.path).then(|| format!("counted of the group {}, limited in {}", cpuacct.path, cpu.path));
    let usage = |directory: &str| usage(root, cpuacct.version, directory);
    let accounted = if elsewhere.is_none() { cpuacct.levels() } else { Vec::new() };
    for (index, directory) in cpu.levels().into_iter().enumerate() {
        let quota_cores = unread.keep(&["quota_cores"], quota(root, cpu.version, &directory)).flatten();
        let usage_ns = accounted.get(index).and_then(|directory| usage(directory).ok());
        sample.levels.push(CpuLevel { directory, quota_cores, usage_ns });
    }
    sample.usage_ns = unread.keep(&["usage_ns"], elsewhere.map_or_else(|| nearest(&accounted, usage), Err));
    let tightest = sample.levels.iter().filter(|level| level.quota_cores.is_some());
    let tightest = tightest.min_by(|a, b| a.quota_cores.partial_cmp(&b.quota_cores).unwrap_or(Ordering::Equal));
    if let Some(level) = tightest {
        sample.quota_cores = level.quota_cores;
        let fields = ["periods", "throttled_periods", "throttled_ns"];
        if let Some(counts) = unread.keep(&fields, throttling(root, cpu.version, &level.directory)) {
            [sample.periods, sample.throttled_periods, sample.throttled_ns] = counts.map(Some);
            sample.throttled_group = Some(level.directory.clone());
        }
    }
    sample
}

/// The answer of the first group on the way up that has one; the error of the first.
pub fn nearest<T>(levels: &[String], read: impl Fn(&str) -> Result<T, String>) -> Result<T, String> {
    first_of(levels.iter().map(|directory| read(directory)))
}

/// The first answer there is; the first error where there is none.
pub fn first_of<T>(mut answers: impl Iterator<Item = Result<T, String>>) -> Result<T, String> {
    let first = answers.next().unwrap_or_else(|| Err("no control group".into()));
    first.or_else(|reason| answers.find_map(Result::ok).ok_or(reason))
}

/// A group's own quota. A group at the top, or one whose controller is off, has no file: it has no quota.
fn quota(root: &Root, version: Version, directory: &str) -> Result<Option<f64>, String> {
    let optional = |name: &str| optional(root, &join(directory, name));
    match version {
        Version::V2 => match optional("cpu.max")? {
            Some(text) => parse_cpu_max(&text).ok_or_else(|| malformed(&join(directory, "cpu.max"))),
            None => Ok(None),
        },
        Version::V1 => match (optional("cpu.cfs_quota_us")?, optional("cpu.cfs_period_us")?) {
            (Some(quota), Some(period)) => {
                parse_cfs(&quota, &period).ok_or_else(|| malformed(&join(directory, "cpu.cfs_quota_us")))
            }
            _ => Ok(None),
        },
    }
}

/// The content of a file; None if there is none.
pub fn optional(root: &Root, path: &str) -> Result<Option<Vec<u8>>, String> {
    if root.path(path).exists() { root.read(path).map(Some) } else { Ok(None) }
}

fn cpuset(root: &Root, place: &Place) -> Result<u64, String> {
    let names: &[&str] = match place.version {
        Version::V2 => &["cpuset.cpus.effective"],
        Version::V1 => &["cpuset.effective_cpus", "cpuset.cpus"],
    };
    nearest(&place.levels(), |directory| {
        let path = names.iter().map(|name| join(directory, name)).find(|path| root.path(path).exists());
        let path = path.unwrap_or_else(|| join(directory, names[0]));
        parse_cpus(&root.read(&path)?).ok_or_else(|| malformed(&path))
    })
}

fn usage(root: &Root, version: Version, directory: &str) -> Result<u64, String> {
    let (name, key) = match version {
        Version::V2 => ("cpu.stat", Some("usage_usec")),
        Version::V1 => ("cpuacct.usage", None),
    };
    let path = join(directory, name);
    let text = root.read(&path)?;
    // µs behind a key, or ns alone.
    let ns = key.map_or_else(|| single(&text), |key| keyed(&text, key)?.checked_mul(1_000));
    ns.ok_or_else(|| malformed(&path))
}

/// Periods, stopped periods, stopped ns.
fn throttling(root: &Root, version: Version, directory: &str) -> Result<[u64; 3], String> {
    let path = join(directory, "cpu.stat");
    parse_throttling(&root.read(&path)?, version).ok_or_else(|| malformed(&path))
}

fn parse_throttling(text: &[u8], version: Version) -> Option<[u64; 3]> {
    let stopped = match version {
        Version::V2 => keyed(text, "throttled_usec")?.checked_mul(1_000)?,
        Version::V1 => keyed(text, "throttled_time")?,
    };
    Some([keyed(text, "nr_periods")?, keyed(text, "nr_throttled")?, stopped])
}

/// `150000 100000` (1.5 cores) or `max 100000` (no quota).
fn parse_cpu_max(text: &[u8]) -> Option<Option<f64>> {
    let mut words = words(lines(text).next()?);
    let (quota, period) = (words.next()?, decimal(words.next()?)?);
    if quota == b"max" { Some(None) } else { cores(decimal(quota)?, period).map(Some) }
}

/// Version 1: -1 is no quota.
fn parse_cfs(quota: &[u8], period: &[u8]) -> Option<Option<f64>> {
    if quota.starts_with(b"-") { Some(None) } else { cores(single(quota)?, single(period)?).map(Some) }
}

fn cores(quota: u64, period: u64) -> Option<f64> {
    (period > 0).then(|| quota as f64 / period as f64)
}

/// How many CPUs are in `0-3,8,10-11`. None for an empty list: a version 1 group that was not set up.
fn parse_cpus(text: &[u8]) -> Option<u64> {
    let list = lines(text).next()?;
    let count = |range: &[u8]| {
        let mut ends = range.splitn(2, |byte| *byte == b'-');
        let first = decimal(ends.next()?)?;
        let last = ends.next().map_or(Some(first), decimal)?;
        last.checked_sub(first)?.checked_add(1)
    };
    list.split(|byte| *byte == b',').try_fold(0_u64, |sum, range| sum.checked_add(count(range)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sampling::fixture::Tree;

    fn place(version: Version, mount: &str, path: &str) -> Option<Place> {
        Some(Place { version, mount: mount.into(), path: path.into() })
    }

    fn version_2(tree: &Tree) -> (CpuSample, Unread) {
        let own = place(Version::V2, "/sys/fs/cgroup", "/pod/app");
        let mut unread = Unread::default();
        let places = Places { cpu: own.clone(), cpuacct: own.clone(), cpuset: own };
        (read(tree.root(), &places, &mut unread), unread)
    }

    #[test]
    fn the_least_quota_on_the_way_up_holds_and_its_group_says_how_often_it_stopped() {
        let tree = Tree::new();
        let stat = |usage: u64, stopped: u64| {
            format!("usage_usec {usage}\nuser_usec 1\nnr_periods 40\nnr_throttled {stopped}\nthrottled_usec 2500\n")
        };
        tree.file("sys/fs/cgroup/pod/app/cpu.max", "50000 100000\n")
            .file("sys/fs/cgroup/pod/app/cpu.stat", stat(700, 0));
        tree.file("sys/fs/cgroup/pod/cpu.max", "20000 100000\n").file("sys/fs/cgroup/pod/cpu.stat", stat(900, 12));
        tree.file("sys/fs/cgroup/cpu.stat", "usage_usec 5000\n");
        tree.file("sys/fs/cgroup/pod/app/cpuset.cpus.effective", "0-3,8\n");
        let (sample, unread) = version_2(&tree);
        assert_eq!((sample.quota_cores, sample.cpuset_cores, sample.usage_ns), (Some(0.2), Some(5), Some(700_000)));
        assert_eq!(sample.limit_cores(), Some(0.2));
        assert_eq!(sample.throttled_group.as_deref(), Some("/sys/fs/cgroup/pod"));
        assert!(!sample.is_stopped_itself());
        let throttled = (sample.periods, sample.throttled_periods, sample.throttled_ns);
        assert_eq!(throttled, (Some(40), Some(12), Some(2_500_000)));
        let levels: Vec<_> = sample.levels.iter().map(|level| (level.quota_cores, level.usage_ns)).collect();
        assert_eq!(levels, [(Some(0.5), Some(700_000)), (Some(0.2), Some(900_000)), (None, Some(5_000_000))]);
        assert!(unread.is_empty(), "{unread:?}");
    }

    #[test]
    fn without_a_quota_the_allowed_cpus_are_the_limit_and_nothing_is_throttled() {
        let tree = Tree::new();
        tree.file("sys/fs/cgroup/pod/app/cpu.stat", "usage_usec 7\n")
            .file("sys/fs/cgroup/cpuset.cpus.effective", "0\n");
        let (sample, unread) = version_2(&tree);
        assert_eq!((sample.quota_cores, sample.throttled_periods, sample.limit_cores()), (None, None, Some(1.0)));
        assert!(unread.is_empty(), "{unread:?}");
    }

    #[test]
    fn version_1_with_quota_in_microseconds_and_time_in_nanoseconds() {
        let tree = Tree::new();
        let cpu = "sys/fs/cgroup/cpu/app";
        tree.file(&format!("{cpu}/cpu.cfs_quota_us"), "150000\n").file(&format!("{cpu}/cpu.cfs_period_us"), "100000\n");
        tree.file(&format!("{cpu}/cpu.stat"), "nr_periods 9\nnr_throttled 3\nthrottled_time 77\n");
        tree.file("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n").file("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
        tree.file("sys/fs/cgroup/cpuacct/app/cpuacct.usage", "123456789\n");
        tree.file("sys/fs/cgroup/cpuset/cpuset.effective_cpus", "0-1\n");
        let places = Places {
            cpu: place(Version::V1, "/sys/fs/cgroup/cpu", "/app"),
            cpuacct: place(Version::V1, "/sys/fs/cgroup/cpuacct", "/app"),
            cpuset: place(Version::V1, "/sys/fs/cgroup/cpuset", "/"),
        };
        let mut unread = Unread::default();
        let sample = read(tree.root(), &places, &mut unread);
        assert_eq!((sample.quota_cores, sample.usage_ns, sample.cpuset_cores), (Some(1.5), Some(123_456_789), Some(2)));
        assert_eq!((sample.periods, sample.throttled_periods, sample.throttled_ns), (Some(9), Some(3), Some(77)));
        assert!(unread.is_empty(), "{unread:?}");
    }

    #[test]
    fn time_that_is_counted_of_another_group_is_not_taken_for_this_ones() {
        let tree = Tree::new();
        tree.file("sys/fs/cgroup/cpu/app/cpu.cfs_quota_us", "20000\n");
        tree.file("sys/fs/cgroup/cpu/app/cpu.cfs_period_us", "100000\n");
        tree.file("sys/fs/cgroup/cpu/app/cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_time 77\n");
        tree.file("sys/fs/cgroup/cpuacct/cpuacct.usage", "123456789\n");
        let places = Places {
            cpu: place(Version::V1, "/sys/fs/cgroup/cpu", "/app"),
            cpuacct: place(Version::V1, "/sys/fs/cgroup/cpuacct", "/"),
            cpuset: None,
        };
        let mut unread = Unread::default();
        let sample = read(tree.root(), &places, &mut unread);
        assert_eq!((sample.quota_cores, sample.usage_ns, sample.levels[0].usage_ns), (Some(0.2), None, None));
        let reason = "counted of the group /, limited in /app";
        assert_eq!(unread.entries(), [("usage_ns".to_owned(), reason.to_owned())]);
    }

    #[test]
    fn what_is_there_and_cannot_be_understood_is_unknown_with_its_reason() {
        let tree = Tree::new();
        tree.file("sys/fs/cgroup/pod/app/cpu.max", "20000").file("sys/fs/cgroup/pod/app/cpu.stat", "usage_us");
        tree.file("sys/fs/cgroup/pod/cpu.max", "50000 100000\n").file("sys/fs/cgroup/pod/cpu.stat", "");
        let (sample, unread) = version_2(&tree);
        assert_eq!((sample.quota_cores, sample.usage_ns, sample.throttled_ns), (Some(0.5), None, None));
        let named: Vec<&str> = unread.entries().iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(named, ["cpuset_cores", "quota_cores", "usage_ns", "periods", "throttled_periods", "throttled_ns"]);
        assert_eq!(unread.entries()[1].1, "/sys/fs/cgroup/pod/app/cpu.max: not understood");
    }

    #[test]
    fn lists_of_cpus() {
        for (text, expected) in
            [("0\n", Some(1)), ("0-3,8,10-11\n", Some(7)), ("\n", None), ("3-1\n", None), ("0-3", None), ("a\n", None)]
        {
            assert_eq!(parse_cpus(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(noise: Vec<u8>) {
            let _ = (parse_cpu_max(&noise), parse_cfs(&noise, &noise), parse_cpus(&noise));
            let _ = (parse_throttling(&noise, Version::V1), parse_throttling(&noise, Version::V2));
        }
    }
}
