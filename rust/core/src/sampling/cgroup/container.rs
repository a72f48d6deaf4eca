//! Whether this process is in a container, by a list of marks that only containers have.
//!
//! Control groups of version 2 are no mark: every current system has them.

use std::fmt;

use crate::sampling::root::Root;
use crate::sampling::text::{lines, words};

/// The mark that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Container {
    /// A file that the runtime makes: `/.dockerenv` (Docker), `/run/.containerenv` (Podman), `/run/secrets/kubernetes.io` (the account
    /// of a pod).
    File(&'static str),
    /// `container=` in the environment of process 1, with its value: `lxc`, `systemd-nspawn`, `podman`.
    Environment(String),
    /// A group that only a runtime makes, with the keyword: `kubepods`, `docker`, `containerd`, `crio`, `lxc`.
    Group(&'static str),
    /// A file that Kubernetes mounts over one of the container's: `/etc/hosts`, `/dev/termination-log`.
    Mount(&'static str),
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Container::File(path) => write!(f, "{path}"),
            Container::Environment(value) => write!(f, "container={value}"),
            Container::Group(keyword) => write!(f, "control group of {keyword}"),
            Container::Mount(point) => write!(f, "{point} of a pod"),
        }
    }
}

/// The first mark found; an error when there is none and one place could not be looked at.
pub fn container(root: &Root) -> Result<Option<Container>, String> {
    for path in ["/.dockerenv", "/run/.containerenv", "/run/secrets/kubernetes.io"] {
        if root.path(path).exists() {
            return Ok(Some(Container::File(path)));
        }
    }
    for path in ["/proc/self/cgroup", "/proc/1/cgroup"] {
        if let Some(keyword) = root.read(path).ok().and_then(|text| keyword(&text)) {
            return Ok(Some(Container::Group(keyword)));
        }
    }
    if let Some(point) = root.read("/proc/self/mountinfo").ok().and_then(|table| of_pod(&table)) {
        return Ok(Some(Container::Mount(point)));
    }
    Ok(environment(&root.read("/proc/1/environ")?).map(Container::Environment))
}

/// A file of a pod that is mounted where the container looks for its own, in lines of `mountinfo`: what is mounted lies below
/// `.../pods/<uid>/` on the host. The host itself mounts such directories below each other only.
fn of_pod(table: &[u8]) -> Option<&'static str> {
    lines(table).find_map(|line| {
        let mut words = words(line).skip(3);
        let (mounted, point) = (words.next()?, words.next()?);
        let point = ["/etc/hosts", "/dev/termination-log"].into_iter().find(|file| point == file.as_bytes())?;
        std::str::from_utf8(mounted).ok()?.split('/').any(|part| part == "pods").then_some(point)
    })
}

/// The value of `container=` in an environment; an empty one says nothing.
fn environment(environ: &[u8]) -> Option<String> {
    let value = environ.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(b"container="))?;
    (!value.is_empty()).then(|| String::from_utf8_lossy(value).into_owned())
}

/// The runtime that made a group in the lines of a cgroup file.
fn keyword(text: &[u8]) -> Option<&'static str> {
    lines(text).find_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let path = line.splitn(3, ':').nth(2)?;
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        (0..parts.len()).find_map(|index| runtime(parts[index], index + 1 < parts.len()))
    })
}

/// The runtime that names a group so. The daemons themselves are services of the host: `docker.service`, `containerd.service`,
/// `lxc.monitor.NAME` are no containers.
fn runtime(part: &str, has_groups_below: bool) -> Option<&'static str> {
    if part == "kubepods" || part.starts_with("kubepods.") || part.starts_with("kubepods-") {
        return Some("kubepods");
    }
    if let Some(scope) = part.strip_suffix(".scope") {
        let names = [
            ("docker-", "docker"),
            ("cri-containerd-", "containerd"),
            ("containerd-", "containerd"),
            ("crio-", "crio"),
        ];
        return names.iter().find(|(start, _)| scope.starts_with(start)).map(|(_, name)| *name);
    }
    if part.starts_with("lxc.payload") {
        return Some("lxc");
    }
    // `/docker/<id>`: the group of the runtime holds one for each container.
    let holders = ["docker", "containerd", "crio", "lxc"];
    holders.into_iter().find(|name| has_groups_below && part == *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::fixture::Tree;

    #[test]
    fn groups_of_runtimes_are_known_and_their_daemons_are_not() {
        for (path, expected) in [
            ("0::/docker/3f9a", Some("docker")),
            ("4:memory:/docker/3f9a/init", Some("docker")),
            ("0::/system.slice/docker-3f9a.scope", Some("docker")),
            (
                "0::/kubepods.slice/kubepods-burstable.slice/kubepods-pod1.slice/cri-containerd-3f.scope",
                Some("kubepods"),
            ),
            ("4:memory:/kubepods/besteffort/pod1/3f", Some("kubepods")),
            ("0::/machine.slice/crio-3f.scope", Some("crio")),
            ("0::/lxc.payload.web/system.slice/worker.service", Some("lxc")),
            ("4:memory:/lxc/web", Some("lxc")),
            ("0::/system.slice/docker.service", None),
            ("0::/system.slice/containerd.service", None),
            ("0::/lxc.monitor.web", None),
            ("0::/docker", None),
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-dockerish-7.scope", None),
            ("0::/", None),
            ("0::/system.slice/worker.service", None),
            ("nonsense", None),
        ] {
            assert_eq!(keyword(format!("{path}\n").as_bytes()), expected, "{path}");
        }
    }

    #[test]
    fn files_and_the_environment_of_process_1() {
        let tree = Tree::new();
        tree.file("proc/1/environ", "PATH=/bin\0container=\0").file("proc/self/cgroup", "0::/\n");
        assert_eq!(container(tree.root()), Ok(None), "a bare host");
        tree.file("proc/1/environ", "PATH=/bin\0container=lxc\0");
        assert_eq!(container(tree.root()), Ok(Some(Container::Environment("lxc".into()))));
        tree.file("run/.containerenv", "");
        assert_eq!(container(tree.root()), Ok(Some(Container::File("/run/.containerenv"))));
        tree.file(".dockerenv", "");
        assert_eq!(container(tree.root()).unwrap().unwrap().to_string(), "/.dockerenv");
    }

    #[test]
    fn a_place_that_cannot_be_looked_at_is_said() {
        let tree = Tree::new();
        assert_eq!(container(tree.root()), Err("/proc/1/environ: no such file".into()));
        tree.file("proc/1/cgroup", "0::/docker/3f9a\n");
        assert_eq!(container(tree.root()), Ok(Some(Container::Group("docker"))), "another mark is enough");
    }
}
