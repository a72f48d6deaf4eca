//! `/proc/stat`: what the cores spent their time on since boot, and shares of it between two readings.
//!
//! Source: Linux, Documentation/filesystems/proc.rst, "Miscellaneous kernel statistics in /proc/stat".

use super::scan::Scan;

/// What time is spent on, in the kernel's order. All time of a core is in exactly one of them; `guest` is within `user`.
pub const STATES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const IDLE: usize = 3;
const IOWAIT: usize = 4;

/// Time since boot in clock ticks, by state.
pub type Times = [u64; STATES.len()];

/// One core that is online.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Core {
    /// Its number; there are gaps where cores are offline.
    pub number: u32,
    /// Its time.
    pub times: Times,
}

/// A reading of `/proc/stat`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpus {
    /// All cores together.
    pub total: Times,
    /// Each core that is online.
    pub cores: Vec<Core>,
    /// Boot, seconds since 1970.
    pub booted: Option<u64>,
    /// Context switches since boot.
    pub switches: Option<u64>,
    /// Processes and threads made since boot.
    pub forks: Option<u64>,
    /// Tasks that run or could.
    pub running: Option<u64>,
    /// Tasks that wait for I/O.
    pub blocked: Option<u64>,
}

/// Shares of the time between two readings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// All but idle and iowait, 0-1.
    pub usage: f64,
    /// By state, 0-1; the sum is 1. None where only the usage is known.
    pub states: Option<[f64; STATES.len()]>,
}

impl Cpus {
    /// Takes a text over, the memory of `cores` being used again. False when it is no `/proc/stat`.
    pub fn parse(&mut self, text: &[u8]) -> bool {
        self.cores.clear();
        (self.booted, self.switches, self.forks, self.running, self.blocked) = (None, None, None, None, None);
        let mut scan = Scan::new(text);
        if !scan.skip(b"cpu ") {
            return false;
        }
        let Some(total) = times(&mut scan) else { return false };
        self.total = total;
        while scan.line().is_some() && !scan.is_empty() {
            if scan.skip(b"cpu") {
                let Some(number) = scan.number().and_then(|number| u32::try_from(number).ok()) else { return false };
                let Some(times) = times(&mut scan) else { return false };
                self.cores.push(Core { number, times });
            } else if scan.skip(b"ctxt ") {
                self.switches = scan.number();
            } else if scan.skip(b"btime ") {
                self.booted = scan.number();
            } else if scan.skip(b"processes ") {
                self.forks = scan.number();
            } else if scan.skip(b"procs_running ") {
                self.running = scan.number();
            } else if scan.skip(b"procs_blocked ") {
                self.blocked = scan.number();
                break; // what follows, softirq, is of no interest
            }
        }
        true
    }
}

/// Kernels before 2.6.11 tell no steal, before 2.6 no more than four.
fn times(scan: &mut Scan) -> Option<Times> {
    let mut times = [0; STATES.len()];
    for (index, time) in times.iter_mut().enumerate() {
        match scan.number() {
            Some(number) => *time = number,
            None if index > IDLE => break,
            None => return None,
        }
    }
    Some(times)
}

/// Shares of the time between two readings of the same core.
///
/// None when no time passed between them or time went back as a whole: the guest was moved, or the reading is another machine's.
/// A single state that went back counts as 0, since the kernel documents that iowait, and on some kernels idle, do so.
pub fn shares(before: &Times, after: &Times) -> Option<Shares> {
    let sum = |times: &Times| times.iter().map(|time| u128::from(*time)).sum::<u128>();
    if sum(after) <= sum(before) {
        return None;
    }
    let mut spent = [0.0; STATES.len()];
    for (spent, (before, after)) in spent.iter_mut().zip(before.iter().zip(after)) {
        *spent = after.saturating_sub(*before) as f64;
    }
    let whole: f64 = spent.iter().sum();
    let busy = (whole - spent[IDLE] - spent[IOWAIT]).max(0.0);
    Some(Shares { usage: busy / whole, states: Some(spent.map(|part| part / whole)) })
}

