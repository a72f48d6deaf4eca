//! One round: children share a segment, come to their ends one after the other, and every byte that they left is accounted for.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use queue_metrics_core::journal::directory::Entry;
use queue_metrics_core::journal::format::{HEADER_SIZE, RECORD_SIZE, Record, Slot, WORDS, Way};
use queue_metrics_core::journal::own::Owners;
use queue_metrics_core::journal::read::{Opened, SegmentReader};
use queue_metrics_core::journal::repair;
use queue_metrics_core::journal::way::Wish;
use queue_metrics_core::journal::writer::{Bounds, Journal};
use queue_metrics_core::sampling::{clock, process::Identity};

use crate::chance::Chance;
use crate::processes::{Child, Work, put, wait_until_it_appends};
use crate::scratch::Scratch;
use crate::truth::{Truth, of_key, record};

/// Children of a round, and how many of them run at once.
pub const CHILDREN: usize = 20;
const AT_ONCE: usize = 4;
/// Longest time that a child runs from when its turn comes until it is killed or stopped, µs.
const RUNS: usize = 200;
/// Records of a child before its turn, for each turn of another one, and while it has its turn: more than there is time for, mostly.
const SOME: u64 = 200;
const MANY: u64 = 16_000;
/// A drainer gives up slots among so many last ones.
const LOOKED_AT: u64 = 256;
/// Records that the parent appends so that its children get a segment of the full size: more than half of the first one.
const FIRST: u64 = 500;

/// How children come to their ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// As they run.
    AtRandom,
    /// Stopped as they run, led on by fewer instructions than a record takes, and killed there.
    Stepped,
}

/// What was met in the segments that killed writers left.
#[derive(Debug, Default)]
pub struct Met {
    pub kills: u64,
    pub records: u64,
    /// Slots that were reserved and not committed.
    pub holes: u64,
    /// Those of them in which some words of a record were, but not all.
    pub half_filled: u64,
    /// Those in which all words were.
    pub filled: u64,
    /// Slots that a drainer gave up while children appended.
    pub given_up: u64,
    /// Segments that a drainer sealed while children appended.
    pub sealed: u64,
    pub segments: u64,
}

impl Met {
    pub fn add(&mut self, other: &Met) {
        self.kills += other.kills;
        self.records += other.records;
        self.holes += other.holes;
        self.half_filled += other.half_filled;
        self.filled += other.filled;
        self.given_up += other.given_up;
        self.sealed += other.sealed;
        self.segments += other.segments;
    }
}

pub struct Round {
    scratch: Scratch,
    journal: Journal,
    identity: Identity,
    at: i64,
    truth: Truth,
    given_up: HashSet<(PathBuf, u64)>,
    met: Met,
}

impl Round {
    /// With segments that take all children's records, or with small ones that each child is soon through with.
    pub fn new(small: bool) -> Round {
        let scratch = Scratch::new();
        let segment_bytes = if small { 64 << 10 } else { 4 << 20 };
        let journal = Journal::new(
            scratch.path(),
            Bounds { segment_bytes, spool_bytes: 8 << 30, wish: Wish::Map, owners: Owners::User },
        );
        let round = Round {
            scratch,
            journal,
            identity: Identity::of_this_process(),
            at: clock::wall_us(),
            truth: Truth::new(CHILDREN + 1),
            given_up: HashSet::new(),
            met: Met::default(),
        };
        for number in 0..if small { 1 } else { FIRST } {
            put(&round.journal, &round.work(), CHILDREN, number, &round.truth.lines()[CHILDREN]);
        }
        assert_eq!(round.journal.segment().unwrap().way, Way::Map);
        round
    }

    /// How many instructions a child takes for one record.
    pub fn measured() -> usize {
        let round = Round::new(false);
        let line = &round.truth.lines()[0];
        line.allow(SOME);
        let child = Child::new(&round.work(), 0, line);
        wait_until_it_appends(line);
        child.seize();
        child.stop();
        line.allow(SOME);
        child.instructions_of_a_record(line)
    }

    /// Runs it; `instructions` is what a record takes.
    pub fn run(mut self, kill: Kill, instructions: usize, chance: &mut Chance) -> Met {
        for first in (0..CHILDREN).step_by(AT_ONCE) {
            self.journal.before_fork(&self.identity);
            let shared = self.scratch.path().join(format!("{}.seg", self.journal.segment().unwrap().id));
            let writers = first..first + AT_ONCE;
            let lines = &self.truth.lines()[writers.clone()];
            lines.iter().for_each(|line| line.allow(SOME));
            let children: Vec<Child> =
                writers.clone().zip(lines).map(|(writer, line)| Child::new(&self.work(), writer, line)).collect();
            for (child, writer) in children.into_iter().zip(writers) {
                let lines = self.truth.lines();
                wait_until_it_appends(&lines[writer]);
                lines[first..first + AT_ONCE].iter().for_each(|line| line.allow(SOME));
                lines[writer].allow(MANY);
                pause(chance);
                if chance.once_in(2 * CHILDREN) {
                    let Opened::Readable(reader) = SegmentReader::open(&shared).unwrap() else {
                        panic!("not readable")
                    };
                    repair::seal(&Entry::at(&shared).unwrap(), &reader).unwrap();
                    self.met.sealed += 1;
                }
                if kill == Kill::Stepped {
                    self.lead(&child, writer, instructions, &shared, chance);
                }
                child.kill();
                self.met.kills += 1;
            }
        }
        self.account()
    }

