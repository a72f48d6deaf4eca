//! Children that append as fast as they can, and what is done to them: killed as they run, or stopped, led on by single instructions, and
//! killed there. Knows nothing of segments.

#![expect(unsafe_code, reason = "forks, traces and kills writers")]

use std::ptr;
use std::time::{Duration, Instant};

use queue_metrics_core::journal::writer::Journal;
use queue_metrics_core::sampling::process::Identity;

use crate::truth::{Line, record};

/// A forked child, killed at the latest when it is dropped.
pub struct Child {
    pid: libc::pid_t,
    waited_for: bool,
}

/// What all children of a round append to.
pub struct Work<'a> {
    pub journal: &'a Journal,
    pub identity: &'a Identity,
    pub at: i64,
}

impl Child {
    /// Forks a child that appends at once.
    pub fn new(work: &Work<'_>, writer: usize, line: &Line) -> Child {
        // SAFETY: the child allocates, which the C library provides for, takes no other lock, and never comes back from here.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "no fork");
        if pid == 0 {
            append(work, writer, line);
        }
        Child { pid, waited_for: false }
    }

    /// Kills it, wherever it is.
    pub fn kill(mut self) {
        // SAFETY: the child is ours and was not waited for.
        assert_eq!(unsafe { libc::kill(self.pid, libc::SIGKILL) }, 0);
        let status = self.wait();
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL, "{status:x}");
        self.waited_for = true;
    }

    /// Takes it as a debugger does, without stopping it.
    pub fn seize(&self) {
        self.trace(libc::PTRACE_SEIZE, libc::PTRACE_O_EXITKILL);
    }

    /// Stops it between two instructions.
    pub fn stop(&self) {
        self.trace(libc::PTRACE_INTERRUPT, 0);
        self.wait_for_stop();
    }

    /// Has it execute so many instructions.
    pub fn step(&self, instructions: usize) {
        for _ in 0..instructions {
            self.trace(libc::PTRACE_SINGLESTEP, 0);
            self.wait_for_stop();
        }
    }

    /// Lets it run again.
    pub fn go_on(&self) {
        self.trace(libc::PTRACE_CONT, 0);
    }

    /// Has it execute instructions as long as something holds, and so many at most; answers how many.
    pub fn step_while(&self, most: usize, holds: impl Fn() -> bool) -> usize {
        (0..most).take_while(|_| holds()).map(|_| self.step(1)).count()
    }

    /// How many instructions it takes from one finished record to the next, of a stopped child.
    pub fn instructions_of_a_record(&self, line: &Line) -> usize {
        let to_the_next = || {
            let before = line.done();
            let steps = self.step_while(1_000_000, || line.done() == before);
            assert_ne!(line.done(), before, "it does not come to the end of a record");
            steps
        };
        to_the_next();
        (0..5).map(|_| to_the_next()).min().unwrap_or_default()
    }

    fn trace(&self, request: libc::c_uint, data: libc::c_int) {
        let (nowhere, data) = (ptr::null_mut::<libc::c_void>(), data as libc::c_long);
        // SAFETY: none of the requests that are used here touches memory of ours.
        let answer = unsafe { libc::ptrace(request, self.pid, nowhere, data) };
        assert_eq!(answer, 0, "request {request:x}: {}", std::io::Error::last_os_error());
    }

    fn wait_for_stop(&self) {
        let status = self.wait();
        assert!(libc::WIFSTOPPED(status), "{status:x}");
    }

    fn wait(&self) -> libc::c_int {
        let mut status = 0;
        // SAFETY: the kernel writes one int.
        assert_eq!(unsafe { libc::waitpid(self.pid, &mut status, 0) }, self.pid);
        status
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.waited_for {
            // SAFETY: the child is ours and was not waited for.
            unsafe {
                libc::kill(self.pid, libc::SIGKILL);
                libc::waitpid(self.pid, ptr::null_mut(), 0);
            }
        }
    }
}

/// The life of a child: it appends as fast as it can what it is allowed to, and never sleeps for long, so that it can always be led on.
fn append(work: &Work<'_>, writer: usize, line: &Line) -> ! {
    // SAFETY: it is killed when the thread that forked it ends, which may have been before this call.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let journal = work.journal.forked();
    for number in 0.. {
        while number >= line.allowed() {
            std::thread::sleep(Duration::from_micros(100));
        }
        put(&journal, work, writer, number, line);
    }
    unreachable!("it is killed before");
}

/// Appends one record and counts it.
pub fn put(journal: &Journal, work: &Work<'_>, writer: usize, number: u64, line: &Line) {
    let record = record(work.at, writer, number);
    line.begin(number);
    match journal.append(work.identity, |current| current.append(&record)) {
        Ok(()) => line.finish(number),
        Err(_) => line.refuse(),
    }
}

/// Waits until a child has appended something.
pub fn wait_until_it_appends(line: &Line) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while line.done() == 0 {
        assert!(Instant::now() < deadline && line.refused() == 0, "a child appends nothing");
        std::thread::yield_now();
    }
}
