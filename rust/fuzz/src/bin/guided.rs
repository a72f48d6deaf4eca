//! The targets under libFuzzer. `QM_FUZZ_TARGET` names the one that runs.

#![no_main]

use std::sync::OnceLock;

use queue_metrics_fuzz::memory::Counting;
use queue_metrics_fuzz::{Target, target};

#[global_allocator]
static COUNTING: Counting = Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    static TARGET: OnceLock<Target> = OnceLock::new();
    let chosen = TARGET.get_or_init(|| {
        let name = std::env::var("QM_FUZZ_TARGET").unwrap_or_default();
        target(&name).unwrap_or_else(|| panic!("QM_FUZZ_TARGET={name:?} names no target"))
    });
    chosen.run(input);
});
