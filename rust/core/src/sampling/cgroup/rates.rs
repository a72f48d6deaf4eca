//! What a group used between two samples.

use super::{CgroupSample, CpuSample};

/// Differences of counters. None where a sample did not know, or a counter went back because the group was made anew; of stopped time
/// also where another group has the least quota now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CgroupRates {
    /// Between the samples, seconds.
    pub seconds: f64,
    /// CPU in use, cores.
    pub usage_cores: Option<f64>,
    /// Share of the quota's periods in which the group with the least quota was stopped, 0-1; 0 without a period.
    pub throttled_ratio: Option<f64>,
    /// CPU that was wanted in that group while it was stopped, cores: stopped seconds a second, of all CPUs.
    pub throttled_cores: Option<f64>,
    /// Stopped, seconds a period.
    pub throttled_seconds_per_period: Option<f64>,
    /// CPU that was wanted by at least one task that waited (`cpu.pressure`), cores, at most 1.
    pub waiting_cores: Option<f64>,
    /// What the quotas on the way up leave, cores; None without a quota.
    pub headroom_cores: Option<f64>,
    /// Processes that were killed because the group was full.
    pub oom_kills: Option<u64>,
}

/// The rates between two samples of one process; None for samples of two groups or without time between them.
pub fn rates(previous: &CgroupSample, now: &CgroupSample) -> Option<CgroupRates> {
    let ns = now.at_ns.checked_sub(previous.at_ns).filter(|ns| *ns > 0)?;
    if previous.path != now.path || previous.version != now.version {
        return None;
    }
    let (before, after) = (&previous.cpu, &now.cpu);
    let cores = |before: Option<u64>, after: Option<u64>| Some(difference(before, after)? as f64 / ns as f64);
    let usage_cores = cores(before.usage_ns, after.usage_ns);
    let stopped = |count: fn(&CpuSample) -> Option<u64>| {
        (before.throttled_group == after.throttled_group).then(|| difference(count(before), count(after))).flatten()
    };
    let throttled_ns = stopped(|cpu| cpu.throttled_ns);
    let periods = stopped(|cpu| cpu.periods);
    let throttled_periods = stopped(|cpu| cpu.throttled_periods);
    let a_period = |amount: Option<f64>| match (amount?, periods?) {
        (_, 0) => Some(0.0),
        (amount, periods) => Some(amount / periods as f64),
    };
    let waited = |sample: &CgroupSample| Some(sample.cpu_pressure?.some.total_us.saturating_mul(1_000));
    let room = after.levels.iter().zip(&before.levels).filter_map(|(now, then)| {
        let used = cores(then.usage_ns, now.usage_ns)?;
        (then.directory == now.directory).then_some((now.quota_cores? - used).max(0.0))
    });
    Some(CgroupRates {
        seconds: ns as f64 / 1e9,
        usage_cores,
        throttled_ratio: a_period(throttled_periods.map(|count| count as f64)).map(|ratio| ratio.min(1.0)),
        throttled_cores: throttled_ns.map(|stopped| stopped as f64 / ns as f64),
        throttled_seconds_per_period: a_period(throttled_ns.map(|stopped| stopped as f64 / 1e9)),
        waiting_cores: cores(waited(previous), waited(now)).map(|cores| cores.min(1.0)),
        headroom_cores: room.reduce(f64::min),
        oom_kills: difference(previous.memory.oom_kills, now.memory.oom_kills),
    })
}

fn difference(before: Option<u64>, after: Option<u64>) -> Option<u64> {
    after?.checked_sub(before?)
}
