//! `/proc/<pid>/fd`: open descriptors. Since Linux 6.2 the directory's size is their number; before, its entries are counted.

use std::fs;

use super::files::Files;
use crate::sampling::root::reason;

/// Open descriptors of a process.
pub fn count(files: &Files) -> Result<u64, String> {
    let path = files.path("fd");
    let size = fs::metadata(files.root().path(&path)).map_err(|error| reason(&path, &error))?.len();
    // On a disk, in a fixture tree, the size of a directory is its bytes. 0 is also the answer of an older kernel.
    if files.root().is_real() && size > 0 { Ok(size) } else { listed(files) }
}

/// By listing: also right on old kernels, but it needs the rights of a debugger for another user's process.
pub fn listed(files: &Files) -> Result<u64, String> {
    let entries = files.numbers("fd")?.len() as u64;
    // The listing of our own is one of the descriptors listed.
    Ok(entries.saturating_sub(u64::from(files.is_own())))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::sampling::fixture::Tree;
    use crate::sampling::root::Root;

    #[test]
    fn open_files_are_counted_both_ways() {
        let root = Root::default();
        let files = Files::own(&root);
        // Other tests of this program open files, too: 300 of ours stand out.
        let before = [count(&files).unwrap(), listed(&files).unwrap()];
        let opened: Vec<File> = (0..300).map(|_| File::open("/dev/null").unwrap()).collect();
        let after = [count(&files).unwrap(), listed(&files).unwrap()];
        for (before, after) in before.into_iter().zip(after) {
            assert!((200..=400).contains(&after.saturating_sub(before)), "{before}, {after} with {}", opened.len());
        }
    }

    #[test]
    fn entries_are_counted_where_the_size_does_not_tell() {
        let tree = Tree::new();
        for descriptor in ["0", "1", "2", "17"] {
            tree.file(&format!("proc/42/fd/{descriptor}"), "");
        }
        assert_eq!(count(&Files::of(tree.root(), 42)), Ok(4));
        assert_eq!(count(&Files::of(tree.root(), 43)), Err("/proc/43/fd: no such file".into()));
    }
}
