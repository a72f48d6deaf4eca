//! Children that share one mapped segment are killed by the thousand, inside of an append too: what they appended is there once and whole.
//!
//! A kill at random seldom strikes between two stores of a record, so one child in eight is stopped and led there by single
//! instructions. The counts of both are printed apart.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // all of this is a test, and its counts are for the reader of a run

#[path = "../common/chance.rs"]
mod chance;
mod processes;
mod round;
#[path = "../common/scratch.rs"]
mod scratch;
mod truth;

use chance::Chance;
use round::{CHILDREN, Kill, Met, Round};

/// Kills at scale 1.
const KILLS: f64 = 2_000.0;

#[test]
fn killed_writers_of_one_map_lose_nothing_that_they_appended_and_leave_nothing_torn() {
    let scale = std::env::var("QM_TEST_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1.0);
    let seed = u64::from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos());
    let mut chance = Chance(seed);
    let instructions = Round::measured();
    let rounds = ((KILLS * scale) as usize).div_ceil(CHILDREN).max(2);
    let (mut at_random, mut stepped) = (Met::default(), Met::default());
    for number in 0..rounds {
        let (kill, sum) =
            if number % 8 == 1 { (Kill::Stepped, &mut stepped) } else { (Kill::AtRandom, &mut at_random) };
        sum.add(&Round::new(number % 16 < 4).run(kill, instructions, &mut chance));
    }
    println!("storm, seed {seed}, {instructions} instructions a record, 0 torn, 0 lost, 0 doubled");
    let mut all = Met::default();
    for (kill, sum) in [(Kill::AtRandom, at_random), (Kill::Stepped, stepped)] {
        println!("storm, {kill:?}: {sum:?}");
        all.add(&sum);
    }
    // At scale 1, 20 holes and one that is half filled: fewer would show nothing.
    assert_eq!(all.kills, (rounds * CHILDREN) as u64);
    assert!(all.holes >= all.kills / 100 && all.holes > 0, "{all:?}");
    assert!(all.half_filled >= all.kills / 2_000, "{all:?}");
    assert!(all.given_up >= all.kills / 200, "{all:?}");
}
