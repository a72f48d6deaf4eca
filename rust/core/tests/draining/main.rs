//! Whatever is written, read, sent, lost, sent again or taken back, in any order: the store holds what the plain way counts.

#![allow(clippy::unwrap_used)] // all of this is a test

mod hostile;
mod reference;
#[path = "../common/scratch.rs"]
mod scratch;
mod spool;
mod store;
mod world;

use proptest::prelude::*;
use world::{Fate, Step, World, any_step};

/// 300 worlds in a second or two; `QM_TEST_SCALE` multiplies.
pub fn cases(few: u32) -> ProptestConfig {
    let scale = std::env::var("QM_TEST_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1.0_f64);
    ProptestConfig {
        cases: (f64::from(few) * scale) as u32,
        max_shrink_iters: 5_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn the_store_holds_what_the_plain_way_counts(goes_back: bool, patient: bool, steps in prop::collection::vec(any_step(), 0..120)) {
        let mut world = World::new(goes_back, patient);
        for step in steps {
            world.step(step);
        }
        world.finish()?;
    }
}

/// Ways to a wrong number that were found and closed.
#[test]
fn known_traps_stay_closed() {
    use Step::*;
    let traps: [&[Step]; 3] = [
        // A START that was read is not ahead any more: else a waiting END is dropped in the place of a duplicate.
        &[
            Start(1, 0, 0),
            End(0, 0, 0),
            Start(0, 0, 0),
            Start(0, 0, 0),
            End(0, 0, 0),
            Start(0, 0, 0),
            End(0, 0, 0),
            Start(0, 0, 0),
            Start(0, 0, 0),
            Start(0, 0, 0),
            EndAgain(166, 22),
            Start(0, 0, 0),
            Start(82, 0, 0),
            End(0, 65, 0),
            End(0, 0, 0),
            Start(0, 0, 0),
            End(0, 0, 0),
            EndAgain(137, 255),
            Start(0, 0, 0),
            Start(0, 0, 0),
            Start(32, 0, 0),
            End(0, 5, 0),
            End(0, 224, 0),
            End(0, 0, 0),
            End(21, 106, 0),
            Start(0, 0, 0),
        ],
        // A START that did not fit into the batch is still ahead.
        &[
            Arrive(15, 0),
            Start(0, 0, 0),
            TakeOver,
            End(0, 0, 0),
            Poll,
            Send(42, Fate::SentAgain),
            Discard(0, 134),
            EndAgain(205, 0),
            Start(0, 211, 0),
            Poll,
            End(0, 0, 96),
            Start(178, 88, 0),
            End(39, 0, 0),
            Send(28, Fate::Committed),
            Send(0, Fate::Committed),
        ],
        // A segment that grew is not superfluous any more, although its last execution is ended by a batch on its way.
        &[
            Start(232, 0, 0),
            End(3, 0, 0),
            Poll,
            Start(10, 22, 0),
            Start(44, 3, 0),
            End(2, 224, 42),
            Send(130, Fate::Committed),
            Rotate(142),
            Poll,
            Send(8, Fate::Committed),
            Send(4, Fate::NeverSent),
            Tidy,
        ],
    ];
    for steps in traps {
        for goes_back in [false, true] {
            let mut world = World::new(goes_back, true);
            steps.iter().for_each(|step| world.step(*step));
            world.finish().unwrap();
        }
    }
}
