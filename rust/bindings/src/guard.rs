//! A defect of ours must not end a user's job: a panic in a record call is counted and goes no further.

use std::panic::{AssertUnwindSafe, catch_unwind};

use queue_metrics_core::recorder::Recorder;

/// The answer of `call`, or `fallback` after a panic.
pub fn guarded<T>(recorder: &Recorder, fallback: T, call: impl FnOnce() -> T) -> T {
    // The core's state is atomics and locks that forgive poison: nothing is left half done that a later call trips over.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        recorder.hook_error();
        fallback
    })
}
