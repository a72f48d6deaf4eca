//! What two readings of one process tell together: the CPU time between them, and the peak of its memory. Reads nothing itself.

use super::number;
use crate::record::NO_VALUE;

/// The last reading of a process. The next one with CPU time says how much was spent in between; of the first nothing is said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    last: Option<(u64, u64)>,
    peak: u64,
}

impl Meter {
    /// Completes resident memory, its peak and CPU time as read at `now_ns` of the monotonic clock: the same, then CPU time and time
    /// since the last reading, µs; what is unknown is [`NO_VALUE`]. The peak is the highest of all readings too: the kernel brings its
    /// own up to date later, and it can be reset.
    pub fn complete(&mut self, [rss, rss_peak, cpu]: [u64; 3], now_ns: u64) -> [u64; 5] {
        let highest = [rss, rss_peak].into_iter().filter_map(number).max();
        self.peak = self.peak.max(highest.unwrap_or(0));
        let now = number(cpu).map(|cpu| (now_ns, cpu));
        let between = self.last.zip(now).and_then(|((then_ns, before), (now_ns, cpu))| {
            let over = now_ns.checked_sub(then_ns)? / 1_000;
            Some((cpu.checked_sub(before)?, over)).filter(|_| over > 0)
        });
        self.last = now.or(self.last);
        let (cpu_spent, cpu_over) = between.unwrap_or((NO_VALUE, NO_VALUE));
        [rss, self.peak(), cpu, cpu_spent, cpu_over]
    }

    /// What is left to say of a process that ended, in the same order: it holds no memory and spends nothing any more.
    pub fn ended(&self) -> [u64; 5] {
        let cpu = self.last.map_or(NO_VALUE, |(_, cpu)| cpu);
        [NO_VALUE, self.peak(), cpu, NO_VALUE, NO_VALUE]
    }

    fn peak(&self) -> u64 {
        if self.peak == 0 { NO_VALUE } else { self.peak }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(meter: &mut Meter, now_ns: u64, rss: u64, rss_peak: u64, cpu: u64) -> [Option<u64>; 3] {
        let [same_rss, rss_peak, same_cpu, spent, over] = meter.complete([rss, rss_peak, cpu], now_ns);
        assert_eq!((same_rss, same_cpu), (rss, cpu));
        [rss_peak, spent, over].map(number)
    }

    #[test]
    fn the_first_reading_has_no_difference_and_one_without_cpu_time_is_stepped_over() {
        let mut meter = Meter::default();
        assert_eq!(reading(&mut meter, 5_000_000, 10, 20, 100), [Some(20), None, None]);
        assert_eq!(reading(&mut meter, 6_000_000, 30, 20, 2_100), [Some(30), Some(2_000), Some(1_000)]);
        assert_eq!(reading(&mut meter, 7_000_000, NO_VALUE, NO_VALUE, NO_VALUE), [Some(30), None, None]);
        assert_eq!(reading(&mut meter, 9_000_000, 5, 6, 2_100), [Some(30), Some(0), Some(3_000)], "the peak was reset");
        assert_eq!(meter.ended().map(number), [None, Some(30), Some(2_100), None, None]);
        assert_eq!(Meter::default().ended(), [NO_VALUE; 5]);
    }

    #[test]
    fn counters_that_fall_and_clocks_that_stand_tell_nothing() {
        let mut meter = Meter::default();
        assert_eq!(reading(&mut meter, 5_000_000, NO_VALUE, NO_VALUE, 100), [None; 3]);
        assert_eq!(reading(&mut meter, 5_000_400, 1, NO_VALUE, 200), [Some(1), None, None]);
        assert_eq!(reading(&mut meter, 6_000_400, 1, NO_VALUE, 199), [Some(1), None, None]);
        assert_eq!(reading(&mut meter, 6_000_300, 1, NO_VALUE, 300), [Some(1), None, None]);
    }
}
