//! A question that may never be answered, asked by a thread of its own.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a sample waits for all such questions together.
pub const PATIENCE: Duration = Duration::from_millis(200);
const STACK: usize = 256 << 10;

/// A question that was asked. Its thread ends with the answer, or never.
pub struct Asked<T> {
    since: Instant,
    answer: Receiver<T>,
}

impl<T: Send + 'static> Asked<T> {
    /// Asks; fails when no thread can be had.
    pub fn new(work: impl FnOnce() -> T + Send + 'static) -> io::Result<Asked<T>> {
        let (sender, answer) = channel();
        let thread = thread::Builder::new().name("queue-metrics-ask".into()).stack_size(STACK);
        thread.spawn(move || drop(sender.send(work())))?;
        Ok(Asked { since: Instant::now(), answer })
    }

    /// Whether there is no answer yet; an answer that is there is thrown away.
    pub fn is_open(&self) -> bool {
        matches!(self.answer.try_recv(), Err(TryRecvError::Empty))
    }

    /// The answer, or how long there is none.
    pub fn wait(&self, patience: Duration) -> Result<T, String> {
        self.answer.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("no answer for {} ms", self.since.elapsed().as_millis()),
            RecvTimeoutError::Disconnected => "the helper thread failed".to_owned(),
        })
    }
}
