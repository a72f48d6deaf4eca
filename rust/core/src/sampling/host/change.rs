//! What happened between two moments: shares and rates. Pure.

use super::super::cgroup::{CgroupRates, CgroupSample, rates};
use super::cpu::{Shares, core_shares, shares};
use super::disk_io::DiskCounters;
use super::memory::Swapping;
use super::name::Name;
use super::network::{InterfaceCounters, Traffic};
use super::tables::Reading;

/// Why there are no shares and rates yet.
pub const FIRST: &str = "the first sample, or too soon after it: shares of the CPU and rates are differences of two";

/// All that differences are made of.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// The tables that change all the time.
    pub reading: Reading,
    /// `/proc/vmstat`.
    pub swapping: Option<Swapping>,
    /// Time since boot in which at least one task waited for a CPU, µs.
    pub waiting_us: Option<u64>,
    /// The control group of this process; None where there are no control groups.
    pub group: Option<CgroupSample>,
}

/// Shares and rates of one interval.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Its length, s.
    pub seconds: f64,
    /// Of all cores together.
    pub cpu: Option<Shares>,
    /// By number of core.
    pub cores: Vec<(u32, Option<Shares>)>,
    /// Context switches a second.
    pub switches: Option<f64>,
    /// Processes and threads made a second.
    pub forks: Option<f64>,
    /// By name of disk; absent for one that is new or whose counters went back.
    pub disks: Vec<(Name, DiskRates)>,
    /// By name of interface, received and sent; absent for one that is new or whose counters went back.
    pub interfaces: Vec<(Name, [TrafficRates; 2])>,
    /// Pages from and to swap a second.
    pub swapping: Option<[f64; 2]>,
    /// Share of the time in which at least one task waited for a CPU, 0-1.
    pub waiting: Option<f64>,
    /// Of the control group.
    pub group: Option<CgroupRates>,
}

/// What a disk did, a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DiskRates {
    /// Reads completed.
    pub reads: f64,
    /// Writes completed.
    pub writes: f64,
    /// Bytes read.
    pub read_bytes: f64,
    /// Bytes written.
    pub written_bytes: f64,
    /// Share of the time with a request under way, 0-1.
    pub busy: f64,
    /// Requests under way, on average.
    pub queue: f64,
}

/// What went one way through an interface, a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrafficRates {
    /// Bytes.
    pub bytes: f64,
    /// Packets.
    pub packets: f64,
    /// Packets with errors.
    pub errors: f64,
    /// Packets given up; None where a source does not tell.
    pub drops: Option<f64>,
}

impl Change {
    /// Between two moments; None when no time passed by the monotonic clock.
    pub fn between(before: &Moment, after: &Moment) -> Option<Change> {
        let mut change = Change::between_readings(&before.reading, &after.reading)?;
        let rate = |before: Option<u64>, after: Option<u64>| per_second(before?, after?, change.seconds);
        change.swapping = before.swapping.zip(after.swapping).and_then(|(before, after)| {
            Some([rate(before.pages_in, after.pages_in)?, rate(before.pages_out, after.pages_out)?])
        });
        change.waiting = rate(before.waiting_us, after.waiting_us).map(|waited| (waited / 1e6).min(1.0));
        change.group = before.group.as_ref().zip(after.group.as_ref()).and_then(|(before, after)| rates(before, after));
        Some(change)
    }

    fn between_readings(before: &Reading, after: &Reading) -> Option<Change> {
        let seconds = after.at_ns.checked_sub(before.at_ns).filter(|elapsed| *elapsed > 0)? as f64 / 1e9;
        let mut change = Change { seconds, ..Change::default() };
        let rate = |before, after| per_second(before, after, seconds);
        if let (Some(before), Some(after)) = (&before.cpus, &after.cpus) {
            change.cpu = shares(&before.total, &after.total);
            change.cores = core_shares(&before.cores, &after.cores);
            change.switches = before.switches.zip(after.switches).and_then(|(before, after)| rate(before, after));
            change.forks = before.forks.zip(after.forks).and_then(|(before, after)| rate(before, after));
        }
        if let (Some(before), Some(after)) = (&before.disks, &after.disks) {
            let earlier = |name: Name| before.iter().find(|disk| disk.name == name);
            change.disks = after
                .iter()
                .filter_map(|disk| Some((disk.name, disk_rates(earlier(disk.name)?, disk, seconds)?)))
                .collect();
        }
        if let (Some(before), Some(after)) = (&before.interfaces, &after.interfaces) {
            let earlier = |name: Name| before.iter().find(|interface| interface.name == name);
            let rates = |after: &InterfaceCounters| {
                let before = earlier(after.name)?;
                let (received, sent) = (
                    traffic(&before.received, &after.received, seconds)?,
                    traffic(&before.sent, &after.sent, seconds)?,
                );
                Some((after.name, [received, sent]))
            };
            change.interfaces = after.iter().filter_map(rates).collect();
        }
        Some(change)
    }
}

/// None when a counter went back: it was set to 0, or ran over, and which of the two cannot be known.
fn per_second(before: u64, after: u64, seconds: f64) -> Option<f64> {
    Some(after.checked_sub(before)? as f64 / seconds)
}

