//! Where the group of this process is: `/proc/self/cgroup` names it, `/proc/self/mountinfo` says where it is mounted.

use crate::sampling::root::Root;
use crate::sampling::text::{lines, words};

/// How control groups are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A mount for each controller; also when version 2 is mounted beside them.
    V1,
    /// One mount.
    V2,
}

impl Version {
    /// 1 or 2.
    pub fn number(self) -> u8 {
        match self {
            Version::V1 => 1,
            Version::V2 => 2,
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// Quota and throttling.
    Cpu,
    /// CPU time; a controller of its own in version 1.
    Cpuacct,
    /// Allowed CPUs.
    Cpuset,
    /// Memory.
    Memory,
}

impl Controller {
    fn name(self) -> &'static str {
        match self {
            Controller::Cpu => "cpu",
            Controller::Cpuacct => "cpuacct",
            Controller::Cpuset => "cpuset",
            Controller::Memory => "memory",
        }
    }
}

/// A group in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Version of this hierarchy.
    pub version: Version,
    /// Where it is mounted.
    pub mount: String,
    /// The group below the mount: `/`, `/system.slice/worker.service`.
    pub path: String,
}

impl Place {
    /// The path of a file of the group.
    pub fn file(&self, name: &str) -> String {
        join(&self.directory(), name)
    }

    /// The directories of the group and of the groups around it, up to the mount.
    pub fn levels(&self) -> Vec<String> {
        let mut levels = vec![self.directory()];
        let mut path = self.path.as_str();
        while let Some((above, _)) = path.rsplit_once('/').filter(|_| path != "/") {
            path = if above.is_empty() { "/" } else { above };
            levels.push(Place { path: path.to_owned(), ..self.clone() }.directory());
        }
        levels
    }

    fn directory(&self) -> String {
        if self.path == "/" { self.mount.clone() } else { format!("{}{}", self.mount, self.path) }
    }
}

/// A path below a directory.
pub fn join(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}

/// The groups of this process and the mounts that show them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchies {
    groups: Vec<Group>,
    mounts: Vec<Mount>,
}

/// A line of `/proc/self/cgroup`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    /// Empty for version 2.
    controllers: Vec<String>,
    path: String,
}

/// A line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    /// Empty for version 2.
    controllers: Vec<String>,
    version: Version,
    /// The group that the mount point shows.
    group: String,
    point: String,
}

impl Hierarchies {
    /// Of this process.
    pub fn read(root: &Root) -> Result<Hierarchies, String> {
        let groups = parse_groups(&root.read("/proc/self/cgroup")?);
        Ok(Hierarchies { groups, mounts: parse_mounts(&root.read("/proc/self/mountinfo")?) })
    }

    /// Version 1 as soon as one controller of ours is mounted that way.
    pub fn version(&self) -> Option<Version> {
        let ours = [Controller::Cpu, Controller::Cpuacct, Controller::Cpuset, Controller::Memory];
        if ours.iter().any(|controller| self.first(*controller).is_some_and(|mount| mount.version == Version::V1)) {
            return Some(Version::V1);
        }
        self.mounts.iter().any(|mount| mount.version == Version::V2).then_some(Version::V2)
    }

    /// The group that a controller rules this process by.
    pub fn place(&self, root: &Root, controller: Controller) -> Option<Place> {
        match self.first(controller) {
            Some(mount) if mount.version == Version::V1 => {
                let name = controller.name();
                let group = self.groups.iter().find(|group| group.controllers.iter().any(|own| own == name))?;
                self.best(root, group, |mount| mount.controllers.iter().any(|own| own == name))
            }
            _ => self.unified(root),
        }
    }

    /// The group in version 2, also beside version 1.
    pub fn unified(&self, root: &Root) -> Option<Place> {
        let group = self.groups.iter().find(|group| group.controllers.is_empty())?;
        self.best(root, group, |mount| mount.version == Version::V2)
    }

    /// The first mount that shows a controller: its own one of version 1 before that of version 2.
    fn first(&self, controller: Controller) -> Option<&Mount> {
        let own = |mount: &&Mount| mount.controllers.iter().any(|name| name == controller.name());
        self.mounts.iter().find(own).or_else(|| self.mounts.iter().find(|mount| mount.version == Version::V2))
    }

    /// A group below the mount that shows it. A container may see its own group as the root of the mount, or not at all; then the
    /// mount itself is the best that it can know.
    fn best(&self, root: &Root, group: &Group, suits: impl Fn(&Mount) -> bool) -> Option<Place> {
        let mounts: Vec<&Mount> = self.mounts.iter().filter(|mount| suits(mount)).collect();
        let place = |mount: &Mount, path: &str| {
            let path = if path.is_empty() { "/" } else { path };
            Place { version: mount.version, mount: mount.point.clone(), path: path.to_owned() }
        };
        let exists = |place: &Place| root.path(place.directory()).is_dir();
        let inside =
            mounts.iter().filter_map(|mount| Some(place(mount, below(&group.path, &mount.group)?))).find(exists);
        inside.or_else(|| mounts.first().map(|mount| place(mount, "/")))
    }
}

/// The path of a group as seen from another one around it; None when it lies elsewhere (`/../..`).
fn below<'a>(path: &'a str, around: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(around.trim_end_matches('/'))?;
    ((rest.is_empty() || rest.starts_with('/')) && !rest.split('/').any(|part| part == ".."))
        .then(|| rest.trim_end_matches('/'))
}

/// `4:memory:/kubepods/pod1/abc`, `0::/system.slice/worker.service`; a path may hold colons.
fn parse_groups(text: &[u8]) -> Vec<Group> {
    let group = |line: &[u8]| {
        let line = std::str::from_utf8(line).ok()?;
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        Some(Group { controllers: listed(controllers), path: path.to_owned() })
    };
    lines(text).filter_map(group).collect()
}

