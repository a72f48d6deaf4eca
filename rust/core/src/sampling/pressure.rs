//! Pressure stall information: how much of the time tasks waited for a resource. Of the host and of a cgroup alike.
//!
//! Source: Linux, Documentation/accounting/psi.rst.

use super::text::{decimal, lines, words};

/// One line of a pressure file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stall {
    /// Share of the last 10 s, 0-1.
    pub average_10_ratio: f64,
    /// Share of the last 60 s, 0-1.
    pub average_60_ratio: f64,
    /// Share of the last 300 s, 0-1.
    pub average_300_ratio: f64,
    /// Time waited in all, µs.
    pub total_us: u64,
}

/// A pressure file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// At least one task waited.
    pub some: Stall,
    /// All tasks waited at once; None where the kernel does not say (CPU before Linux 5.13).
    pub full: Option<Stall>,
}

/// `cpu.pressure`, `memory.pressure`, `io.pressure`, and the same under `/proc/pressure`.
pub fn parse_pressure(text: &[u8]) -> Option<Pressure> {
    let line = |kind: &str| lines(text).find_map(|line| stall(line, kind));
    Some(Pressure { some: line("some")?, full: line("full") })
}

/// `some avg10=0.12 avg60=0.05 avg300=0.01 total=12345`
fn stall(line: &[u8], kind: &str) -> Option<Stall> {
    let mut words = words(line);
    if words.next()? != kind.as_bytes() {
        return None;
    }
    let mut value = |key: &str| words.next()?.strip_prefix(key.as_bytes())?.strip_prefix(b"=");
    Some(Stall {
        average_10_ratio: percent(value("avg10")?)?,
        average_60_ratio: percent(value("avg60")?)?,
        average_300_ratio: percent(value("avg300")?)?,
        total_us: decimal(value("total")?)?,
    })
}

/// `12.34` percent as a ratio.
fn percent(text: &[u8]) -> Option<f64> {
    let percent: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_lines() {
        let text = b"some avg10=1.50 avg60=0.25 avg300=100.00 total=987654321\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        let pressure = parse_pressure(text).unwrap();
        let some = pressure.some;
        assert_eq!((some.average_10_ratio, some.average_60_ratio, some.average_300_ratio), (0.015, 0.0025, 1.0));
        assert_eq!((some.total_us, pressure.full.unwrap().total_us), (987_654_321, 7));
    }

    #[test]
    fn an_old_kernel_says_nothing_about_all_tasks() {
        assert_eq!(parse_pressure(b"some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n").unwrap().full, None);
    }

    #[test]
    fn what_is_no_pressure_file() {
        for other in
            [&b""[..], b"some avg10=0.00 avg60=0.00 avg300=0.00 total=12", b"some avg10=x\n", b"full avg10=0.00\n"]
        {
            assert_eq!(parse_pressure(other), None);
        }
        assert_eq!(parse_pressure(b"some avg10=nan avg60=0 avg300=0 total=1\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(noise: Vec<u8>) {
            let _ = parse_pressure(&noise);
        }
    }
}