fn disk_rates(before: &DiskCounters, after: &DiskCounters, seconds: f64) -> Option<DiskRates> {
    let rate = |field: fn(&DiskCounters) -> u64| per_second(field(before), field(after), seconds);
    Some(DiskRates {
        reads: rate(|disk| disk.reads)?,
        writes: rate(|disk| disk.writes)?,
        read_bytes: rate(|disk| disk.read_bytes)?,
        written_bytes: rate(|disk| disk.written_bytes)?,
        // The kernel's clock for it ticks coarser than ours.
        busy: (rate(|disk| disk.busy_ms)? / 1000.0).min(1.0),
        queue: rate(|disk| disk.weighted_ms)? / 1000.0,
    })
}

fn traffic(before: &Traffic, after: &Traffic, seconds: f64) -> Option<TrafficRates> {
    let rate = |before, after| per_second(before, after, seconds);
    Some(TrafficRates {
        bytes: rate(before.bytes, after.bytes)?,
        packets: rate(before.packets, after.packets)?,
        errors: rate(before.errors, after.errors)?,
        drops: before.drops.zip(after.drops).and_then(|(before, after)| rate(before, after)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{disk_io, network};
    use super::*;

    fn moment(at_s: u64, disk: &str, net: &str) -> Moment {
        let (mut disks, mut interfaces) = (Vec::new(), Vec::new());
        assert!(disk_io::parse(disk.as_bytes(), &mut disks));
        assert!(network::parse(format!("Inter-|\n face |\n{net}").as_bytes(), &mut interfaces));
        let at_ns = at_s * 1_000_000_000;
        let reading = Reading { at_ns, disks: Some(disks), interfaces: Some(interfaces), ..Reading::default() };
        Moment { reading, ..Moment::default() }
    }

    #[test]
    fn rates_are_differences_by_the_time_between() {
        let before = moment(
            10,
            "8 0 sda 100 0 1000 0 50 0 500 0 0 1000 2000\n",
            "eth0: 1000 10 0 0 0 0 0 0 500 5 0 0 0 0 0 0\n",
        );
        let after = moment(
            12,
            "8 0 sda 110 0 1020 0 54 0 508 0 0 1500 5000\n",
            "eth0: 3000 20 2 4 0 0 0 0 900 9 0 0 0 0 0 0\n",
        );
        let change = Change::between(&before, &after).unwrap();
        let expected =
            DiskRates { reads: 5.0, writes: 2.0, read_bytes: 5120.0, written_bytes: 2048.0, busy: 0.25, queue: 1.5 };
        assert_eq!(change.disks[0].1, expected);
        let [received, sent] = change.interfaces[0].1;
        assert_eq!(received, TrafficRates { bytes: 1000.0, packets: 5.0, errors: 1.0, drops: Some(2.0) });
        assert_eq!(sent, TrafficRates { bytes: 200.0, packets: 2.0, errors: 0.0, drops: Some(0.0) });
    }

    #[test]
    fn no_rate_is_made_up_for_what_is_new_went_or_began_again() {
        let before = moment(
            10,
            "8 0 sda 100 0 0 0 0 0 0 0 0 0 0\n8 16 sdb 9 0 0 0 0 0 0 0 0 0 0\n",
            "eth0: 10 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
        );
        let after = moment(
            12,
            "8 0 sda 99 0 0 0 0 0 0 0 0 0 0\n8 32 sdc 9 0 0 0 0 0 0 0 0 0 0\n",
            "eth0: 9 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\neth1: 9 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
        );
        let change = Change::between(&before, &after).unwrap();
        assert_eq!((change.disks.len(), change.interfaces.len()), (0, 0));
        assert_eq!((change.cpu, change.switches), (None, None));
    }

    #[test]
    fn a_clock_that_stood_still_or_went_back_gives_nothing() {
        let moment = |at_s| moment(at_s, "", "");
        assert_eq!(Change::between(&moment(10), &moment(10)), None);
        assert_eq!(Change::between(&moment(10), &moment(9)), None);
    }

    #[test]
    fn a_disk_is_never_busier_than_always() {
        let busy = |ms: u64| moment(ms / 1000, &format!("8 0 sda 1 0 0 0 0 0 0 0 0 {} 0\n", ms + ms / 100), "");
        assert_eq!(Change::between(&busy(1000), &busy(2000)).unwrap().disks[0].1.busy, 1.0);
    }

    #[test]
    fn swapping_and_waiting_need_both_moments() {
        let counted = |at_s: u64, pages: Option<u64>| {
            let swapping =
                pages.map(|pages| Swapping { pages_in: Some(pages), pages_out: Some(2 * pages), oom_kills: None });
            Moment { swapping, waiting_us: pages.map(|pages| pages * 100_000), ..moment(at_s, "", "") }
        };
        let change = Change::between(&counted(1, Some(10)), &counted(3, Some(14))).unwrap();
        assert_eq!((change.swapping, change.waiting), (Some([2.0, 4.0]), Some(0.2)));
        let change = Change::between(&counted(1, None), &counted(3, Some(14))).unwrap();
        assert_eq!((change.swapping, change.waiting), (None, None));
    }
}
