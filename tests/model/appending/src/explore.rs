//! Breadth-first over all states in bounds, with a shortest way to the first state in which a promise is broken.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::state::{Doing, Drainer, Rules, State, World, Writer};
use crate::{drain, write};

/// One thing that can happen, and the world after it.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What, in words.
    pub what: &'static str,
    /// Who, by kind...
    pub who: &'static str,
    /// ...and number.
    pub number: usize,
    /// In which segment.
    pub place: usize,
    /// The world then.
    pub after: State,
    /// A fault or choice, which need not happen; all must come right without it.
    pub optional: bool,
}

impl Display for Step {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "{} {} {} (segment {})", self.who, self.number, self.what, self.place)
    }
}

/// What an exploration saw.
#[derive(Debug)]
pub struct Found {
    /// States visited.
    pub states: usize,
    /// Of them those in which only faults could still change anything.
    pub at_rest: usize,
    /// The first broken promise and the shortest way to it.
    pub violation: Option<(String, Vec<String>)>,
}

impl Display for Found {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        match &self.violation {
            None => write!(to, "{} states, {} of them at rest, 0 violations", self.states, self.at_rest),
            Some((broken, way)) => write!(to, "{broken} (after {} states):\n  {}", self.states, way.join("\n  ")),
        }
    }
}

/// Visits every state that can be reached, and stops at the first that breaks a promise.
///
/// Visited states are kept as 64-bit hashes: of ten million one is missed with a chance of less than one in a hundred thousand.
pub fn explore(world: &World, rules: &Rules) -> Found {
    let begin = State::first(world);
    let mut came_from: HashMap<u64, u64, BuildHasherDefault<Kept>> = HashMap::default();
    came_from.insert(digest(&begin), 0);
    let (mut frontier, mut following, mut next) = (vec![begin], Vec::new(), Vec::new());
    let mut at_rest = 0;
    while !frontier.is_empty() {
        for state in &frontier {
            let here = digest(state);
            let mut rests = true;
            next.clear();
            steps(world, rules, state, &mut next);
            for step in &next {
                let there = digest(&step.after);
                rests &= step.optional || there == here;
                if came_from.contains_key(&there) {
                    continue;
                }
                came_from.insert(there, here);
                following.push(step.after);
                if let Some(broken) = step.after.wrong() {
                    let way = way(world, rules, |hash| came_from.get(&hash).copied(), there);
                    return Found { states: came_from.len(), at_rest, violation: Some((broken, way)) };
                }
            }
            if rests {
                at_rest += 1;
                if let Some(broken) = state.wrong_at_rest(world) {
                    let way = way(world, rules, |hash| came_from.get(&hash).copied(), here);
                    return Found { states: came_from.len(), at_rest, violation: Some((broken, way)) };
                }
            }
        }
        frontier.clear();
        std::mem::swap(&mut frontier, &mut following);
    }
    Found { states: came_from.len(), at_rest, violation: None }
}

/// Every step from a state, faults included; a step may lead back to the same state.
pub fn steps(world: &World, rules: &Rules, state: &State, into: &mut Vec<Step>) {
    for number in 0..world.writers {
        if matches!(state.writers[number].doing, Doing::Done | Doing::Dead) {
            continue;
        }
        into.push(write::step(world, rules, state, number));
        if state.kills > 0 {
            let mut after = State { kills: state.kills - 1, ..*state };
            after.writers[number] = Writer { doing: Doing::Dead, ..Writer::default() };
            into.push(Step { what: "is killed", who: "writer", number, place: 0, after, optional: true });
        }
    }
    for number in 0..world.drainers {
        if state.crashes > 0 {
            let mut after = State { crashes: state.crashes - 1, ..*state };
            after.drainers[number] = Drainer { mark: state.mark, positions: state.mark, ..Drainer::default() };
            into.push(Step {
                what: "is killed, and one takes over",
                who: "drainer",
                number,
                place: 0,
                after,
                optional: true,
            });
        }
        drain::steps(world, rules, state, number, into);
    }
}

/// What happened up to a state.
fn way(world: &World, rules: &Rules, before: impl Fn(u64) -> Option<u64>, end: u64) -> Vec<String> {
    let mut hashes = vec![end];
    while let Some(hash) = hashes.last().and_then(|hash| before(*hash)).filter(|hash| *hash != 0) {
        hashes.push(hash);
    }
    let mut state = State::first(world);
    let mut lines = Vec::new();
    for there in hashes.iter().rev().skip(1) {
        let mut next = Vec::new();
        steps(world, rules, &state, &mut next);
        if let Some(step) = next.iter().find(|step| digest(&step.after) == *there) {
            lines.push(step.to_string());
            state = step.after;
        }
    }
    lines
}

fn digest(state: &State) -> u64 {
    let mut mixer = Mixer::default();
    state.hash(&mut mixer);
    mixer.finish() | 1 // 0 stands before the first
}

/// Gathers bytes to words, and mixes those by multiplication (the finisher of MurmurHash3).
#[derive(Default)]
struct Mixer {
    mixed: u64,
    word: u64,
    bytes: u32,
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.word = self.word << 8 | u64::from(*byte);
            self.bytes += 1;
            if self.bytes.is_multiple_of(8) {
                self.mixed = mix(self.mixed ^ self.word);
            }
        }
    }

    /// The number of a variant: all are small.
    fn write_isize(&mut self, number: isize) {
        self.write(&[number as u8]);
    }

    /// The length of an array, which is always the same.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        mix(self.mixed ^ self.word ^ u64::from(self.bytes) << 56)
    }
}

fn mix(word: u64) -> u64 {
    let word = (word ^ word >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let word = (word ^ word >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ word >> 33
}

/// The keys of the table are hashes already.
#[derive(Default)]
struct Kept(u64);

impl Hasher for Kept {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are u64")
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
