//! Worker pages: read without locks, told apart from the dead, passed on as heartbeats.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Drainer;
use super::liveness::{self, Life};
use crate::error::Result;
use crate::heartbeat::{COUNTERS, Heartbeat, PAGE_SIZE, State, read_page};
use crate::journal::format::NO_TIME;

/// How often a page that is being written is read again before it is left for the next time.
const ATTEMPTS: usize = 32;
const SEQUENCE_OFFSET: u64 = 16;

/// A page as it was read.
enum Read {
    Whole(Box<Heartbeat>, [u64; COUNTERS]),
    /// It was being written all the time.
    Busy([u64; COUNTERS]),
    Damaged,
}

/// What is remembered about pages.
#[derive(Debug, Default)]
pub struct Pages {
    /// Counters of pages that were deleted.
    gone: [u64; COUNTERS],
}

impl Pages {
    /// Dropped records by reason, then hook errors, over all pages; and how many pages cannot be read.
    pub fn counters(&self, spool: &Path) -> io::Result<([u64; COUNTERS], usize)> {
        let (mut sum, mut damaged) = (self.gone, 0);
        for path in list(spool)? {
            match read(&path)? {
                Some(Read::Whole(_, counters) | Read::Busy(counters)) => add(&mut sum, &counters),
                Some(Read::Damaged) => damaged += 1,
                None => {}
            }
        }
        Ok((sum, damaged))
    }
}

impl Drainer {
    /// Worker id and heartbeat of every page, refreshed by what the kernel says. Who is dead shows as lost, or stopped if it said
    /// so, until twice the grace is over; then its page goes.
    pub fn heartbeats(&mut self, now: i64) -> Result<Vec<(String, Vec<u8>)>> {
        let mut beats = Vec::new();
        for path in list(self.spool.path())? {
            let Some(Read::Whole(mut heartbeat, counters)) = read(&path)? else { continue };
            let life = self.life_of(&heartbeat);
            match life {
                Life::Alive => {
                    let (rss, cpu) = liveness::usage(heartbeat.pid);
                    heartbeat.rss = rss.unwrap_or(heartbeat.rss);
                    heartbeat.cpu = cpu.unwrap_or(heartbeat.cpu);
                }
                Life::Dead => {
                    let stopped = heartbeat.state == State::Stopped as u8
                        || self.workers.get(heartbeat.worker).is_some_and(|known| known.stopped);
                    heartbeat.state = if stopped { State::Stopped } else { State::Lost } as u8;
                    heartbeat.running = 0;
                    heartbeat.job_started = NO_TIME;
                }
                Life::Unknown => {}
            }
            let [host, ..] = &heartbeat.texts;
            beats.push((format!("{host}:{}:{}", heartbeat.pid, heartbeat.start_ticks), heartbeat.encode()));
            if life == Life::Dead {
                let seen = *self.deaths.entry(heartbeat.worker).or_insert(now);
                if now.saturating_sub(seen) >= 2 * self.options.grace && !self.is_needed(heartbeat.worker) {
                    add(&mut self.pages.gone, &counters);
                    self.deaths.remove(&heartbeat.worker);
                    // Somebody else may have been faster.
                    let _ = fs::remove_file(&path);
                }
            }
        }
        beats.sort_unstable();
        Ok(beats)
    }

    /// Whether the process of a page lives; also when it has written nothing but the page.
    fn life_of(&self, heartbeat: &Heartbeat) -> Life {
        if self.observer.sees(heartbeat.pid_namespace, heartbeat.boot) {
            return liveness::alive(heartbeat.pid, heartbeat.start_ticks);
        }
        match self.life(heartbeat.worker) {
            // A pid of elsewhere: what WORKER says decides, and without one nobody knows.
            life if self.workers.get(heartbeat.worker).is_some() => life,
            _ => Life::Unknown,
        }
    }
}

fn add(sum: &mut [u64; COUNTERS], counters: &[u64; COUNTERS]) {
    sum.iter_mut().zip(counters).for_each(|(sum, counter)| *sum = sum.saturating_add(*counter));
}

fn list(spool: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(spool)? {
        let path = entry?.path();
        let digits = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".wrk"));
        if digits.is_some_and(|digits| digits.len() == 16 && u64::from_str_radix(digits, 16).is_ok()) {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Reads a page; None when it has gone.
fn read(path: &Path) -> io::Result<Option<Read>> {
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO)) => {
            return Ok(Some(Read::Damaged));
        }
        opened => opened?,
    };
    let mut copy = [0; PAGE_SIZE];
    let mut counters = [0; COUNTERS];
    for _ in 0..ATTEMPTS {
        let Some(sequence) = copy_page(&file, &mut copy) else { return Ok(Some(Read::Damaged)) };
        match read_page(&copy, sequence) {
            Ok(page) => match page.heartbeat {
                Some(heartbeat) => return Ok(Some(Read::Whole(Box::new(heartbeat), page.counters))),
                None => counters = page.counters,
            },
            Err(_) => return Ok(Some(Read::Damaged)),
        }
        std::thread::yield_now();
    }
    Ok(Some(Read::Busy(counters)))
}

/// Copies a page and answers its sequence after that; None when it is too short or no file.
fn copy_page(file: &File, copy: &mut [u8; PAGE_SIZE]) -> Option<u64> {
    file.read_exact_at(copy, 0).ok()?;
    let mut sequence = [0; 8];
    file.read_exact_at(&mut sequence, SEQUENCE_OFFSET).ok()?;
    Some(u64::from_le_bytes(sequence))
}
