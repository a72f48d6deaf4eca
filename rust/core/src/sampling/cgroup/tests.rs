//! Whole trees of hosts and containers, as their kernels show them.

use super::*;
use crate::sampling::fixture::Tree;

const V2_MOUNT: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
const PRESSURE: &str =
    "some avg10=2.50 avg60=1.00 avg300=0.10 total=4000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=10\n";

/// The files of one group of version 2.
fn group(tree: &Tree, path: &str, cpu_max: &str, memory_max: &str, usage_us: u64) {
    let group = format!("sys/fs/cgroup{path}");
    let file = |name: &str, content: &str| {
        tree.file(&format!("{group}/{name}"), content);
    };
    file("cpu.max", cpu_max);
    file("cpu.stat", &format!("usage_usec {usage_us}\nnr_periods 100\nnr_throttled 20\nthrottled_usec 900000\n"));
    file("cpuset.cpus.effective", "0-3\n");
    file("memory.max", memory_max);
    file("memory.high", "max\n");
    file("memory.current", "1000000\n");
    file("memory.stat", "anon 5\ninactive_file 400000\n");
    file("memory.swap.current", "0\n");
    file("memory.swap.max", "max\n");
    file("memory.events", "oom 1\noom_kill 2\n");
    for name in ["cpu.pressure", "memory.pressure", "io.pressure"] {
        file(name, PRESSURE);
    }
}

fn host(tree: &Tree, group: &str) {
    tree.file("proc/self/cgroup", format!("0::{group}\n")).file("proc/self/mountinfo", V2_MOUNT);
    tree.file("proc/1/cgroup", "0::/init.scope\n").file("proc/1/environ", "HOME=/\0");
}

