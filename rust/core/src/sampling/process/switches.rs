//! Context switches of a process that is not this one: `/proc/<pid>/task/*/status`, since the file of the process speaks of its
//! first thread only.

use super::files::Files;
use super::status::{Status, parse_status};
use crate::sampling::root::malformed;

/// Voluntary and involuntary switches of all threads that live; `first` is what the file of the process says.
pub fn all_threads(files: &Files, threads: u64, first: &Result<Status, String>) -> Result<(u64, u64), String> {
    if threads <= 1 {
        return switches(first.as_ref().map_err(Clone::clone)?).ok_or_else(|| malformed(&files.path("status")));
    }
    let mut sum = (0, 0);
    for thread in files.numbers("task")? {
        let name = format!("task/{thread}/status");
        // A thread that ended since the listing takes its switches along, like all that ended before.
        let Ok(text) = files.read(&name) else { continue };
        let (voluntary, involuntary) = switches(&parse_status(&text)).ok_or_else(|| malformed(&files.path(&name)))?;
        sum = (sum.0 + voluntary, sum.1 + involuntary);
    }
    Ok(sum)
}

fn switches(status: &Status) -> Option<(u64, u64)> {
    status.voluntary_switches.zip(status.involuntary_switches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::fixture::Tree;

    fn status(voluntary: u64, involuntary: u64) -> String {
        format!("voluntary_ctxt_switches:\t{voluntary}\nnonvoluntary_ctxt_switches:\t{involuntary}\n")
    }

    #[test]
    fn the_threads_of_a_process_are_summed() {
        let tree = Tree::new();
        tree.file("proc/42/task/42/status", status(5, 1)).file("proc/42/task/43/status", status(70, 20));
        let files = Files::of(tree.root(), 42);
        let first = Ok(parse_status(status(5, 1).as_bytes()));
        assert_eq!(all_threads(&files, 2, &first), Ok((75, 21)));
        assert_eq!(all_threads(&files, 1, &first), Ok((5, 1)), "one thread needs no listing");
        tree.file("proc/42/task/44/status", "voluntary_ctxt_switches:\t5");
        assert_eq!(all_threads(&files, 3, &first), Err("/proc/42/task/44/status: not understood".into()));
    }
}
