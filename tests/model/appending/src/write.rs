//! The steps of a writer.

use crate::explore::Step;
use crate::state::{Doing, EMPTY, Rules, State, World, Writer};

/// What a living writer does next; there is always one thing.
pub fn step(world: &World, rules: &Rules, state: &State, number: usize) -> Step {
    let writer = state.writers[number];
    let place = usize::from(writer.segment);
    let segment = state.segments[place];
    let slot = usize::from(writer.slot);
    let record = number * world.records + usize::from(writer.record);
    let word = 2 + record as u8;
    let mut after = *state;
    let (me, file) = (&mut after.writers[number], &mut after.segments[place]);
    let what = match writer.doing {
        Doing::Look => {
            let ended = segment.sealed || usize::from(segment.tail) >= world.slots;
            me.doing = if ended { Doing::Make } else { Doing::Reserve };
            me.slot = if ended || rules.reserve_at_once { 0 } else { segment.tail };
            "looks at the tail"
        }
        Doing::Reserve => {
            let tail = if rules.reserve_at_once { segment.tail } else { writer.slot };
            // The addition happens all the same.
            file.tail = (tail + 1).min(world.slots as u8);
            if segment.sealed && rules.seal_in_tail || usize::from(tail) >= world.slots {
                (me.doing, me.slot) = (Doing::Make, 0);
                "finds no slot"
            } else {
                me.slot = tail;
                me.doing = if rules.payload_first { Doing::Fill } else { Doing::Commit };
                "reserves"
            }
        }
        Doing::Make => return make(world, state, number),
        Doing::Fill => {
            file.payloads[slot] = word;
            if rules.payload_first {
                me.doing = Doing::Commit
            } else {
                written(world, &mut after, number, record)
            }
            "fills its slot"
        }
        Doing::Commit if rules.compare_and_swap && segment.words[slot] != EMPTY => {
            if rules.append_again {
                (me.doing, me.slot) = (Doing::Look, 0)
            } else {
                written(world, &mut after, number, record)
            }
            "finds a tombstone in its slot"
        }
        Doing::Commit => {
            file.words[slot] = word;
            if rules.payload_first {
                written(world, &mut after, number, record)
            } else {
                me.doing = Doing::Fill
            }
            "commits"
        }
        Doing::Done | Doing::Dead => "does nothing",
    };
    Step { what, who: "writer", number, place, after, optional: false }
}

/// The append came back: the caller believes that the record is written.
fn written(world: &World, after: &mut State, number: usize, record: usize) {
    after.finished[record] = true;
    let writer = &mut after.writers[number];
    *writer = if usize::from(writer.record) + 1 == world.records {
        Writer { doing: Doing::Done, ..Writer::default() }
    } else {
        Writer { record: writer.record + 1, segment: writer.segment, ..Writer::default() }
    };
}

/// Under its final name the new file is whole; so this is one step.
fn make(world: &World, state: &State, number: usize) -> Step {
    let mut after = *state;
    let writer = &mut after.writers[number];
    let room = after.segments[..world.segments].iter().position(|segment| !segment.made);
    let (what, place) = match room {
        Some(place) => {
            (after.segments[place].made, after.segments[place].linked) = (true, true);
            *writer = Writer { record: writer.record, segment: place as u8, ..Writer::default() };
            ("makes a segment", place)
        }
        None => {
            let first = number * world.records;
            after.dropped[first + usize::from(writer.record)..first + world.records].fill(true);
            *writer = Writer { doing: Doing::Done, ..Writer::default() };
            ("finds the spool full", 0)
        }
    };
    Step { what, who: "writer", number, place, after, optional: false }
}
