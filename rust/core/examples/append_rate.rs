//! Prints how many ns of CPU an append takes, a line a round: `append_rate write|map DIRECTORY ROUNDS RECORDS`.
//!
//! Each round has a segment of its own, made before the clock starts. `benches/append.py` runs it beside the same work in C.

#![expect(unsafe_code, reason = "a name that the counter of instructions finds")]

use std::hint::black_box;
use std::path::PathBuf;
use std::process::ExitCode;

use queue_metrics_core::journal::format::{End, Record};
use queue_metrics_core::journal::own::Owners;
use queue_metrics_core::journal::way::Wish;
use queue_metrics_core::journal::writer::{Bounds, Journal};
use queue_metrics_core::sampling::clock::{process_cpu_ns, wall_us};
use queue_metrics_core::sampling::process::Identity;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, way, directory, rounds, records] = &arguments[..] else { return ExitCode::from(2) };
    let (Some(wish), Ok(rounds), Ok(records)) = (Wish::from_name(way), rounds.parse::<u32>(), records.parse::<u64>())
    else {
        return ExitCode::from(2);
    };
    let identity = Identity::of_this_process();
    for round in 0..rounds {
        let spool = PathBuf::from(directory).join(round.to_string());
        let bounds =
            Bounds { segment_bytes: 4_096 + 64 * (records + 64), spool_bytes: 1 << 32, wish, owners: Owners::User };
        let journal = Journal::new(&spool, bounds);
        // The first segment of a process is a small one.
        let first = segment(&journal, &identity);
        let second = loop {
            append(&journal, &identity, 1);
            match segment(&journal, &identity) {
                second if second != first => break second,
                _ => {}
            }
        };
        let before = process_cpu_ns();
        append(&journal, &identity, records);
        let (Some(before), Some(after)) = (before, process_cpu_ns()) else { return ExitCode::FAILURE };
        if segment(&journal, &identity) != second || second.1 != way.as_str() {
            return ExitCode::FAILURE; // not the way, or not the one segment, that was to be measured
        }
        print((after - before) as f64 / records as f64);
        let _ = std::fs::remove_dir_all(&spool);
    }
    ExitCode::SUCCESS
}

/// Id and way of the current segment, made if need be.
fn segment(journal: &Journal, identity: &Identity) -> (String, &'static str) {
    loop {
        match journal.segment() {
            Some(segment) => return (segment.id, segment.way.name()),
            None => append(journal, identity, 1),
        }
    }
}

/// Appends so many records, as the end of an execution would; by a name that a profiler can be told.
#[inline(never)]
#[unsafe(no_mangle)]
extern "Rust" fn append(journal: &Journal, identity: &Identity, records: u64) {
    let mut values = [wall_us() as u64, 0, 1_000_000, 900_000, 51_200, 12, 7];
    for _ in 0..records {
        values[1] += 1;
        let [at, key, runtime, cpu, peak, change, worker] = values.map(black_box);
        let (rss_peak, rss_change) = (peak as u32, change as i32);
        let end =
            End { outcome: 1, flags: 0, at: at as i64, key, runtime, cpu, rss_peak, rss_change, exception: 0, worker };
        let payload = Record::End(end).payload();
        // As a recorder does.
        let at_once = journal.at_once().is_some_and(|used| used.value().is_some_and(|to| to.append_at_once(payload)));
        if !at_once && journal.append(identity, |current| current.append_payload(&payload)).is_err() {
            std::process::exit(1);
        }
    }
}

#[expect(clippy::print_stdout, reason = "what a program is asked for")]
fn print(ns: f64) {
    println!("{ns:.3}");
}
