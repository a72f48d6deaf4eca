//! A worker with everything that it started: each process once.

use super::children::{Member, members};
use super::sample::{ProcessSample, Wish, sample};
use crate::sampling::absent::Absent;
use crate::sampling::root::Root;
use crate::sampling::unread::Unread;

/// Sums over a process and its living descendants. A sum of memory or descriptors of which a part could not be read is None: `unread`
/// says which part, and why. CPU times and threads are those of `pids`, of which they can always be read.
///
/// The CPU time of the whole tree is the sum of all four CPU fields: whoever ends and is waited for moves from the first two to the
/// last two, and the sum goes on. A process whose parent died belongs to init, and to no tree.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TreeSample {
    /// The processes that were summed: the first one, then children before grandchildren.
    pub pids: Vec<u32>,
    /// Of these, direct children of the first.
    pub children: u64,
    /// CPU time outside the kernel of those that live, ns.
    pub cpu_user_ns: u64,
    /// CPU time inside the kernel of those that live, ns.
    pub cpu_system_ns: u64,
    /// CPU time outside the kernel of those that ended and were waited for, ns.
    pub reaped_cpu_user_ns: u64,
    /// CPU time inside the kernel of those that ended and were waited for, ns.
    pub reaped_cpu_system_ns: u64,
    /// Resident memory, bytes; a page that processes share counts once for each, so this is more than they hold together.
    pub rss_bytes: Option<u64>,
    /// Proportional memory, bytes: what they hold together. None also when not asked for.
    pub pss_bytes: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub open_descriptors: Option<u64>,
    /// What could not be read: `<pid>.<field>`.
    pub unread: Unread,
}

/// The process with a pid and all that came from it. What ends meanwhile is left out.
pub fn tree(root: &Root, pid: u32, wish: Wish) -> Result<TreeSample, Absent> {
    let members = members(root, pid)?;
    if wish.start_ticks.is_some_and(|start| start != members[0].start_ticks) {
        return Err(Absent::Gone);
    }
    let mut sum = TreeSample {
        rss_bytes: Some(0),
        pss_bytes: wish.pss.then_some(0),
        open_descriptors: Some(0),
        ..TreeSample::default()
    };
    for member in &members {
        let exactly = Wish { start_ticks: Some(member.start_ticks), ..wish };
        match sample(root, member.pid, exactly) {
            Ok(sample) => sum.add(sample, members[0]),
            // Without the first there is no tree.
            Err(absent) if member.pid == pid => return Err(absent),
            Err(Absent::Gone) => {}
            Err(Absent::Unreadable(reason)) => {
                sum.unread.note(member.pid.to_string(), reason);
                (sum.rss_bytes, sum.pss_bytes, sum.open_descriptors) = (None, None, None);
            }
        }
    }
    Ok(sum)
}

impl TreeSample {
    fn add(&mut self, process: ProcessSample, first: Member) {
        self.pids.push(process.pid);
        self.children += u64::from(process.pid != first.pid && process.parent_pid == first.pid);
        self.cpu_user_ns += process.cpu_user_ns;
        self.cpu_system_ns += process.cpu_system_ns;
        self.reaped_cpu_user_ns += process.children_cpu_user_ns;
        self.reaped_cpu_system_ns += process.children_cpu_system_ns;
        self.threads += process.threads;
        self.rss_bytes = whole(self.rss_bytes, process.rss_bytes);
        self.pss_bytes = whole(self.pss_bytes, process.pss_bytes);
        self.open_descriptors = whole(self.open_descriptors, process.open_descriptors);
        self.unread.extend(&format!("{}.", process.pid), process.unread);
    }
}

fn whole(sum: Option<u64>, part: Option<u64>) -> Option<u64> {
    Some(sum?.saturating_add(part?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::fixture::Tree;
    use crate::sampling::process::{ns_of_ticks, page_size};

    #[test]
    fn each_process_counts_once() {
        let tree = Tree::new();
        tree.process(10, 1, "worker", 100).process(11, 10, "child", 110).process(12, 11, "grandchild", 120);
        tree.process(20, 1, "another", 50);
        let found = super::tree(tree.root(), 10, Wish { pss: true, start_ticks: Some(100) }).unwrap();
        assert_eq!((found.pids, found.children, found.threads), (vec![10, 11, 12], 1, 3));
        assert_eq!((found.cpu_user_ns, found.cpu_system_ns), (ns_of_ticks(450), ns_of_ticks(150)));
        assert_eq!((found.reaped_cpu_user_ns, found.reaped_cpu_system_ns), (ns_of_ticks(90), ns_of_ticks(60)));
        assert_eq!((found.rss_bytes, found.pss_bytes), (Some(1_500 * page_size()), Some(3_000 << 10)));
        assert_eq!(found.open_descriptors, Some(6));
        assert!(found.unread.is_empty());
    }

    #[test]
    fn what_could_not_be_read_is_said_and_what_ended_is_not_missed() {
        let tree = Tree::new();
        tree.process(10, 1, "worker", 100).process(11, 10, "child", 110).process(12, 10, "child", 110);
        tree.remove("proc/11/statm").remove("proc/12/stat");
        let found = super::tree(tree.root(), 10, Wish::default()).unwrap();
        assert_eq!((found.pids, found.rss_bytes), (vec![10, 11], None), "half a sum would look like a whole one");
        assert_eq!((found.threads, found.open_descriptors), (2, Some(4)));
        assert_eq!(found.unread.entries(), [("11.rss_bytes".to_owned(), "/proc/11/statm: no such file".to_owned())]);
        assert_eq!(found.pss_bytes, None);

        tree.file("proc/11/statm", "2000 500 300 14 0 300 0\n").remove("proc/11/smaps_rollup");
        let found = super::tree(tree.root(), 10, Wish { pss: true, start_ticks: None }).unwrap();
        assert_eq!((found.rss_bytes, found.pss_bytes), (Some(1_000 * page_size()), None));
    }

    #[test]
    fn a_tree_without_its_first_process_is_none() {
        let tree = Tree::new();
        tree.process(10, 1, "worker", 100);
        assert_eq!(super::tree(tree.root(), 10, Wish { pss: false, start_ticks: Some(7) }), Err(Absent::Gone));
        assert_eq!(super::tree(tree.root(), 11, Wish::default()), Err(Absent::Gone));
    }
}
