//! Room on a file system, asked by a helper thread: `statvfs(2)` on a server that is gone does not come back.

#![cfg_attr(test, expect(unsafe_code, reason = "a test calls the kernel"))]

use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::patience::{Asked, PATIENCE};
pub use super::room::Space;
use crate::kernel;
use crate::recorder::fork::generation;

/// Asks the kernel for the room of one path; may take for ever.
pub type Ask = dyn Fn(&Path) -> io::Result<Space> + Send + Sync;

/// Asks for the room of many paths and waits at most [`PATIENCE`]. At most one question a path is open: a thread that does not come
/// back is not joined by another.
pub struct Prober {
    ask: Arc<Ask>,
    patience: Duration,
    now: fn() -> Instant,
    open: HashMap<PathBuf, Asked<io::Result<Space>>>,
    process: u64,
}

impl Prober {
    /// Asks the kernel.
    pub fn new() -> Prober {
        Prober::asking(Arc::new(statvfs), PATIENCE)
    }

    /// Asks somebody else: for tests.
    pub fn asking(ask: Arc<Ask>, patience: Duration) -> Prober {
        Prober { ask, patience, now: Instant::now, open: HashMap::new(), process: generation() }
    }

    /// The room of each path, in their order, or why it is not known.
    pub fn room(&mut self, paths: &[PathBuf]) -> Vec<Result<Space, String>> {
        if self.process != generation() {
            // The threads stayed in the parent.
            self.process = generation();
            self.open.clear();
        }
        // An answer that came after its sample is of some moment since then: too old to be of use.
        self.open.retain(|_, asked| asked.is_open());
        let started: Vec<_> = paths.iter().map(|path| self.start(path)).collect();
        let deadline = (self.now)() + self.patience;
        let mut wait = |(path, started): (&PathBuf, Result<bool, String>)| {
            let fresh = started?;
            let asked = self.open.get(path).ok_or("asked twice in one sample")?;
            let left = if fresh { deadline.saturating_duration_since((self.now)()) } else { Duration::ZERO };
            let answer = asked.wait(left)?;
            self.open.remove(path);
            answer.map_err(|error| error.to_string())
        };
        let rooms = paths.iter().zip(started).map(|(path, started)| wait((path, started)));
        rooms.map(|room| room.map_err(|reason| format!("statvfs: {reason}"))).collect()
    }

    /// How many questions were not answered yet.
    pub fn pending(&self) -> usize {
        self.open.len()
    }

    /// Asks, unless an earlier question is open; answers whether it was asked now.
    fn start(&mut self, path: &Path) -> Result<bool, String> {
        if self.open.contains_key(path) {
            return Ok(false);
        }
        let (ask, asked) = (Arc::clone(&self.ask), path.to_owned());
        let question =
            Asked::new(move || ask(&asked)).map_err(|error| format!("no thread could be started ({error})"))?;
        self.open.insert(path.to_owned(), question);
        Ok(true)
    }
}

impl Default for Prober {
    fn default() -> Prober {
        Prober::new()
    }
}

/// `statvfs(2)` in this thread. Sizes are in units of `f_frsize`; `f_bsize` is another number on some file systems.
pub fn statvfs(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    kernel::statvfs(&path).map(|found| space(&found))
}

