//! Which processes came from which: `/proc/<pid>/task/*/children`, or one pass over all `stat` files where the kernel was built
//! without it (`CONFIG_PROC_CHILDREN`).

use std::collections::{HashMap, HashSet};

use super::files::Files;
use crate::sampling::absent::Absent;
use crate::sampling::root::{Root, reason};
use crate::sampling::text::{decimal, words};

/// A process of a tree, by pid and start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Member {
    /// Pid.
    pub pid: u32,
    /// Start time in ticks since boot.
    pub start_ticks: u64,
    /// Pid of the parent.
    pub parent: u32,
}

/// A process and its living descendants, each once, parents first. Processes that end meanwhile are left out.
pub fn members(root: &Root, pid: u32) -> Result<Vec<Member>, Absent> {
    let stat = Files::of(root, pid).stat()?;
    let first = Member { pid, start_ticks: stat.start_ticks, parent: stat.parent };
    match listed(root, first) {
        Some(found) => Ok(found),
        None => scanned(root, first).map_err(Absent::Unreadable),
    }
}

/// By the kernel's own lists; None if it has none. A list that is read while a child ends may miss another one.
fn listed(root: &Root, first: Member) -> Option<Vec<Member>> {
    let mut found = vec![first];
    let mut seen = HashSet::from([first.pid]);
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        let files = Files::of(root, parent.pid);
        let Ok(threads) = files.numbers("task") else { continue };
        for thread in threads {
            let list = match files.read(&format!("task/{thread}/children")) {
                Ok(list) => list,
                // The first thread of the first process lives: its list is missing only where all are.
                Err(_) if parent.pid == first.pid && thread == first.pid => return None,
                Err(_) => continue,
            };
            for pid in words(&list).filter_map(|word| u32::try_from(decimal(word)?).ok()) {
                let Ok(stat) = Files::of(root, pid).stat() else { continue };
                let child = Member { pid, start_ticks: stat.start_ticks, parent: stat.parent };
                if follows(child, parent) && seen.insert(pid) {
                    found.push(child);
                }
            }
        }
    }
    Some(found)
}

/// By one pass over all processes.
fn scanned(root: &Root, first: Member) -> Result<Vec<Member>, String> {
    let entries = std::fs::read_dir(root.path("/proc")).map_err(|error| reason("/proc", &error))?;
    let mut children: HashMap<u32, Vec<Member>> = HashMap::new();
    for pid in entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()) {
        let Ok(stat) = Files::of(root, pid).stat() else { continue };
        let member = Member { pid, start_ticks: stat.start_ticks, parent: stat.parent };
        children.entry(stat.parent).or_default().push(member);
    }
    let mut found = vec![first];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        // Taken out, so that a circle, which files read one after the other can show, ends.
        let Some(mut own) = children.remove(&parent.pid) else { continue };
        own.retain(|child| child.pid != first.pid && follows(*child, parent));
        own.sort();
        found.extend(own);
    }
    Ok(found)
}

/// Whether this can be a child of that process, and not of an earlier one with the same pid.
fn follows(child: Member, parent: Member) -> bool {
    child.parent == parent.pid && child.start_ticks >= parent.start_ticks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::fixture::Tree;

    /// 10 -> 11, 12; 12 -> 13 -> 14; beside them 20 -> 21.
    fn family(tree: &Tree) -> &Tree {
        for (pid, parent, start) in
            [(10, 1, 100), (11, 10, 110), (12, 10, 120), (13, 12, 130), (14, 13, 130), (20, 1, 50), (21, 20, 60)]
        {
            tree.process(pid, parent, "a b) (c d", start);
        }
        tree
    }

    fn pids(found: Result<Vec<Member>, Absent>) -> Vec<u32> {
        found.unwrap().into_iter().map(|member| member.pid).collect()
    }

    #[test]
    fn a_pass_over_all_processes_finds_every_descendant_once() {
        let tree = Tree::new();
        family(&tree);
        assert_eq!(pids(members(tree.root(), 10)), [10, 11, 12, 13, 14]);
        assert_eq!(pids(members(tree.root(), 14)), [14]);
        assert_eq!(members(tree.root(), 15), Err(Absent::Gone));
    }

    #[test]
    fn the_kernels_lists_tell_the_same() {
        let tree = Tree::new();
        family(&tree);
        for (pid, list) in [(10, "11 12 "), (11, ""), (12, "13 "), (13, "14 "), (14, "")] {
            tree.file(&format!("proc/{pid}/task/{pid}/children"), list);
        }
        // A second thread with a child of its own, one that moved between the two readings, and one that ended since.
        tree.process(15, 10, "worker", 140).file("proc/10/task/99/children", "15 11 777 ");
        tree.file("proc/15/task/15/children", "");
        let mut found = pids(listed(tree.root(), Member { pid: 10, start_ticks: 100, parent: 1 }).ok_or(Absent::Gone));
        found.sort();
        assert_eq!(found, [10, 11, 12, 13, 14, 15]);
    }

    #[test]
    fn a_child_that_is_older_than_its_parent_belongs_to_an_earlier_process_with_that_pid() {
        let tree = Tree::new();
        family(&tree).process(12, 10, "worker", 99);
        assert_eq!(pids(members(tree.root(), 10)), [10, 11]);
    }

    #[test]
    fn files_that_contradict_each_other_end_the_search() {
        let tree = Tree::new();
        tree.process(10, 11, "worker", 100).process(11, 10, "worker", 100).file("proc/12/stat", "");
        assert_eq!(pids(members(tree.root(), 10)), [10, 11]);
    }
}
