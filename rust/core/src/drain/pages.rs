//! Worker pages: read without locks, told apart from the dead, passed on as heartbeats.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::Drainer;
use super::liveness::{self, Life};
use crate::error::{Error, Result};
use crate::heartbeat::{COUNTERS, Content, Heartbeat, Meter, PAGE_SIZE, State, read_page};
use crate::journal::directory::Directory;
use crate::journal::format::{NO_TIME, NO_VALUE};
use crate::journal::own::Found;
use crate::sampling::clock;

/// How often a page that is being written is read again before it is left for the next time.
const ATTEMPTS: usize = 32;
const SEQUENCE_OFFSET: u64 = 16;

/// A page as it was read.
enum Read {
    Whole(Box<Heartbeat>, [u64; COUNTERS]),
    /// It was being written all the time.
    Busy([u64; COUNTERS]),
    /// A newer version wrote it, or its heartbeat; then the counters can be read.
    Newer([u64; COUNTERS]),
    Damaged,
}

/// What is remembered about pages.
#[derive(Debug, Default)]
pub struct Pages {
    /// Counters of pages that were deleted.
    gone: [u64; COUNTERS],
    /// How each worker was when it was seen alive last, by worker key.
    seen: HashMap<u64, Seen>,
}

/// A living worker.
#[derive(Debug)]
struct Seen {
    meter: Meter,
    /// When, µs.
    at: i64,
}

/// What all pages of a spool say together.
#[derive(Debug, Default)]
pub struct Summary {
    /// Dropped records by reason, then hook errors.
    pub counters: [u64; COUNTERS],
    /// Pages that cannot be read.
    pub damaged: usize,
    /// Pages that a newer version of the package writes.
    pub newer: usize,
}

impl Pages {
    /// All pages, those that were deleted too.
    pub fn summary(&self, spool: &Directory) -> io::Result<Summary> {
        let mut summary = Summary { counters: self.gone, ..Summary::default() };
        for (_, name) in list(spool)? {
            match read(spool, &name)? {
                Some(Read::Whole(_, counters) | Read::Busy(counters)) => add(&mut summary.counters, &counters),
                Some(Read::Newer(counters)) => {
                    add(&mut summary.counters, &counters);
                    summary.newer += 1;
                }
                Some(Read::Damaged) => summary.damaged += 1,
                None => {}
            }
        }
        Ok(summary)
    }
}

impl Drainer {
    /// Worker id and heartbeat of every page, refreshed by what the kernel says. Who is dead shows as lost, or stopped if it said
    /// so, until twice the grace is over; then its page goes.
    pub fn heartbeats(&mut self, now: i64) -> Result<Vec<(String, Vec<u8>)>> {
        self.renew()?;
        self.observer.look();
        let mut beats = Vec::new();
        let spool = Arc::clone(self.spool.directory());
        let pages = list(&spool)?;
        self.pages.seen.retain(|worker, _| pages.binary_search_by_key(worker, |page| page.0).is_ok());
        for (_, name) in pages {
            let Some(Read::Whole(mut heartbeat, counters)) = read(&spool, &name)? else { continue };
            let mut done = false;
            match self.life_of(&heartbeat) {
                Life::Alive => {
                    let usage = liveness::usage(heartbeat.pid).map(|value| value.unwrap_or(NO_VALUE));
                    let seen = self.pages.seen.entry(heartbeat.worker);
                    let seen = seen.or_insert_with(|| Seen { meter: Meter::default(), at: now });
                    seen.at = now;
                    heartbeat.measure(seen.meter.complete(usage, clock::monotonic_ns()));
                    heartbeat.seen = now;
                }
                Life::Dead => {
                    let stopped = heartbeat.state == State::Stopped as u8
                        || self.workers.get(heartbeat.worker).is_some_and(|known| known.stopped);
                    let state = if stopped { State::Stopped } else { State::Lost } as u8;
                    // Nothing that was told of it goes back: what it was doing counts until it was seen last.
                    if let Some(seen) = self.pages.seen.get(&heartbeat.worker) {
                        heartbeat.carry_on(seen.at);
                        heartbeat.measure(seen.meter.ended());
                    }
                    let died = self.died(heartbeat.worker, now);
                    if heartbeat.state != state {
                        heartbeat.state_changed = died;
                    }
                    heartbeat.state = state;
                    heartbeat.seen = now;
                    done = now.saturating_sub(died) >= 2 * self.options.grace && !self.is_needed(heartbeat.worker);
                    heartbeat.running = 0;
                    heartbeat.job_started = NO_TIME;
                }
                Life::Unknown => {}
            }
            let [host, ..] = &heartbeat.texts;
            beats.push((format!("{host}:{}:{}", heartbeat.pid, heartbeat.start_ticks), heartbeat.encode()));
            if done {
                add(&mut self.pages.gone, &counters);
                self.deaths.remove(&heartbeat.worker);
                // Somebody else may have been faster.
                let _ = spool.remove(&name);
            }
        }
        beats.sort_unstable();
        Ok(beats)
    }

    /// Whether the process of a page lives; also when it has written nothing but the page.
    fn life_of(&self, heartbeat: &Heartbeat) -> Life {
        if self.observer.sees(heartbeat.pid_namespace, heartbeat.boot) == Some(true) {
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

/// The pages of a spool with the keys of their workers, in order of these.
fn list(spool: &Directory) -> io::Result<Vec<(u64, CString)>> {
    let mut pages = Vec::new();
    for name in spool.names()? {
        let digits = name.to_str().ok().and_then(|name| name.strip_suffix(".wrk")).filter(|digits| digits.len() == 16);
        if let Some(worker) = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
            pages.push((worker, name));
        }
    }
    pages.sort_unstable();
    Ok(pages)
}

/// Reads a page; None when it has gone.
fn read(spool: &Directory, name: &CStr) -> io::Result<Option<Read>> {
    let file = match spool.find(name, libc::O_RDONLY)? {
        Found::Own(file, _) => file,
        Found::Planted => return Ok(Some(Read::Damaged)),
        Found::None => return Ok(None),
    };
    let mut copy = [0; PAGE_SIZE];
    let mut counters = [0; COUNTERS];
    for _ in 0..ATTEMPTS {
        let Some(sequence) = copy_page(&file, &mut copy) else { return Ok(Some(Read::Damaged)) };
        match read_page(&copy, sequence) {
            Ok(page) => match page.content {
                Content::Whole(heartbeat) => return Ok(Some(Read::Whole(heartbeat, page.counters))),
                Content::Newer => return Ok(Some(Read::Newer(page.counters))),
                Content::Writing => counters = page.counters,
            },
            Err(Error::Newer { .. }) => return Ok(Some(Read::Newer([0; COUNTERS]))),
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
