//! The targets find what they are for.

use std::panic::catch_unwind;

use queue_metrics_fuzz::memory::{Counting, within};
use queue_metrics_fuzz::mutate::{Chance, mutate};
use queue_metrics_fuzz::{TARGETS, target};

#[global_allocator]
static COUNTING: Counting = Counting;

/// One test, since the allocator counts for all threads of the process.
#[test]
fn seeds_are_run_memory_is_bounded_and_inputs_are_the_same_for_a_seed() {
    for target in TARGETS {
        let seeds = target.seeds();
        assert!(!seeds.is_empty(), "{}", target.name);
        for seed in &seeds {
            target.run(seed);
        }
        let mutated = |number| {
            let mut chance = Chance(number);
            let mut input = seeds[0].clone();
            (0..50).for_each(|_| mutate(&mut input, &seeds, target.longest, &mut chance));
            assert!(input.len() <= target.longest);
            input
        };
        assert_eq!(mutated(1), mutated(1));
        assert_ne!(mutated(1), mutated(2));
    }
    assert!(target("nothing").is_none());
    assert_eq!(within(4_096, || vec![1_u8; 1_000].len()), 1_000);
    assert!(catch_unwind(|| within(4_096, || vec![1_u8; 100_000].len())).is_err());
}
