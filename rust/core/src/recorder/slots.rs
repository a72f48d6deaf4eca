//! The running executions of a process: 4,096 slots, claimed and freed without a lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::names::cut;

/// Slots of a process.
pub const SLOTS: usize = 4_096;
/// Slots that are allocated together, one word of the map of those taken.
const CHUNK: usize = 64;
/// Bytes kept of a job id, for the worker page.
const JOB_BYTES: usize = 248;
/// Bytes of the length in front of a job id in a heartbeat.
const LENGTH_BYTES: usize = size_of::<u16>();
const INDEX_BITS: u32 = SLOTS.trailing_zeros();

/// What is kept of an execution while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Execution {
    /// Execution key; 0 when its START could not be written.
    pub key: u64,
    /// Handle of its task.
    pub handle: u32,
    /// Clock of its task, by number.
    pub clock: u32,
    /// Started, monotonic ns.
    pub started_ns: u64,
    /// Started, µs of the wall clock.
    pub started_us: i64,
    /// CPU clock at the start, ns, or all ones.
    pub cpu_ns: u64,
    /// Resident memory at the start, bytes, or all ones.
    pub resident: u64,
    /// Which start of the process this was, to know whether another one came in between.
    pub turn: u64,
}

/// One slot. Its serial is 0 while it is free or being filled; the other fields are read between two equal readings of it.
#[derive(Debug)]
struct Slot {
    serial: AtomicU64,
    key: AtomicU64,
    /// Handle and clock.
    task: AtomicU64,
    started_ns: AtomicU64,
    started_us: AtomicI64,
    cpu_ns: AtomicU64,
    resident: AtomicU64,
    turn: AtomicU64,
    job_length: AtomicU64,
    job: [AtomicU64; JOB_BYTES / 8],
}

impl Slot {
    const fn new() -> Slot {
        Slot {
            serial: AtomicU64::new(0),
            key: AtomicU64::new(0),
            task: AtomicU64::new(0),
            started_ns: AtomicU64::new(0),
            started_us: AtomicI64::new(0),
            cpu_ns: AtomicU64::new(0),
            resident: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            job_length: AtomicU64::new(0),
            job: [const { AtomicU64::new(0) }; JOB_BYTES / 8],
        }
    }

    #[inline(always)]
    fn fill(&self, execution: Execution, job: &str) {
        self.key.store(execution.key, Ordering::Relaxed);
        self.task.store(u64::from(execution.handle) | u64::from(execution.clock) << 32, Ordering::Relaxed);
        self.started_ns.store(execution.started_ns, Ordering::Relaxed);
        self.started_us.store(execution.started_us, Ordering::Relaxed);
        self.cpu_ns.store(execution.cpu_ns, Ordering::Relaxed);
        self.resident.store(execution.resident, Ordering::Relaxed);
        self.turn.store(execution.turn, Ordering::Relaxed);
        let job = cut(job, JOB_BYTES).as_bytes();
        self.job_length.store(job.len() as u64, Ordering::Relaxed);
        let (words, rest) = job.as_chunks::<8>();
        for (place, word) in self.job.iter().zip(words) {
            place.store(u64::from_le_bytes(*word), Ordering::Relaxed);
        }
        if !rest.is_empty() {
            // The last eight bytes hold what is left, behind some that are stored already.
            let last = match job.last_chunk() {
                Some(last) => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
                None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
            };
            self.job[words.len()].store(last, Ordering::Relaxed);
        }
    }

    #[inline]
    fn execution(&self) -> Execution {
        let task = self.task.load(Ordering::Relaxed);
        Execution {
            key: self.key.load(Ordering::Relaxed),
            handle: task as u32,
            clock: (task >> 32) as u32,
            started_ns: self.started_ns.load(Ordering::Relaxed),
            started_us: self.started_us.load(Ordering::Relaxed),
            cpu_ns: self.cpu_ns.load(Ordering::Relaxed),
            resident: self.resident.load(Ordering::Relaxed),
            turn: self.turn.load(Ordering::Relaxed),
        }
    }