    fn work(&self) -> Work<'_> {
        Work { journal: &self.journal, identity: &self.identity, at: self.at }
    }

    /// Stops a child and leads it to any instruction of a record; or to where it has just got a slot, which is then taken from it, and it
    /// goes on.
    fn lead(&mut self, child: &Child, writer: usize, instructions: usize, shared: &Path, chance: &mut Chance) {
        child.seize();
        child.stop();
        let line = &self.truth.lines()[writer];
        line.allow(SOME);
        child.step_while(20 * instructions, || line.begun() == line.done());
        if chance.once_in(2) {
            child.step(chance.below(instructions));
            return;
        }
        let Opened::Readable(reader) = SegmentReader::open(shared).unwrap() else { panic!("not readable") };
        let before = reader.slots().unwrap();
        child.step_while(instructions, || reader.slots().unwrap() == before);
        child.step(chance.below(8));
        self.give_up(shared);
        child.go_on();
        pause(chance);
    }

    /// Gives up what is reserved and empty, as a drainer does that has waited long enough; its writers may be alive.
    fn give_up(&mut self, path: &Path) {
        let Opened::Readable(reader) = SegmentReader::open(path).unwrap() else { panic!("not readable") };
        let slots = reader.slots().unwrap();
        for (number, slot) in reader.records(slots.saturating_sub(LOOKED_AT), slots).map(Result::unwrap) {
            assert!(!matches!(slot, Slot::Damaged | Slot::Unknown(_)), "slot {number} is torn under living writers");
            if slot == Slot::Empty && repair::tombstone(&Entry::at(path).unwrap(), &reader, number).unwrap() {
                self.given_up.insert((path.to_owned(), number));
            }
        }
    }

    /// Compares what the segments hold with what the children have counted.
    fn account(mut self) -> Met {
        let lines = self.truth.lines();
        let refused: u64 = lines.iter().map(|line| line.refused()).sum();
        assert_eq!(refused, 0, "records were refused: {:?}", self.journal.last_error());
        let mut found: Vec<Vec<bool>> = lines.iter().map(|line| vec![false; line.begun() as usize]).collect();
        let mut tombstones = HashSet::new();
        for entry in fs::read_dir(self.scratch.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "seg") {
                continue;
            }
            self.met.segments += 1;
            let Opened::Readable(reader) = SegmentReader::open(&path).unwrap() else {
                panic!("{path:?}: not readable")
            };
            let bytes = fs::read(&path).unwrap();
            let (held, _) = bytes[HEADER_SIZE..].as_chunks::<RECORD_SIZE>();
            let slots = reader.slots().unwrap();
            let mut read = 0;
            for (number, slot) in reader.records(0, slots).map(Result::unwrap) {
                read += 1;
                match slot {
                    Slot::Record(Record::End(end)) => {
                        let (writer, place) = of_key(end.key).unwrap();
                        assert_eq!(record(self.at, writer, place), Record::End(end), "slot {number} is torn");
                        let seen = found.get_mut(writer).and_then(|found| found.get_mut(place as usize));
                        let seen = seen.unwrap_or_else(|| panic!("record {place} of {writer} was never begun"));
                        assert!(!std::mem::replace(seen, true), "record {place} of {writer} is there twice");
                        self.met.records += 1;
                    }
                    Slot::Empty => self.hole(&held[number as usize]),
                    Slot::Tombstone => {
                        tombstones.insert((path.clone(), number));
                    }
                    other => panic!("slot {number} is torn: {other:?}"),
                }
            }
            assert_eq!(read, slots, "{path:?} was not read to its end");
            assert!(
                held[slots as usize..].iter().all(|slot| *slot == [0; RECORD_SIZE]),
                "something lies behind the tail"
            );
        }
        for (writer, (found, line)) in found.iter().zip(self.truth.lines()).enumerate() {
            let lost = found[..line.done() as usize].iter().filter(|found| !**found).count();
            assert_eq!(lost, 0, "records of {writer} are lost");
        }
        assert_eq!(tombstones, self.given_up, "a slot that was given up stays so");
        self.met.given_up = tombstones.len() as u64;
        self.met
    }

    /// A slot without a record: what lies in it can only be of one that a child was at when it was killed.
    fn hole(&mut self, bytes: &[u8; RECORD_SIZE]) {
        let words: [u64; WORDS] = std::array::from_fn(|at| u64::from_le_bytes(bytes.as_chunks::<8>().0[at]));
        assert_eq!(words[0], 0);
        self.met.holes += 1;
        match words.iter().filter(|word| **word != 0).count() {
            0 => {}
            7 => self.met.filled += 1,
            _ => self.met.half_filled += 1,
        }
        if words[2] != 0 {
            let (writer, number) = of_key(words[2]).unwrap();
            let line = &self.truth.lines()[writer];
            assert_eq!(
                (line.begun(), line.done()),
                (number + 1, number),
                "a record that was appended left a hole as well"
            );
        }
    }
}

fn pause(chance: &mut Chance) {
    std::thread::sleep(Duration::from_micros(chance.below(RUNS) as u64));
}