/// `35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:1 - cgroup cgroup rw,memory`
fn parse_mounts(text: &[u8]) -> Vec<Mount> {
    let mount = |line: &[u8]| {
        let words: Vec<&str> = words(line).map(|word| std::str::from_utf8(word).ok()).collect::<Option<_>>()?;
        let dash = words.iter().position(|word| *word == "-")?;
        let (version, controllers) = match *words.get(dash + 1)? {
            "cgroup2" => (Version::V2, Vec::new()),
            "cgroup" => (Version::V1, listed(words.get(dash + 3)?)),
            _ => return None,
        };
        let path = |index: usize| Some(unescaped(words.get(index)?));
        Some(Mount { controllers, version, group: path(3)?, point: path(4)? })
    };
    lines(text).filter_map(mount).collect()
}

fn listed(names: &str) -> Vec<String> {
    names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// `\040` and its like, as the kernel writes blanks, tabs, line feeds and backslashes in paths.
fn unescaped(path: &str) -> String {
    let mut parts = path.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii);
        match byte {
            Some(byte) => {
                plain.push(char::from(byte));
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::fixture::Tree;

    fn read(tree: &Tree) -> Hierarchies {
        Hierarchies::read(tree.root()).unwrap()
    }

    #[test]
    fn version_2_with_groups_around() {
        let tree = Tree::new();
        tree.file("proc/self/cgroup", "0::/system.slice/worker.service\n");
        tree.file(
            "proc/self/mountinfo",
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
        );
        tree.file("sys/fs/cgroup/system.slice/worker.service/cpu.max", "");
        let found = read(&tree);
        let place = found.place(tree.root(), Controller::Memory).unwrap();
        assert_eq!((found.version(), place.path.as_str()), (Some(Version::V2), "/system.slice/worker.service"));
        assert_eq!(place.file("cpu.max"), "/sys/fs/cgroup/system.slice/worker.service/cpu.max");
        let levels = ["/sys/fs/cgroup/system.slice/worker.service", "/sys/fs/cgroup/system.slice", "/sys/fs/cgroup"];
        assert_eq!(place.levels(), levels);
    }

    #[test]
    fn version_1_has_a_mount_for_each_controller_and_may_have_version_2_beside_them() {
        let tree = Tree::new();
        tree.file("proc/self/cgroup", "4:memory:/app/one\n3:cpuset:/\n2:cpu,cpuacct:/app\n0::/\n");
        let mounts = "31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        tree.file("proc/self/mountinfo", mounts).file("sys/fs/cgroup/memory/app/one/memory.stat", "");
        tree.file("sys/fs/cgroup/cpu,cpuacct/app/cpu.stat", "").file("sys/fs/cgroup/cpuset/tasks", "");
        tree.file("sys/fs/cgroup/unified/cpu.pressure", "");
        let found = read(&tree);
        assert_eq!(found.version(), Some(Version::V1));
        let directory = |controller| found.place(tree.root(), controller).unwrap().levels()[0].clone();
        assert_eq!(directory(Controller::Memory), "/sys/fs/cgroup/memory/app/one");
        assert_eq!(directory(Controller::Cpu), "/sys/fs/cgroup/cpu,cpuacct/app");
        assert_eq!(directory(Controller::Cpuacct), "/sys/fs/cgroup/cpu,cpuacct/app");
        assert_eq!(directory(Controller::Cpuset), "/sys/fs/cgroup/cpuset");
        assert_eq!(found.unified(tree.root()).unwrap().file("cpu.pressure"), "/sys/fs/cgroup/unified/cpu.pressure");
    }

    #[test]
    fn a_container_that_sees_its_own_group_as_the_root_of_the_mount() {
        let tree = Tree::new();
        tree.file("proc/self/cgroup", "4:memory:/docker/3f9a/inner\n");
        tree.file(
            "proc/self/mountinfo",
            "35 31 0:32 /docker/3f9a /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
        );
        tree.file("sys/fs/cgroup/memory/inner/memory.stat", "");
        let place = read(&tree).place(tree.root(), Controller::Memory).unwrap();
        assert_eq!(place.levels(), ["/sys/fs/cgroup/memory/inner", "/sys/fs/cgroup/memory"]);
    }

    #[test]
    fn a_group_that_the_mounts_do_not_show_is_answered_by_the_mount() {
        for path in ["/docker/3f9a", "/../../elsewhere", "/.."] {
            let tree = Tree::new();
            tree.file("proc/self/cgroup", format!("0::{path}\n"));
            tree.file("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
            tree.file("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
            let place = read(&tree).place(tree.root(), Controller::Cpu).unwrap();
            assert_eq!((place.path.as_str(), place.levels().len()), ("/", 1), "{path}");
        }
    }

    #[test]
    fn nothing_mounted_is_no_group() {
        let tree = Tree::new();
        tree.file("proc/self/cgroup", "").file("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\ntorn");
        let found = read(&tree);
        assert_eq!((found.version(), found.place(tree.root(), Controller::Cpu)), (None, None));
        tree.remove("proc/self/mountinfo");
        assert_eq!(Hierarchies::read(tree.root()), Err("/proc/self/mountinfo: no such file".into()));
    }

    #[test]
    fn blanks_in_paths() {
        for (escaped, plain) in [
            ("/a\\040b", "/a b"),
            ("/a\\134040", "/a\\040"),
            ("/a\\", "/a\\"),
            ("/a\\9x", "/a\\9x"),
            ("/é\\é1", "/é\\é1"),
        ] {
            assert_eq!(unescaped(escaped), plain);
        }
    }
}
