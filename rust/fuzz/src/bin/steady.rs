//! The targets without libFuzzer: seeds, changed at random, for so many seconds. Also writes the seeds, and runs one file.

#![allow(clippy::print_stdout)] // the counts are what it is run for

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use queue_metrics_fuzz::memory::Counting;
use queue_metrics_fuzz::mutate::{Chance, mutate};
use queue_metrics_fuzz::{TARGETS, Target, target};

#[global_allocator]
static COUNTING: Counting = Counting;

const USAGE: &str = "steady list | steady seeds TARGET DIRECTORY | steady run TARGET FILE | steady TARGET SECONDS SEED";
/// Inputs kept to be changed further.
const POOL: usize = 256;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match try_main(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::from(2)
        }
    }
}

fn try_main(words: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    let find = |name: &str| target(name).ok_or(USAGE);
    match *words {
        ["list"] => TARGETS.iter().for_each(|target| println!("{}", target.name)),
        ["seeds", name, directory] => {
            for (number, seed) in find(name)?.seeds().iter().enumerate() {
                std::fs::write(Path::new(directory).join(format!("seed-{number}")), seed)?;
            }
        }
        ["run", name, file] => find(name)?.run(&std::fs::read(file)?),
        [name, seconds, seed] => {
            let runs = storm(&find(name)?, Duration::from_secs_f64(seconds.parse()?), seed.parse()?)?;
            println!("{name}: {runs} inputs");
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

/// Answers how many inputs were run. The one that panics is left in a file, which is named before.
fn storm(target: &Target, time: Duration, seed: u64) -> Result<u64, std::io::Error> {
    let until = Instant::now() + time;
    let last = std::env::current_dir()?.join(format!("broken-{}", target.name));
    let mut chance = Chance(seed);
    let mut pool = target.seeds();
    let seeds = pool.len();
    pool.iter().for_each(|input| target.run(input));
    let mut runs = pool.len() as u64;
    while !runs.is_multiple_of(64) || Instant::now() < until {
        let among = if chance.below(2) == 0 { seeds } else { pool.len() };
        let mut input = pool[chance.below(among)].clone();
        mutate(&mut input, &pool, target.longest, &mut chance);
        let ran = std::panic::catch_unwind(|| target.run(&input));
        if let Err(panic) = ran {
            std::fs::write(&last, &input)?;
            println!("{}: this input breaks a promise: {}", target.name, last.display());
            std::panic::resume_unwind(panic);
        }
        runs += 1;
        match pool.len() {
            // The seeds stay at the front.
            POOL.. if chance.below(16) == 0 => pool[seeds + chance.below(POOL - seeds)] = input,
            POOL.. => {}
            _ => pool.push(input),
        }
    }
    Ok(runs)
}
