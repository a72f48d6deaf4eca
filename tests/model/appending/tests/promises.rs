//! The map way keeps its promises in every state within bounds, and each of its rules is needed for that.

#![allow(clippy::print_stdout)] // the numbers of states are for the reader of a run

use queue_metrics_model::state::AS_PROMISED;
use queue_metrics_model::{Found, Rules, World, explore};

/// Two writers, one drainer that dies once, a segment with room for all: holes and tombstones.
const HOLES: World =
    World { writers: 2, records: 2, drainers: 1, slots: 5, segments: 1, kills: 1, crashes: 1, deletes: false };
/// The same with segments that are sealed and deleted under living writers.
const DELETION: World = World { slots: 2, segments: 2, deletes: true, ..HOLES };
/// One writer, two drainers that know nothing of each other.
const RIVALS: World = World { writers: 1, drainers: 2, slots: 4, ..HOLES };
const RIVALS_THAT_DELETE: World = World { slots: 2, segments: 2, crashes: 0, deletes: true, ..RIVALS };

/// What `make test` explores at scale 1, and what is added to it above.
const WORLDS: [(&str, f64, World); 6] = [
    ("2 writers, 1 drainer, holes", 0.0, HOLES),
    ("2 writers, 1 drainer, deletion", 0.0, DELETION),
    ("1 writer, 2 drainers, holes", 0.0, RIVALS),
    ("1 writer, 2 drainers, deletion", 0.0, RIVALS_THAT_DELETE),
    ("1 writer, 2 drainers, deletion and a crash", 2.0, World { crashes: 1, ..RIVALS_THAT_DELETE }),
    // Three gigabytes of memory.
    ("2 writers, 2 drainers, 1 record each, deletion", 4.0, World { records: 1, drainers: 2, crashes: 0, ..DELETION }),
];

fn scale() -> f64 {
    std::env::var("QM_TEST_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1.0)
}

fn told(name: &str, world: &World, rules: &Rules) -> Found {
    let found = explore(world, rules);
    println!("{name}: {found}");
    found
}

#[test]
fn what_is_written_is_counted_once_in_every_state() {
    for (name, least, world) in WORLDS {
        if scale() >= least {
            let found = told(name, &world, &AS_PROMISED);
            assert!(found.violation.is_none(), "{name}: {found}");
            assert!(
                found.states > 50_000 && found.at_rest > 50,
                "{name}: a world that never comes to rest shows nothing"
            );
        }
    }
}

/// One rule broken, and the world that shows it.
fn weakened() -> [(&'static str, World, Rules); 8] {
    [
        ("the tail is loaded, then stored", HOLES, Rules { reserve_at_once: false, ..AS_PROMISED }),
        ("the commit word before the payload", HOLES, Rules { payload_first: false, ..AS_PROMISED }),
        ("a plain store instead of the compare-and-swap", HOLES, Rules { compare_and_swap: false, ..AS_PROMISED }),
        ("no second try after a lost compare-and-swap", HOLES, Rules { append_again: false, ..AS_PROMISED }),
        ("holes are skipped without a tombstone", HOLES, Rules { tombstone_holes: false, ..AS_PROMISED }),
        (
            "SEALED is a flag of its own, looked at before reserving",
            DELETION,
            Rules { seal_in_tail: false, ..AS_PROMISED },
        ),
        ("a segment is deleted that is not sealed", DELETION, Rules { seal_before_deleting: false, ..AS_PROMISED }),
        (
            "a segment is deleted before the store has its numbers",
            DELETION,
            Rules { count_before_deleting: false, ..AS_PROMISED },
        ),
    ]
}

#[test]
fn each_broken_rule_is_caught() {
    for (name, world, rules) in weakened() {
        let found = told(name, &world, &rules);
        assert!(found.violation.as_ref().is_some_and(|(_, way)| way.len() > 3), "{name}: {found}");
        let rivals = World { writers: 1, drainers: 2, ..world };
        // A single writer never shares a tail; everything else is wrong with two drainers as well.
        assert_eq!(
            told(name, &rivals, &rules).violation.is_some(),
            rules.reserve_at_once,
            "{name}, 1 writer and 2 drainers"
        );
    }
}

#[test]
fn every_rule_is_broken_once() {
    let broken = |rules: &Rules| {
        format!("{rules:?}").split(", ").filter(|rule| rule.contains("false")).map(str::to_owned).collect::<Vec<_>>()
    };
    let all: Vec<String> = weakened().iter().flat_map(|(_, _, rules)| broken(rules)).collect();
    assert_eq!(all.len(), format!("{AS_PROMISED:?}").matches("true").count());
    assert!(all.iter().all(|rule| all.iter().filter(|other| *other == rule).count() == 1));
}
