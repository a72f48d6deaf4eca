//! What the counters of a value count, by index.

use crate::record::Outcome;

/// Executions that started.
pub const STARTED: usize = 0;
/// Jobs enqueued.
pub const ARRIVALS: usize = 7;
/// Outcomes that a retry follows.
pub const RETRY_FOLLOWS: usize = 8;
/// Results that could not be stored.
pub const RESULT_ERRORS: usize = 9;
/// Waits below zero, taken as 0.
pub const CLOCK_SKEW: usize = 10;
/// Counters 11 to 15: jobs discarded, in order of their reasons 1 to 5.
pub const DISCARDED: usize = 11;
/// First of the counters of runtimes by bound, in totals.
pub const RUNTIME_BOUNDS: usize = 32;
/// First of the counters of waits by bound, in totals.
pub const WAIT_BOUNDS: usize = 64;

/// Upper bounds of runtimes and waits in totals, µs; what is above the last is counted behind it.
pub const BOUNDS: [i64; 22] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
    600_000_000,
    1_800_000_000,
    3_600_000_000,
    7_200_000_000,
    21_600_000_000,
];

/// The counter of an outcome.
pub fn of_outcome(outcome: Outcome) -> usize {
    outcome as usize
}