/// Shares of each core of the later reading; None for one that was not there before.
pub fn core_shares(before: &[Core], after: &[Core]) -> Vec<(u32, Option<Shares>)> {
    let earlier = |number| before.iter().find(|core| core.number == number);
    after
        .iter()
        .map(|core| (core.number, earlier(core.number).and_then(|before| shares(&before.times, &core.times))))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &[u8] = b"cpu  100 20 30 1000 40 5 6 7 3 1\ncpu0 60 10 15 500 20 5 3 4 3 1\ncpu2 40 10 15 500 20 0 3 3 0 0\n\
        intr 648311 0 0 33\nctxt 1377867\nbtime 1795544597\nprocesses 20848\nprocs_running 7\nprocs_blocked 2\nsoftirq 1 2\n";

    fn parsed(text: &[u8]) -> Option<Cpus> {
        let mut cpus = Cpus::default();
        cpus.parse(text).then_some(cpus)
    }

    #[test]
    fn every_field_is_found_and_a_core_that_is_offline_is_a_gap() {
        let cpus = parsed(TEXT).unwrap();
        assert_eq!(cpus.total, [100, 20, 30, 1000, 40, 5, 6, 7]);
        assert_eq!(cpus.cores.iter().map(|core| core.number).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(cpus.cores[1].times, [40, 10, 15, 500, 20, 0, 3, 3]);
        assert_eq!((cpus.switches, cpus.booted, cpus.forks), (Some(1_377_867), Some(1_795_544_597), Some(20_848)));
        assert_eq!((cpus.running, cpus.blocked), (Some(7), Some(2)));
    }

    #[test]
    fn the_memory_of_a_reading_is_used_again_and_nothing_of_it_is_left() {
        let mut cpus = parsed(TEXT).unwrap();
        assert!(cpus.parse(b"cpu  1 2 3 4\ncpu1 1 2 3 4\n"));
        assert_eq!(cpus.total, [1, 2, 3, 4, 0, 0, 0, 0]);
        assert_eq!((cpus.cores.len(), cpus.cores[0].number, cpus.switches, cpus.running), (1, 1, None, None));
    }

    #[test]
    fn what_is_no_stat() {
        for other in [&b""[..], b"cpu", b"cpu  1 2 3\n", b"intr 1\n", b"cpu  1 2 3 4\ncpux 1 2 3 4\n"] {
            assert_eq!(parsed(other), None, "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn shares_are_of_the_time_between_and_sum_to_one() {
        let found = shares(&[100, 0, 50, 1000, 10, 0, 0, 0], &[160, 10, 60, 1010, 15, 1, 2, 2]).unwrap();
        assert_eq!(found.states.unwrap(), [0.6, 0.1, 0.1, 0.1, 0.05, 0.01, 0.02, 0.02]);
        assert!((found.usage - 0.85).abs() < 1e-12);
    }

    /// L21: not the average since boot.
    #[test]
    fn l21_a_host_that_idled_for_a_year_and_is_busy_now_reads_busy() {
        let year = 100 * 86_400 * 365;
        let busy = shares(&[5, 0, 5, year, 0, 0, 0, 0], &[205, 0, 5, year, 0, 0, 0, 0]).unwrap();
        assert_eq!(busy.usage, 1.0);
    }

    #[test]
    fn time_that_stood_still_or_went_back_gives_no_share() {
        let times = [100, 0, 50, 1000, 10, 0, 0, 0];
        assert_eq!(shares(&times, &times), None);
        assert_eq!(shares(&times, &[1, 0, 1, 10, 0, 0, 0, 0]), None);
        let iowait_back = shares(&times, &[110, 0, 50, 1090, 5, 0, 0, 0]).unwrap();
        assert_eq!(iowait_back.states.unwrap()[IOWAIT], 0.0);
        assert_eq!(iowait_back.usage, 0.1);
    }

    #[test]
    fn a_core_that_came_has_no_share_and_one_that_went_is_not_there() {
        let core = |number, idle| Core { number, times: [0, 0, 0, idle, 0, 0, 0, 0] };
        let found = core_shares(&[core(0, 10), core(1, 10)], &[core(1, 20), core(2, 900)]);
        assert_eq!(
            found.iter().map(|(number, shares)| (*number, shares.map(|found| found.usage))).collect::<Vec<_>>(),
            [(1, Some(0.0)), (2, None)]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(noise: Vec<u8>) {
            let _ = parsed(&noise);
            let mut text = TEXT.to_vec();
            text.truncate(noise.len());
            let _ = parsed(&text);
        }

        #[test]
        fn shares_are_ratios_whatever_the_counters_did(before: [u32; 8], after: [u32; 8]) {
            if let Some(found) = shares(&before.map(u64::from), &after.map(u64::from)) {
                prop_assert!((0.0..=1.0).contains(&found.usage));
                prop_assert!((found.states.unwrap().iter().sum::<f64>() - 1.0).abs() < 1e-9);
            }
        }
    }
}