#[test]
fn a_service_on_a_bare_host() {
    let tree = Tree::new();
    host(&tree, "/system.slice/worker.service");
    group(&tree, "/system.slice/worker.service", "max 100000\n", "max\n", 500);
    tree.file("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
    let found = sample(tree.root());
    assert_eq!((found.version, found.container), (Some(Version::V2), None));
    assert_eq!(found.path.as_deref(), Some("/system.slice/worker.service"));
    assert_eq!((found.cpu.quota_cores, found.memory.limit_bytes), (None, None));
    assert_eq!((found.cpu.usage_ns, found.memory.working_set_bytes), (Some(500_000), Some(600_000)));
    assert_eq!(found.cpu_pressure.unwrap().some.average_10_ratio, 0.025);
    assert!(found.unread.is_empty(), "{:?}", found.unread);
}

#[test]
fn docker_with_a_namespace_of_groups() {
    let tree = Tree::new();
    host(&tree, "/");
    tree.file(".dockerenv", "");
    group(&tree, "", "150000 100000\n", "2000000\n", 500);
    let found = sample(tree.root());
    assert_eq!(found.container, Some(Container::File("/.dockerenv")));
    assert_eq!((found.cpu.quota_cores, found.memory.limit_bytes), (Some(1.5), Some(2_000_000)));
    assert_eq!((found.memory.headroom_bytes(), found.memory.oom_kills), (Some(1_400_000), Some(2)));
    assert_eq!((found.cpu.throttled_periods, found.cpu.throttled_ns), (Some(20), Some(900_000_000)));
}

#[test]
fn kubernetes_where_the_pod_limits_more_than_the_container() {
    let tree = Tree::new();
    let pod = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice";
    host(&tree, &format!("{pod}/cri-containerd-3f.scope"));
    group(&tree, pod, "20000 100000\n", "1500000\n", 900);
    group(&tree, &format!("{pod}/cri-containerd-3f.scope"), "max 100000\n", "2000000\n", 500);
    let found = sample(tree.root());
    assert_eq!(found.container, Some(Container::Group("kubepods")));
    assert_eq!((found.cpu.quota_cores, found.cpu.limit_cores()), (Some(0.2), Some(0.2)));
    assert_eq!((found.memory.limit_bytes, found.memory.headroom_bytes()), (Some(1_500_000), Some(900_000)));
    assert_eq!(found.cpu.usage_ns, Some(500_000), "of the container, not of the pod");
}

/// containerd leaves no file and no word in the environment; in a namespace of groups the path is `/`.
#[test]
fn kubernetes_with_a_namespace_of_groups() {
    let tree = Tree::new();
    host(&tree, "/");
    tree.file("proc/1/cgroup", "0::/\n");
    let root = "600 550 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w\n";
    let pod = "/var/lib/kubelet/pods/8d2f6f0a-4c7e-4b39-9f0e-1f0b8a4b2c11";
    let kubelet = format!(
        "640 600 8:1 {pod}/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw\n\
         641 600 8:1 {pod}/containers/app/3f9a2b1c /dev/termination-log rw,relatime - ext4 /dev/sda1 rw\n"
    );
    tree.file("proc/self/mountinfo", format!("{root}{V2_MOUNT}"));
    assert_eq!(sample(tree.root()).container, None, "an overlay alone is no mark");
    tree.file("proc/self/mountinfo", format!("{root}{V2_MOUNT}{kubelet}"));
    let found = sample(tree.root());
    assert_eq!(found.container, Some(Container::Mount("/etc/hosts")));
    assert_eq!(found.container.unwrap().to_string(), "/etc/hosts of a pod");
    // A pod with an account, whose kubelet lives elsewhere.
    tree.file("proc/self/mountinfo", format!("{root}{V2_MOUNT}"));
    tree.file("run/secrets/kubernetes.io/serviceaccount/token", "");
    assert_eq!(sample(tree.root()).container, Some(Container::File("/run/secrets/kubernetes.io")));
}

/// The kubelet's own host has the same directories, mounted below its own.
#[test]
fn the_host_of_kubernetes_is_no_container() {
    let tree = Tree::new();
    host(&tree, "/system.slice/kubelet.service");
    let pod = "/var/lib/kubelet/pods/8d2f6f0a-4c7e-4b39-9f0e-1f0b8a4b2c11";
    let mounts = format!(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n{V2_MOUNT}\
         70 22 0:60 / {pod}/volumes/kubernetes.io~projected/kube-api-access-x rw - tmpfs tmpfs rw\n\
         71 22 8:1 {pod}/volumes/kubernetes.io~empty-dir/data {pod}/volume-subpaths/data/app/0 rw - ext4 /dev/sda1 rw\n"
    );
    tree.file("proc/self/mountinfo", mounts);
    assert_eq!(sample(tree.root()).container, None);
}

#[test]
fn lxc_and_podman() {
    let tree = Tree::new();
    host(&tree, "/");
    tree.file("proc/1/environ", "HOME=/\0container=lxc\0");
    assert_eq!(sample(tree.root()).container, Some(Container::Environment("lxc".into())));
    tree.file("run/.containerenv", "engine=\"podman-5\"\n");
    assert_eq!(sample(tree.root()).container, Some(Container::File("/run/.containerenv")));
}

#[test]
fn a_machine_without_groups_says_so_and_knows_its_affinity() {
    let tree = Tree::new();
    let found = sample(tree.root());
    assert_eq!((found.version, found.path), (None, None));
    assert!(found.cpu.affinity_cores > Some(0));
    let named: Vec<&str> = found.unread.entries().iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(
        named,
        ["version", "path", "usage_ns", "usage_bytes", "cpu_pressure", "memory_pressure", "io_pressure", "container"]
    );
}

#[test]
fn rates_are_differences_and_the_first_sample_has_none() {
    let tree = Tree::new();
    host(&tree, "/app");
    group(&tree, "/app", "50000 100000\n", "max\n", 1_000_000);
    let sampler = Sampler::new(tree.root().clone());
    assert_eq!(sampler.sample().1, None);
    let (mut before, _) = sampler.sample();
    let mut now = (*before).clone();
    std::sync::Arc::make_mut(&mut before).at_ns = 1_000_000_000;
    now.at_ns = 3_000_000_000;
    now.cpu.usage_ns = now.cpu.usage_ns.map(|ns| ns + 800_000_000);
    now.cpu.levels[0].usage_ns = now.cpu.usage_ns;
    now.cpu.periods = Some(120);
    now.cpu.throttled_periods = Some(25);
    now.cpu.throttled_ns = Some(900_000_000 + 500_000_000);
    now.memory.oom_kills = Some(3);
    now.cpu_pressure.as_mut().unwrap().some.total_us += 300_000;
    let found = rates(&before, &now).unwrap();
    assert_eq!((found.seconds, found.usage_cores, found.throttled_ratio), (2.0, Some(0.4), Some(0.25)));
    assert_eq!((found.throttled_cores, found.throttled_seconds_per_period), (Some(0.25), Some(0.025)));
    assert_eq!((found.waiting_cores, found.oom_kills), (Some(0.15), Some(1)));
    assert!((found.headroom_cores.unwrap() - 0.1).abs() < 1e-9);

    // A count above 0 long ago is not "throttled now".
    let later = CgroupSample { at_ns: 5_000_000_000, ..now.clone() };
    let quiet = rates(&now, &later).unwrap();
    assert_eq!((quiet.throttled_ratio, quiet.throttled_cores, quiet.usage_cores), (Some(0.0), Some(0.0), Some(0.0)));
}

#[test]
fn stopped_time_of_two_groups_makes_no_rate() {
    let tree = Tree::new();
    host(&tree, "/pod/app");
    group(&tree, "/pod", "50000 100000\n", "max\n", 900);
    group(&tree, "/pod/app", "max 100000\n", "max\n", 500);
    let before = CgroupSample { at_ns: 1_000_000_000, ..sample(tree.root()) };
    group(&tree, "/pod/app", "20000 100000\n", "max\n", 600);
    let stopped_for_long = "usage_usec 600\nnr_periods 9000\nnr_throttled 8000\nthrottled_usec 700000000\n";
    tree.file("sys/fs/cgroup/pod/app/cpu.stat", stopped_for_long);
    let now = CgroupSample { at_ns: 2_000_000_000, ..sample(tree.root()) };
    assert_eq!((before.cpu.quota_cores, now.cpu.quota_cores), (Some(0.5), Some(0.2)));
    let found = rates(&before, &now).unwrap();
    let stopped = (found.throttled_ratio, found.throttled_cores, found.throttled_seconds_per_period);
    assert_eq!(stopped, (None, None, None));
    assert_eq!(found.usage_cores, Some(0.0001), "the rest is known");
    let later = CgroupSample { at_ns: 3_000_000_000, ..now.clone() };
    assert_eq!(rates(&now, &later).unwrap().throttled_cores, Some(0.0), "and so is this from now on");
}

#[test]
fn no_rate_is_made_of_two_groups_of_no_time_or_of_a_counter_that_went_back() {
    let tree = Tree::new();
    host(&tree, "/app");
    group(&tree, "/app", "max 100000\n", "max\n", 1_000_000);
    let before = CgroupSample { at_ns: 1_000, ..sample(tree.root()) };
    assert_eq!(rates(&before, &before), None);
    assert_eq!(rates(&before, &CgroupSample { at_ns: 999, ..before.clone() }), None);
    let elsewhere = CgroupSample { at_ns: 2_000, path: Some("/other".into()), ..before.clone() };
    assert_eq!(rates(&before, &elsewhere), None);
    let mut anew = CgroupSample { at_ns: 2_000, ..before.clone() };
    anew.cpu.usage_ns = Some(5);
    assert_eq!(rates(&before, &anew).unwrap().usage_cores, None);
}
