//! Prints what the slowest appends cost, in ns of the wall clock: `append_tail write|map DIRECTORY RECORDS`.
//!
//! A line for all, one for those that found room in their segment, and one for those that had to make the next one.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use queue_metrics_core::journal::format::{Record, Stop};
use queue_metrics_core::journal::own::Owners;
use queue_metrics_core::journal::way::Wish;
use queue_metrics_core::journal::writer::{Bounds, Journal};
use queue_metrics_core::sampling::clock::{monotonic_ns, wall_us};
use queue_metrics_core::sampling::process::Identity;

const SEGMENT: u64 = 1 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, way, directory, records] = &arguments[..] else { return ExitCode::from(2) };
    let (Some(wish), Ok(records)) = (Wish::from_name(way), records.parse::<u64>()) else { return ExitCode::from(2) };
    let identity = Identity::of_this_process();
    let spool = Path::new(directory).join("append_tail");
    let journal =
        Journal::new(&spool, Bounds { segment_bytes: SEGMENT, spool_bytes: 1 << 40, wish, owners: Owners::User });
    let (mut alone, mut changing) = (BTreeMap::new(), BTreeMap::new());
    let mut serial = 0;
    for worker in 0..records {
        let mut last = serial;
        let before = monotonic_ns();
        let payload = Record::Stop(Stop { at: wall_us(), worker }).payload();
        let appended = journal.append(&identity, |current| {
            last = current.serial();
            current.append_payload(&payload)
        });
        let took = monotonic_ns() - before;
        if appended.is_err() {
            return ExitCode::FAILURE;
        }
        *(if last == serial { &mut alone } else { &mut changing }).entry(took).or_insert(0) += 1;
        serial = last;
    }
    let mut all: BTreeMap<u64, u64> = alone.clone();
    changing.iter().for_each(|(took, count)| *all.entry(*took).or_insert(0) += count);
    print("all", &all);
    print("with room", &alone);
    print("next segment", &changing);
    if std::fs::remove_dir_all(&spool).is_err() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[expect(clippy::print_stdout, reason = "what a program is asked for")]
fn print(what: &str, times: &BTreeMap<u64, u64>) {
    let count: u64 = times.values().sum();
    let at = |share: f64| {
        let mut seen = 0;
        let rank = (count as f64 * share).ceil() as u64;
        times.iter().find(|(_, count)| (seen += *count, seen).1 >= rank).map_or(0, |(took, _)| *took)
    };
    let shares = [0.5, 0.99, 0.999, 0.9999, 0.99999, 1.0].map(|share| at(share).to_string());
    println!("{what:>12} {count:>9}: p50 p99 p99.9 p99.99 p99.999 worst {}", shares.join(" "));
}
