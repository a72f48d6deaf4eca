//! The steps of a drainer and of the store: read, tombstone, hand over, seal, delete.

use crate::explore::Step;
use crate::state::{Counts, Drainer, EMPTY, RECORDS, Rules, State, TOMBSTONE, World};

/// All that a living drainer can do next.
pub fn steps(world: &World, rules: &Rules, state: &State, number: usize, into: &mut Vec<Step>) {
    let drainer = state.drainers[number];
    if drainer.positions != drainer.mark {
        into.push(hand_over(state, number));
    }
    for place in 0..world.segments {
        let segment = &state.segments[place];
        if !segment.linked {
            continue;
        }
        if drainer.positions[place] < segment.tail {
            into.push(read(rules, state, number, place));
        }
        if world.deletes {
            into.extend(end(rules, state, number, place));
        }
    }
}

fn read(rules: &Rules, state: &State, number: usize, place: usize) -> Step {
    let mut after = *state;
    let (me, file) = (&mut after.drainers[number], &mut after.segments[place]);
    let position = usize::from(me.positions[place]);
    let word = file.words[position];
    let what = if me.holes[place] {
        // What it decided when it saw the hole, which may be none by now: compare and swap.
        me.holes[place] = false;
        if word == EMPTY {
            file.words[position] = TOMBSTONE;
        }
        "ends its wait for a slot"
    } else if word == EMPTY && rules.tombstone_holes {
        me.holes[place] = true;
        "sees an empty slot"
    } else {
        me.positions[place] += 1;
        if word == EMPTY || word == TOMBSTONE {
            "steps over a slot"
        } else {
            let whole = file.payloads[position] == word;
            me.taken[if whole { usize::from(word) - 2 } else { RECORDS }] += 1;
            "reads a record"
        }
    };
    Step { what, who: "drainer", number, place, after, optional: false }
}

/// The numbers and the mark in one transaction; refused when the mark is another than the drainer's.
fn hand_over(state: &State, number: usize) -> Step {
    let mut after = *state;
    let me = &mut after.drainers[number];
    let what = if state.mark == me.mark {
        add(&mut after.counted, &me.taken);
        after.mark = me.positions;
        (me.mark, me.taken) = (me.positions, Counts::default());
        "hands over"
    } else {
        *me = Drainer { mark: state.mark, positions: state.mark, finished: me.finished, ..Drainer::default() };
        "is refused"
    };
    Step { what, who: "drainer", number, place: 0, after, optional: false }
}

fn add(counted: &mut Counts, taken: &Counts) {
    for (sum, count) in counted.iter_mut().zip(taken) {
        *sum += count;
    }
}

/// Seals, finds that all is counted, deletes: each a step of its own.
fn end(rules: &Rules, state: &State, number: usize, place: usize) -> Option<Step> {
    let mut after = *state;
    let (me, file) = (&mut after.drainers[number], &mut after.segments[place]);
    let reached = if rules.count_before_deleting { me.mark } else { me.positions };
    let ends = file.sealed || (!rules.seal_before_deleting && file.tail > 0);
    let what = if me.finished[place] {
        file.linked = false;
        "deletes a segment"
    } else if ends && reached[place] >= file.tail {
        me.finished[place] = true;
        "finds all counted"
    } else if !file.sealed {
        file.sealed = true;
        "seals a segment"
    } else {
        return None;
    };
    Some(Step { what, who: "drainer", number, place, after, optional: !ends })
}