    /// Appends the job id as a heartbeat holds it.
    fn put_job(&self, bytes: &mut Vec<u8>) {
        let length = (self.job_length.load(Ordering::Relaxed) as usize).min(JOB_BYTES);
        bytes.extend_from_slice(&(length as u16).to_le_bytes());
        let end = bytes.len() + length;
        for word in &self.job[..length.div_ceil(8)] {
            bytes.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        bytes.truncate(end);
    }
}

/// A slot that is taken and not filled yet.
#[derive(Debug)]
#[must_use]
pub struct Reserved(usize);

/// The running executions of a process.
#[derive(Debug)]
pub struct Slots {
    taken: [AtomicU64; SLOTS / CHUNK],
    chunks: [OnceLock<Box<[Slot; CHUNK]>>; SLOTS / CHUNK],
}

impl Slots {
    /// All free.
    pub fn new() -> Slots {
        Slots {
            taken: [const { AtomicU64::new(0) }; SLOTS / CHUNK],
            chunks: [const { OnceLock::new() }; SLOTS / CHUNK],
        }
    }

    /// Takes a slot, or None when all are taken.
    #[inline]
    pub fn reserve(&self) -> Option<Reserved> {
        self.take().map(Reserved)
    }

    /// Puts an execution into its slot; answers its ticket, which nobody else has if nobody has the serial, that is above 0.
    #[inline(always)]
    pub fn fill(&self, reserved: Reserved, serial: u64, execution: Execution, job: &str) -> i64 {
        let Reserved(index) = reserved;
        let slot = self.slot(index);
        slot.fill(execution, job);
        slot.serial.store(serial, Ordering::Release);
        (serial << INDEX_BITS | index as u64) as i64
    }

