//! What tests of readers share: a tree of files in the place of `/`, gone when dropped, and a child for what belongs to a process.

#![expect(unsafe_code, reason = "forks children for tests")]

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use super::root::Root;

/// Runs in a forked child; true if it answered true and did not panic. What it panicked with is printed here, since the harness keeps
/// what a test prints in memory, which goes with the child.
pub fn in_child(child: impl FnOnce() -> bool) -> bool {
    let (mut from, to) = std::io::pipe().unwrap();
    // SAFETY: the child touches memory of its own and leaves by _exit, whatever happens.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let right = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or_else(|panic| {
            let said =
                panic.downcast_ref::<String>().cloned().or(panic.downcast_ref::<&str>().map(|said| (*said).into()));
            let _ = (&to).write_all(said.unwrap_or_default().as_bytes());
            false
        });
        // SAFETY: nothing of the parent's is run.
        unsafe { libc::_exit(i32::from(!right)) };
    }
    drop(to);
    let mut said = String::new();
    let _ = from.read_to_string(&mut said);
    if !said.is_empty() {
        eprintln!("the child said: {said}");
    }
    let mut status = -1;
    // SAFETY: the child is ours, the status too.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    status == 0
}

/// A scratch directory.
#[derive(Debug)]
pub struct Tree {
    root: Root,
    path: PathBuf,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::new()
    }
}

impl Tree {
    /// One with the mark of a `/proc` that can be believed, and nothing else.
    pub fn new() -> Tree {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("qm-root-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("proc/self")).unwrap();
        Tree { root: Root::at(&path), path }
    }

    /// What a reader is given.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Writes a file with the directories above it.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Tree {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Takes a file or directory away.
    pub fn remove(&self, path: &str) -> &Tree {
        let path = self.path.join(path);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
        self
    }

    /// A process with the files that a sample reads: 1.5 s user, 0.5 s system at 100 ticks a second.
    pub fn process(&self, pid: u32, parent: u32, name: &str, start_ticks: u64) -> &Tree {
        let folder = format!("proc/{pid}");
        self.process_stat(pid, parent, name, start_ticks);
        self.file(&format!("{folder}/statm"), "2000 500 300 14 0 300 0\n");
        let status = format!(
            "Name:\t{name}\nVmHWM:\t    4000 kB\nVmSwap:\t       8 kB\nvoluntary_ctxt_switches:\t12\n\
             nonvoluntary_ctxt_switches:\t3\n"
        );
        self.file(&format!("{folder}/status"), &status);
        self.file(&format!("{folder}/task/{pid}/status"), &status);
        self.file(&format!("{folder}/smaps_rollup"), "Rss: 2000 kB\nPss: 1000 kB\n");
        self.file(&format!("{folder}/fd/0"), "");
        self.file(&format!("{folder}/fd/1"), "")
    }

    /// The `stat` of that process alone.
    pub fn process_stat(&self, pid: u32, parent: u32, name: &str, start_ticks: u64) -> &Tree {
        let stat = format!(
            "{pid} ({name}) S {parent} {pid} {pid} 0 -1 4194304 99 0 1 0 150 50 30 20 20 0 1 0 {start_ticks} 8192000 412 \
             18446744073709551615 1 1 0 0 0\n"
        );
        self.file(&format!("proc/{pid}/stat"), stat)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
