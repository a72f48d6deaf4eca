//! What was deleted: one line a segment, so that a store that went back knows exactly what it misses.

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use super::positions::Positions;
use super::segments::put_aside;
use crate::journal::directory::Directory;
use crate::journal::format::SegmentId;
use crate::journal::own::Found;
use crate::journal::spool::{Spool, hex};
use crate::kernel;

const NAME: &CStr = c"ledger";
/// What becomes the ledger when it is whole.
const NEW: &CStr = c"ledger.new";

/// Lines from which on the older ones are joined into one.
const LINE_LIMIT: usize = 4_096;
/// Lines that stay when that happens.
const LINES_KEPT: usize = 1_024;
/// Bytes allocated behind the last line: the notes of some thousand ENDs.
const ROOM: libc::off_t = 64 * 1024;
/// Id of the line that old lines are joined into.
const JOINED: SegmentId = *b"joined-old-lines";

/// A deleted segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its id.
    pub id: SegmentId,
    /// Slots that were consumed of it.
    pub records: u64,
    /// Of these, STARTs.
    pub starts: u64,
    /// When it was deleted, µs.
    pub at: i64,
    /// Keys of its ENDs whose START lies in another segment: what is left of that one must not look open.
    pub ended: Vec<u64>,
}

impl Line {
    fn parse(text: &str) -> Option<Line> {
        let mut words = text.split(' ');
        let digits = words.next().filter(|word| word.len() == 32)?;
        let id = u128::from_str_radix(digits, 16).ok()?.to_be_bytes();
        let records = words.next()?.parse().ok()?;
        let starts = words.next()?.parse().ok()?;
        let at = words.next()?.parse().ok()?;
        let ended = words.map(|word| u64::from_str_radix(word, 16).ok()).collect::<Option<_>>()?;
        Some(Line { id, records, starts, at, ended })
    }

    fn text(&self) -> String {
        let mut text = format!("{} {} {} {}", hex(&self.id), self.records, self.starts, self.at);
        for key in &self.ended {
            // Writing to a String cannot fail.
            let _ = write!(text, " {key:016x}");
        }
        text.push('\n');
        text
    }
}

/// Records and STARTs that no mark can count any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Records.
    pub records: u64,
    /// Of these, STARTs; at most so many where part of a segment had been counted.
    pub starts: u64,
}

/// The ledger of a spool, in order of deletion.
#[derive(Debug)]
pub struct Ledger {
    directory: Arc<Directory>,
    lines: Vec<Line>,
    /// True when the file may end within a line, as a full disk leaves it.
    torn: bool,
}

impl Ledger {
    /// Reads the ledger. Of a segment with two lines, which a crash may leave, the first counts; lines that make no sense are
    /// skipped, as is the half line of a full disk. What is no file of ours, or has a second name, is set aside: it will be written to.
    pub fn load(spool: &Spool) -> io::Result<Ledger> {
        let directory = Arc::clone(spool.directory());
        let mut bytes = Vec::new();
        match directory.find(NAME, libc::O_RDONLY)? {
            Found::Own(mut file, about) if about.links <= 1 => {
                file.read_to_end(&mut bytes)?;
            }
            Found::None => {}
            Found::Own(..) | Found::Planted => {
                if !put_aside(&directory, NAME) {
                    let text = format!("{} is no file of this user: remove it", spool.path().join("ledger").display());
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
            }
        }
        let mut seen = HashSet::new();
        let lines = String::from_utf8_lossy(&bytes)
            .lines()
            .filter_map(Line::parse)
            .filter(|line| seen.insert(line.id))
            .collect();
        Ok(Ledger { directory, lines, torn: bytes.last().is_some_and(|byte| *byte != b'\n') })
    }

    /// Goes on in another descriptor of the spool, or in another directory that took its place.
    pub fn go_on_in(&mut self, spool: &Arc<Directory>) {
        self.directory = Arc::clone(spool);
    }

    /// Keys of executions whose END was deleted before their START.
    pub fn ended(&self) -> impl Iterator<Item = u64> + '_ {
        self.lines.iter().flat_map(|line| line.ended.iter().copied())
    }

    /// Records in segments that are really gone.
    pub fn records(&self, present: impl Fn(&SegmentId) -> bool) -> u64 {
        self.gone(&present).map(|line| line.records).sum()
    }

    /// What a store misses that has only this mark. The records that a mark says are behind it are the oldest ones here.
    pub fn lost(&self, mark: &Positions, present: impl Fn(&SegmentId) -> bool) -> Lost {
        let mut behind = mark.deleted;
        let mut lost = Lost::default();
        let known: HashMap<&SegmentId, u64> = self.lines.iter().map(|line| (&line.id, line.records)).collect();
        for line in self.gone(&present) {
            let covered = behind.min(line.records);
            behind -= covered;
            if covered == line.records {
                continue;
            }
            let counted = if line.id == JOINED {
                let unknown = mark.segments.iter().filter(|(id, _)| !present(id) && !known.contains_key(id));
                covered + unknown.map(|(_, count)| *count).sum::<u64>()
            } else {
                covered + mark.segments.get(&line.id).copied().unwrap_or(0)
            };
            let records = line.records.saturating_sub(counted);
            lost.records += records;
            lost.starts += line.starts.min(records);
        }
        lost
    }

