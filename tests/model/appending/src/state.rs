//! What there is: bounds, rules, and the state of the world between two steps.

/// Most slots of a segment.
pub const SLOTS: usize = 6;
/// Most segments.
pub const SEGMENTS: usize = 3;
/// Most records of all writers together.
pub const RECORDS: usize = 4;
/// Most writers, most drainers.
pub const PROCESSES: usize = 2;

/// Commit word of a slot in which nothing was committed. A record's word is 2 and its number.
pub const EMPTY: u8 = 0;
/// Commit word of an abandoned slot.
pub const TOMBSTONE: u8 = 1;

/// How large the explored world is.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// Writers that share the first segment.
    pub writers: usize,
    /// Records of each.
    pub records: usize,
    /// Drainers at once; a lock makes it one, which nothing here relies on.
    pub drainers: usize,
    /// Slots of a segment.
    pub slots: usize,
    /// Segments that the spool has room for.
    pub segments: usize,
    /// Writers killed, before any of their steps.
    pub kills: u8,
    /// Drainers killed, before any of their steps; another takes over.
    pub crashes: u8,
    /// Whether drainers seal and delete segments.
    pub deletes: bool,
}

/// What appending and draining rest on; each can be broken to see what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Broken: the tail that was loaded is stored, with one more.
    pub reserve_at_once: bool,
    /// Broken: the commit word before the payload.
    pub payload_first: bool,
    /// Broken: a plain store of the commit word.
    pub compare_and_swap: bool,
    /// Broken: a record whose slot became a tombstone is taken for written.
    pub append_again: bool,
    /// Broken: the drainer steps over an empty slot.
    pub tombstone_holes: bool,
    /// Broken: a flag of its own, looked at only before reserving.
    pub seal_in_tail: bool,
    /// Broken: a segment is deleted when all that was reserved is counted, sealed or not.
    pub seal_before_deleting: bool,
    /// Broken: a segment is deleted when all of it is read.
    pub count_before_deleting: bool,
}

/// All rules kept.
pub const AS_PROMISED: Rules = Rules {
    reserve_at_once: true,
    payload_first: true,
    compare_and_swap: true,
    append_again: true,
    tombstone_holes: true,
    seal_in_tail: true,
    seal_before_deleting: true,
    count_before_deleting: true,
};

/// One file. The tail stops at the number of slots: beyond, all values mean the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Segment {
    /// A writer has made it.
    pub made: bool,
    /// It has a name, so that a drainer can find it.
    pub linked: bool,
    /// Bit 63 of the tail.
    pub sealed: bool,
    /// Next free slot.
    pub tail: u8,
    /// Commit words.
    pub words: [u8; SLOTS],
    /// Whose payload lies in each slot.
    pub payloads: [u8; SLOTS],
}

/// What a writer does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Doing {
    /// Loads the tail, so that additions to a full or sealed one are few.
    #[default]
    Look,
    /// Takes a slot by an addition to the tail.
    Reserve,
    /// Puts the payload into its slot.
    Fill,
    /// Puts the commit word into its slot.
    Commit,
    /// Makes the next segment.
    Make,
    /// All its records are written or dropped.
    Done,
    /// Killed.
    Dead,
}

/// A process that appends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Writer {
    /// What it does next.
    pub doing: Doing,
    /// Which of its records it is at.
    pub record: u8,
    /// Its current segment.
    pub segment: u8,
    /// Its slot there; broken rules only: before it has one, the tail that it saw.
    pub slot: u8,
}

/// Slots counted of each segment.
pub type Mark = [u8; SEGMENTS];

/// How often each record is counted; the last is of records that were read before they were whole.
pub type Counts = [u8; RECORDS + 1];

/// What a living drainer has in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Drainer {
    /// The store's mark when it last looked.
    pub mark: Mark,
    /// How far it has read.
    pub positions: Mark,
    /// The records between the two.
    pub taken: Counts,
    /// Segments whose next slot it saw empty.
    pub holes: [bool; SEGMENTS],
    /// Segments that it found sealed, and counted up to their tails.
    pub finished: [bool; SEGMENTS],
}

/// The whole world at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// The files.
    pub segments: [Segment; SEGMENTS],
    /// Those that append.
    pub writers: [Writer; PROCESSES],
    /// Records whose append came back.
    pub finished: [bool; RECORDS],
    /// Records that were given up, which is told.
    pub dropped: [bool; RECORDS],
    /// Those that drain.
    pub drainers: [Drainer; PROCESSES],
    /// The store's mark.
    pub mark: Mark,
    /// The store's numbers.
    pub counted: Counts,
    /// Kills left.
    pub kills: u8,
    /// Crashes left.
    pub crashes: u8,
}

impl State {
    /// The first segment is there, nothing is in it.
    pub fn first(world: &World) -> State {
        let mut state = State { kills: world.kills, crashes: world.crashes, ..State::default() };
        (state.segments[0].made, state.segments[0].linked) = (true, true);
        state
    }

    /// What is counted that was not written, or twice; must be None in every state.
    pub fn wrong(&self) -> Option<String> {
        if self.counted[RECORDS] > 0 {
            return Some("a record is counted before it is whole".to_owned());
        }
        (0..RECORDS).find_map(|record| match (self.counted[record], self.dropped[record]) {
            (2.., _) => Some(format!("record {record} is counted twice")),
            (1, true) => Some(format!("record {record} is counted and dropped")),
            _ => None,
        })
    }

    /// What was written and is not counted; must be None when only faults could still change anything.
    pub fn wrong_at_rest(&self, world: &World) -> Option<String> {
        (0..world.writers * world.records).find_map(|record| {
            let alive = self.writers[record / world.records].doing != Doing::Dead;
            match (self.finished[record], self.dropped[record]) {
                (true, _) if self.counted[record] == 0 => {
                    Some(format!("record {record} was written and is not counted"))
                }
                (false, false) if alive => {
                    Some(format!("record {record} was neither written nor dropped by a living writer"))
                }
                _ => None,
            }
        })
    }
}