#[allow(clippy::unnecessary_cast, reason = "other systems have narrower numbers")]
fn space(found: &libc::statvfs) -> Space {
    let bytes = |fragments: u64| fragments.saturating_mul(found.f_frsize as u64);
    Space {
        total: bytes(found.f_blocks as u64),
        available: bytes(found.f_bavail as u64),
        free: Some(bytes(found.f_bfree as u64)),
        inodes: (found.f_files > 0).then_some((found.f_files as u64, found.f_ffree as u64)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::OnceCell;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    /// Each test waits for it once or twice; long enough for a thread to run on a busy machine.
    const SOON: Duration = Duration::from_secs(1);

    /// A file system that hangs until its gate opens, and how often it was asked.
    fn hanging() -> (Arc<Ask>, Arc<Mutex<()>>, Arc<AtomicUsize>) {
        let (gate, asked) = (Arc::new(Mutex::new(())), Arc::new(AtomicUsize::new(0)));
        let (shut, count) = (Arc::clone(&gate), Arc::clone(&asked));
        let ask = move |path: &Path| {
            if path == Path::new("/hung") {
                count.fetch_add(1, Ordering::SeqCst);
                drop(shut.lock());
            }
            Ok(Space { total: 7, ..Space::default() })
        };
        (Arc::new(ask), gate, asked)
    }

    #[test]
    fn a_mount_that_hangs_costs_the_others_nothing_and_is_asked_once() {
        let (ask, gate, asked) = hanging();
        let mut prober = Prober::asking(ask, SOON);
        let shut = gate.lock().unwrap();
        let paths = [PathBuf::from("/hung"), "/".into()];
        for _ in 0..20 {
            let room = prober.room(&paths);
            assert!(room[0].as_ref().unwrap_err().starts_with("statvfs: no answer for "), "{room:?}");
            assert_eq!(room[1].as_ref().unwrap().total, 7);
        }
        assert_eq!((asked.load(Ordering::SeqCst), prober.pending()), (1, 1));
        drop(shut);
        while prober.room(&paths)[0].is_err() {}
        assert_eq!(prober.pending(), 0);
    }

    #[test]
    fn patience_is_for_all_together_and_a_later_sample_has_none() {
        const HOUR: Duration = Duration::from_secs(3_600);
        /// The hour is over when the first answer is waited for.
        fn now() -> Instant {
            thread_local! {
                static BEGUN: OnceCell<Instant> = const { OnceCell::new() };
            }
            BEGUN.with(|begun| begun.get().map_or_else(|| *begun.get_or_init(Instant::now), |begun| *begun + HOUR))
        }
        let (said, answer) = channel();
        std::thread::spawn(move || {
            let hang = |_: &Path| {
                std::thread::sleep(HOUR);
                Ok(Space::default())
            };
            let mut prober = Prober { now, ..Prober::asking(Arc::new(hang), HOUR) };
            let paths = ["/one".into(), "/two".into()];
            said.send([prober.room(&paths), prober.room(&paths)])
        });
        let samples = answer.recv_timeout(Duration::from_secs(60)).expect("nobody waits for an hour");
        for room in samples.iter().flatten() {
            assert!(room.as_ref().unwrap_err().starts_with("statvfs: no answer for "), "{room:?}");
        }
    }

    #[test]
    fn a_child_does_not_wait_for_a_thread_of_its_parent() {
        let (ask, gate, asked) = hanging();
        let mut prober = Prober::asking(ask, SOON);
        let shut = gate.lock().unwrap();
        assert!(prober.room(&["/hung".into()])[0].is_err());
        prober.process += 1; // as after a fork
        assert!(prober.room(&["/hung".into()])[0].is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        drop(shut);
    }

    #[test]
    fn an_unmounted_path_is_forgotten_once_its_thread_is_back() {
        let (ask, gate, _) = hanging();
        let mut prober = Prober::asking(ask, SOON);
        let shut = gate.lock().unwrap();
        assert!(prober.room(&["/hung".into()])[0].is_err());
        assert_eq!((prober.room(&[]).len(), prober.pending()), (0, 1));
        drop(shut);
        while prober.pending() > 0 {
            prober.room(&[]);
        }
    }

    #[test]
    fn the_kernel_answers_for_what_there_is() {
        let room = Prober::new().room(&["/".into(), "/no/such/place".into()]);
        let root = room[0].as_ref().unwrap();
        let free = root.free.unwrap();
        assert!(root.total > 0 && free <= root.total && root.available <= free);
        assert!(room[1].as_ref().unwrap_err().starts_with("statvfs: "));
    }

    #[test]
    fn sizes_are_in_fragments_not_in_blocks() {
        // SAFETY: the structure is numbers only, for which zeros are valid.
        let mut answer: libc::statvfs = unsafe { std::mem::zeroed() };
        (answer.f_bsize, answer.f_frsize, answer.f_blocks, answer.f_bfree, answer.f_bavail) =
            (1 << 20, 512, 100, 40, 30);
        let space = space(&answer);
        assert_eq!((space.total, space.free, space.available), (51_200, Some(20_480), 15_360));
        assert_eq!(space.inodes, None, "made as needed");
    }
}