    /// Notes a segment that is about to be deleted. When that fails, nothing is noted.
    pub fn add(&mut self, line: Line) -> io::Result<()> {
        if self.lines.iter().any(|known| known.id == line.id) {
            return Ok(());
        }
        let text = line.text();
        self.lines.push(line);
        if self.lines.len() > LINE_LIMIT {
            return self.join();
        }
        let noted = self.append(&text);
        if noted.is_err() {
            self.lines.pop();
        }
        noted
    }

    fn append(&mut self, text: &str) -> io::Result<()> {
        let mut file = match self.directory.find(NAME, libc::O_RDWR | libc::O_APPEND)? {
            Found::Own(file, about) if about.links <= 1 => file,
            Found::None => self.directory.create(NAME, libc::O_RDWR | libc::O_APPEND)?,
            Found::Own(..) | Found::Planted => return Err(io::Error::from(io::ErrorKind::PermissionDenied)),
        };
        let newline = if self.torn { "\n" } else { "" };
        self.torn = true;
        file.write_all(format!("{newline}{text}").as_bytes())?;
        self.torn = false;
        keep_room(&file);
        Ok(())
    }

    fn gone(&self, present: impl Fn(&SegmentId) -> bool) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| !present(&line.id))
    }

    /// Joins the older lines into one. The keys they note belong to STARTs that have long gone too.
    fn join(&mut self) -> io::Result<()> {
        let recent = self.lines.split_off(self.lines.len() - LINES_KEPT);
        let mut joined = Line { id: JOINED, records: 0, starts: 0, at: 0, ended: Vec::new() };
        for line in self.lines.drain(..) {
            joined.records += line.records;
            joined.starts += line.starts;
            joined.at = joined.at.max(line.at);
        }
        self.lines = [vec![joined], recent].concat();
        let text: String = self.lines.iter().map(Line::text).collect();
        // Of a process that died here before.
        let _ = self.directory.remove(NEW);
        self.directory.create(NEW, libc::O_WRONLY)?.write_all(text.as_bytes())?;
        self.directory.rename(NEW, NAME)
    }
}

/// Allocates blocks behind the end: a full disk is emptied by deleting segments, and they must be noted first.
fn keep_room(file: &File) {
    let Ok(length) = file.metadata().map(|about| about.len()) else { return };
    let _ = kernel::keep_room(file, length as libc::off_t, ROOM); // without it a note may fail, and a segment stays
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::own::Owners;
    use crate::journal::scratch::Scratch;

    fn load(scratch: &Scratch) -> Ledger {
        Ledger::load(&Spool::open(scratch.path(), Owners::User).unwrap()).unwrap()
    }

    fn line(number: u8, records: u64) -> Line {
        Line { id: [number; 16], records, starts: records / 2, at: 5, ended: vec![u64::from(number)] }
    }

    fn mark(deleted: u64, segments: &[(u8, u64)]) -> Positions {
        let segments = segments.iter().map(|(number, count)| ([*number; 16], *count)).collect();
        Positions { segments, deleted, rolled_back: 0 }
    }

    #[test]
    fn what_a_mark_misses_is_exact() {
        let scratch = Scratch::directory();
        let mut ledger = load(&scratch);
        for number in [9, 3, 7] {
            ledger.add(line(number, u64::from(number) * 10)).unwrap();
        }
        let ledger = load(&scratch);
        let lost = |mark| ledger.lost(&mark, |_| false);
        assert_eq!(lost(mark(0, &[])), Lost { records: 190, starts: 95 });
        assert_eq!(lost(mark(90, &[])), Lost { records: 100, starts: 50 });
        assert_eq!(lost(mark(90, &[(3, 30), (7, 69)])), Lost { records: 1, starts: 1 });
        assert_eq!(lost(mark(190, &[])), Lost::default());
        assert_eq!(ledger.lost(&mark(0, &[]), |id| *id == [9; 16]).records, 100);
        assert_eq!(ledger.ended().collect::<Vec<_>>(), [9, 3, 7]);
    }

    #[test]
    fn half_a_line_or_a_second_one_changes_nothing() {
        let scratch = Scratch::directory();
        std::fs::write(
            scratch.path().join("ledger"),
            format!("{}{}xx\n\u{fffd}\n{}", line(1, 10).text(), line(1, 99).text(), &line(2, 20).text()[..20]),
        )
        .unwrap();
        let mut ledger = load(&scratch);
        ledger.add(line(1, 50)).unwrap();
        ledger.add(line(3, 30)).unwrap();
        assert_eq!(load(&scratch).lines, [line(1, 10), line(3, 30)]);
    }

    #[test]
    fn a_long_ledger_is_joined_without_losing_a_record() {
        let scratch = Scratch::directory();
        let mut ledger = load(&scratch);
        for number in 1..=LINE_LIMIT as u128 + 1 {
            ledger.add(Line { id: number.to_be_bytes(), records: 2, starts: 1, at: 0, ended: Vec::new() }).unwrap();
        }
        let ledger = load(&scratch);
        assert_eq!(ledger.lines.len(), LINES_KEPT + 1);
        assert_eq!(ledger.records(|_| false), 2 * (LINE_LIMIT as u64 + 1));
        let seen =
            Positions { segments: [(5_u128.to_be_bytes(), 1), (4_000_u128.to_be_bytes(), 2)].into(), ..mark(8, &[]) };
        assert_eq!(ledger.lost(&seen, |_| false).records, 2 * (LINE_LIMIT as u64 + 1) - 8 - 1 - 2);
    }
}
