//! Names that records speak of, kept for ever under small numbers; readable without a lock, also after a fork.

#![expect(unsafe_code, reason = "shares state without a lock")]

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use crate::heartbeat::{Heartbeat, put_text};
use crate::names;

const CHUNK: usize = 256;
/// Names that a recorder keeps; more are counted as dropped.
pub const LIMIT: usize = CHUNK * CHUNK;

/// Which clock tells the CPU time of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Clock {
    /// Not attributable: asyncio, greenlets. Also no nested executions: they share a thread.
    None = 0,
    /// One execution at a time in the process.
    Process = 1,
    /// Several threads execute.
    Thread = 2,
}

impl Clock {
    /// The clock with this number; None for an unknown number.
    #[inline]
    pub fn from_number(number: i64) -> Option<Clock> {
        Some(match number {
            0 => Clock::None,
            1 => Clock::Process,
            2 => Clock::Thread,
            _ => return None,
        })
    }
}

/// A name: its label list, and where it was defined last.
#[derive(Debug)]
pub struct Series {
    /// Id of the label list.
    pub id: u64,
    /// The label list.
    pub list: Vec<u8>,
    /// Clock of a task.
    pub clock: Clock,
    /// Serial of the use of a segment that holds its definition.
    pub defined_in: AtomicU64,
    /// Connection, queue and task as a heartbeat holds them; of a task only.
    pub texts: Box<[u8]>,
}

impl Series {
    /// A name that is not kept.
    pub fn new(list: Vec<u8>, clock: Clock) -> Series {
        let texts = texts(&list);
        Series { id: names::hash64(&list), list, clock, defined_in: AtomicU64::new(0), texts }
    }

    /// Labels of the list.
    pub fn labels(&self) -> Vec<&str> {
        names::parse_label_list(&self.list).map(|(_, labels)| labels).unwrap_or_default()
    }
}

/// The labels of a task as texts of a heartbeat: each start of an execution copies them in one piece.
fn texts(list: &[u8]) -> Box<[u8]> {
    let Ok((names::TASK, labels)) = names::parse_label_list(list) else { return Box::default() };
    let mut texts = Vec::new();
    for (offset, label) in labels.iter().enumerate() {
        put_text(&mut texts, Heartbeat::CONNECTION + offset, label);
    }
    texts.into()
}

type Chunk = [AtomicPtr<Series>; CHUNK];

/// The table of names. A forked child goes on with its copy.
#[derive(Debug)]
pub struct Table {
    chunks: [AtomicPtr<Chunk>; CHUNK],
    next: AtomicU32,
}

impl Table {
    /// Empty.
    pub fn new() -> Table {
        Table { chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNK], next: AtomicU32::new(0) }
    }

    /// Keeps a name; answers its handle, or gives the name back when the table is full.
    pub fn add(&self, series: Series) -> Result<u32, Series> {
        let claim = |next: u32| ((next as usize) < LIMIT).then(|| next + 1);
        let Ok(handle) = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim) else {
            return Err(series);
        };
        let (row, column) = (handle as usize / CHUNK, handle as usize % CHUNK);
        self.chunk(row)[column].store(Box::into_raw(Box::new(series)), Ordering::Release);
        Ok(handle)
    }

    /// The name of a handle.
    #[inline]
    pub fn get(&self, handle: u64) -> Option<&Series> {
        let handle = usize::try_from(handle).ok().filter(|handle| *handle < LIMIT)?;
        let chunk = self.chunks[handle / CHUNK].load(Ordering::Acquire);
        // SAFETY: a chunk or series, once published, lives as long as the table.
        unsafe { chunk.as_ref()?[handle % CHUNK].load(Ordering::Acquire).as_ref() }
    }

    /// All names with their handles.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Series)> {
        let count = self.next.load(Ordering::Acquire);
        (0..count).filter_map(|handle| Some((handle, self.get(u64::from(handle))?)))
    }

    fn chunk(&self, row: usize) -> &Chunk {
        let current = self.chunks[row].load(Ordering::Acquire);
        // SAFETY: a chunk, once published, lives as long as the table.
        if let Some(chunk) = unsafe { current.as_ref() } {
            return chunk;
        }
        let new = Box::into_raw(Box::new([const { AtomicPtr::new(ptr::null_mut()) }; CHUNK]));
        match self.chunks[row].compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: just published.
            Ok(_) => unsafe { &*new },
            Err(other) => {
                // SAFETY: ours was not published; the other lives as long as the table.
                unsafe {
                    drop(Box::from_raw(new));
                    &*other
                }
            }
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        for chunk in &mut self.chunks {
            let chunk = *chunk.get_mut();
            if chunk.is_null() {
                continue;
            }
            // SAFETY: nobody else has the table any more; each pointer came from a Box and is met once.
            unsafe {
                for series in Box::from_raw(chunk).iter_mut() {
                    let series = *series.get_mut();
                    if !series.is_null() {
                        drop(Box::from_raw(series));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Series {
        Series::new(names::label_list(names::NAME, &[text]), Clock::None)
    }

    #[test]
    fn names_are_found_by_their_handle() {
        let table = Table::new();
        for number in 0..600_u64 {
            assert_eq!(table.add(name(&number.to_string())).unwrap(), number as u32);
        }
        assert_eq!(table.get(599).unwrap().labels(), ["599"]);
        assert!(table.get(600).is_none() && table.get(u64::MAX).is_none());
        assert_eq!(table.iter().count(), 600);
    }

    #[test]
    fn a_task_knows_its_texts_and_another_name_has_none() {
        let task = Series::new(names::label_list(names::TASK, &["c", "", "app.send"]), Clock::None);
        assert_eq!(*task.texts, *b"\x01\0c\0\0\x08\0app.send");
        assert!(name("app.send").texts.is_empty());
    }

    #[test]
    fn a_full_table_refuses() {
        let table = Table::new();
        for _ in 0..LIMIT {
            table.add(name("")).unwrap();
        }
        assert!(table.add(name("")).is_err());
        assert_eq!(table.iter().count(), LIMIT);
    }

    #[test]
    fn threads_add_at_once() {
        let table = Table::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|number| drop(table.add(name(&number.to_string())))));
            }
        });
        assert_eq!(table.iter().count(), 4_000);
    }
}