    /// Frees the slot of a ticket; answers what was kept in it, once.
    #[inline]
    pub fn release(&self, ticket: i64) -> Option<Execution> {
        let (index, serial) = parts(ticket)?;
        let slot = self.chunks[index / CHUNK].get()?.get(index % CHUNK)?;
        slot.serial.compare_exchange(serial, 0, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        let execution = slot.execution();
        self.taken[index / CHUNK].fetch_and(!(1 << (index % CHUNK)), Ordering::Release);
        Some(execution)
    }

    /// True while the execution of a ticket runs.
    pub fn is_running(&self, ticket: i64) -> bool {
        self.look(ticket, |_| ()).is_some()
    }

    /// The execution of a ticket, if it runs.
    pub fn get(&self, ticket: i64) -> Option<Execution> {
        self.look(ticket, Slot::execution)
    }

    /// Appends the job id of a ticket as a heartbeat holds it, as much of it as is kept; nothing if its execution does not run.
    pub fn put_job(&self, ticket: i64, bytes: &mut Vec<u8>) -> bool {
        let before = bytes.len();
        let done = self.look(ticket, |slot| slot.put_job(bytes)).is_some();
        if !done {
            bytes.truncate(before); // another thread may have been writing it
        }
        done
    }

    /// The job id of a ticket, as much of it as is kept; None if its execution does not run.
    pub fn job(&self, ticket: i64) -> Option<String> {
        let mut bytes = Vec::new();
        let whole = self.put_job(ticket, &mut bytes).then_some(bytes)?;
        Some(String::from_utf8_lossy(whole.get(LENGTH_BYTES..)?).into_owned())
    }

    /// Ticket of the execution that has run longest, among the first 64 found.
    pub fn oldest(&self) -> Option<i64> {
        let mut oldest: Option<(u64, i64)> = None;
        let mut found = 0;
        for (word, taken) in self.taken.iter().enumerate() {
            let mut bits = taken.load(Ordering::Acquire);
            while bits != 0 && found < 64 {
                let index = word * CHUNK + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                found += 1;
                let Some(slot) = self.chunks[word].get().map(|chunk| &chunk[index % CHUNK]) else { continue };
                let serial = slot.serial.load(Ordering::Acquire);
                if serial != 0 && oldest.is_none_or(|(first, _)| serial < first) {
                    oldest = Some((serial, (serial << INDEX_BITS | index as u64) as i64));
                }
            }
        }
        oldest.map(|(_, ticket)| ticket)
    }

    fn look<T>(&self, ticket: i64, read: impl FnOnce(&Slot) -> T) -> Option<T> {
        let (index, serial) = parts(ticket)?;
        let slot = &self.chunks[index / CHUNK].get()?[index % CHUNK];
        let same = || slot.serial.load(Ordering::Acquire) == serial;
        let answer = same().then(|| read(slot))?;
        std::sync::atomic::fence(Ordering::Acquire);
        same().then_some(answer)
    }

    #[inline]
    fn take(&self) -> Option<usize> {
        for (word, taken) in self.taken.iter().enumerate() {
            loop {
                let free = taken.load(Ordering::Relaxed).trailing_ones();
                if free == u64::BITS {
                    break;
                }
                // One bit asked for is one instruction; the whole word would be a loop.
                if taken.fetch_or(1 << free, Ordering::Acquire) & 1 << free == 0 {
                    return Some(word * CHUNK + free as usize);
                }
            }
        }
        None
    }

    #[inline]
    fn slot(&self, index: usize) -> &Slot {
        let chunk = self.chunks[index / CHUNK].get_or_init(|| Box::new([const { Slot::new() }; CHUNK]));
        &chunk[index % CHUNK]
    }
}

/// Index and serial in a ticket; None for one that was never given.
fn parts(ticket: i64) -> Option<(usize, u64)> {
    let ticket = u64::try_from(ticket).ok()?;
    let serial = ticket >> INDEX_BITS;
    (serial != 0).then_some(((ticket & (SLOTS as u64 - 1)) as usize, serial))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim(slots: &Slots, key: u64, job: &str) -> Option<i64> {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        let execution = Execution { key, ..Execution::default() };
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        slots.reserve().map(|reserved| slots.fill(reserved, serial, execution, job))
    }

    #[test]
    fn all_slots_can_run_and_one_more_cannot() {
        let slots = Slots::new();
        let tickets: Vec<i64> = (0..SLOTS as u64).map(|key| claim(&slots, key, "").unwrap()).collect();
        assert!(claim(&slots, 1, "").is_none());
        for (key, ticket) in tickets.iter().enumerate() {
            assert_eq!(slots.release(*ticket).unwrap().key, key as u64);
            assert!(slots.release(*ticket).is_none());
        }
        assert!(slots.oldest().is_none());
    }

    #[test]
    fn a_ticket_of_before_opens_nothing_in_the_same_slot() {
        let slots = Slots::new();
        let first = claim(&slots, 1, "").unwrap();
        slots.release(first).unwrap();
        let second = claim(&slots, 2, "").unwrap();
        assert_eq!(parts(first).unwrap().0, parts(second).unwrap().0);
        assert!(slots.release(first).is_none() && !slots.is_running(first));
        assert_eq!(slots.release(second).unwrap().key, 2);
    }

    #[test]
    fn an_execution_is_read_as_it_was_put() {
        let slots = Slots::new();
        let execution = Execution {
            key: 1,
            handle: u32::MAX,
            clock: 2,
            started_ns: 3,
            started_us: -4,
            cpu_ns: 5,
            resident: 6,
            turn: 7,
        };
        let ticket = slots.fill(slots.reserve().unwrap(), 9, execution, "");
        assert_eq!(slots.release(ticket), Some(execution));
    }

    #[test]
    fn job_ids_are_kept_and_cut() {
        let slots = Slots::new();
        for (job, kept) in [
            ("", 0),
            ("job-1", 5),
            ("job-2345", 8),
            ("job-23456-8901-3", 16),
            ("job-23456789", 12),
            (&"é".repeat(300), 248),
        ] {
            let ticket = claim(&slots, 1, job).unwrap();
            let mut bytes = vec![7];
            assert!(slots.put_job(ticket, &mut bytes));
            let text = str::from_utf8(&bytes[3..]).unwrap();
            assert_eq!((bytes[1], bytes[2], text.len()), (kept as u8, 0, kept));
            assert!(job.starts_with(text));
            slots.release(ticket);
            assert!(!slots.put_job(ticket, &mut bytes));
            assert_eq!(bytes.len(), 3 + kept);
        }
    }

    #[test]
    fn threads_never_share_a_slot() {
        let slots = Slots::new();
        let counted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 1..5_u64 {
                let (slots, counted) = (&slots, &counted);
                scope.spawn(move || {
                    for turn in 0..5_000 {
                        let key = thread << 32 | turn;
                        let ticket = claim(slots, key, "job").unwrap();
                        assert_eq!(slots.get(ticket).unwrap().key, key);
                        assert_eq!(slots.release(ticket).unwrap().key, key);
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(counted.into_inner(), 20_000);
    }

    proptest! {
        #[test]
        fn a_ticket_that_was_not_given_opens_nothing(ticket: i64) {
            let slots = Slots::new();
            let own = claim(&slots, 1, "").unwrap();
            prop_assert!(ticket == own || slots.release(ticket).is_none());
            prop_assert!(ticket == own || slots.get(ticket).is_none());
        }
    }
}
