//! Room on `/` for hot samples: asked in this thread once it is known that its file system cannot hang, else by a helper thread.

use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::file_system::is_of_this_machine;
use super::patience::PATIENCE;
use super::space::{Ask, Prober, Space, statvfs};

/// Asks for the room on one file system, again and again.
pub struct RootSpace {
    path: PathBuf,
    prober: Prober,
    /// It answered, and no server and no other process is behind it. Set by the helper thread.
    is_here: Arc<AtomicBool>,
}

impl RootSpace {
    /// Asks nothing yet.
    pub fn new(path: PathBuf) -> RootSpace {
        let is_here = Arc::new(AtomicBool::new(false));
        let found = Arc::clone(&is_here);
        let ask = move |path: &Path| {
            let space = statvfs(path)?;
            found.store(is_of_this_machine(path), Ordering::Relaxed);
            Ok(space)
        };
        RootSpace { path, prober: Prober::asking(Arc::new(ask), PATIENCE), is_here }
    }

    /// With another `statvfs`, which may hang: for tests.
    pub fn asking(self, ask: Arc<Ask>) -> RootSpace {
        RootSpace { prober: Prober::asking(ask, PATIENCE), is_here: Arc::default(), path: self.path }
    }

    /// The room now, or why it is not known, after [`PATIENCE`] at most.
    pub fn read(&mut self) -> Result<Space, String> {
        if self.is_here.load(Ordering::Relaxed) {
            return statvfs(&self.path).map_err(|error| format!("statvfs: {error}"));
        }
        let mut rooms = self.prober.room(slice::from_ref(&self.path));
        rooms.pop().unwrap_or_else(|| Err("statvfs: not asked".into()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_file_system_of_this_machine_is_asked_by_a_thread_once() {
        let mut root = RootSpace::new("/proc/self/..".into());
        let first = root.read();
        assert!(first.is_ok(), "{first:?}");
        assert!(!root.is_here.load(Ordering::Relaxed), "nobody says that proc cannot hang");
        let mut shm = RootSpace::new("/dev/shm".into());
        let total = shm.read().unwrap().total;
        assert!(shm.is_here.load(Ordering::Relaxed));
        shm.prober = Prober::asking(Arc::new(|_: &Path| panic!("asked by a thread again")), PATIENCE);
        assert_eq!(shm.read().unwrap().total, total);
    }

    #[test]
    fn one_that_hangs_is_unknown_with_the_reason_until_it_answers() {
        let gate = Arc::new(Mutex::new(()));
        let shut = gate.lock().unwrap();
        let door = Arc::clone(&gate);
        let ask = move |_: &Path| {
            drop(door.lock());
            Ok(Space { total: 7, ..Space::default() })
        };
        let mut root = RootSpace::new("/".into()).asking(Arc::new(ask));
        for _ in 0..3 {
            let reason = root.read().unwrap_err();
            assert!(reason.starts_with("statvfs: no answer for "), "{reason}");
        }
        assert_eq!(root.prober.pending(), 1);
        drop(shut);
        while root.read().is_err() {}
        assert_eq!(root.read().unwrap().total, 7);
    }
}
