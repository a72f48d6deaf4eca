//! `/proc/loadavg`: how many tasks run or wait, on average.
//!
//! Source: Linux, Documentation/filesystems/proc.rst, "loadavg"; tasks that wait for a disk count, those in a pause do not.

use super::scan::Scan;

/// A reading of `/proc/loadavg`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Over 1, 5 and 15 minutes.
    pub averages: [f64; 3],
    /// Tasks that run or could, now.
    pub running: u64,
    /// All tasks, each thread being one.
    pub tasks: u64,
}

/// `2.02 0.92 0.45 5/186 20850`
pub fn parse(text: &[u8]) -> Option<Load> {
    let mut scan = Scan::new(text);
    let averages = [hundredths(&mut scan)?, hundredths(&mut scan)?, hundredths(&mut scan)?];
    let running = scan.number()?;
    let tasks = scan.skip(b"/").then(|| scan.number())??;
    Some(Load { averages, running, tasks })
}

/// The kernel prints two digits behind the point, always.
fn hundredths(scan: &mut Scan) -> Option<f64> {
    let whole = scan.number()?;
    if !scan.skip(b".") {
        return None;
    }
    let before = scan.peek().len();
    let part = scan.number()?;
    (before - scan.peek().len() == 2).then(|| (whole * 100 + part) as f64 / 100.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_five_numbers() {
        let load = parse(b"2.02 0.92 110.05 5/186 20850\n").unwrap();
        assert_eq!(load, Load { averages: [2.02, 0.92, 110.05], running: 5, tasks: 186 });
    }

    #[test]
    fn what_is_no_loadavg() {
        for other in [
            &b""[..],
            b"2.02 0.92\n",
            b"2.02 0.92 0.45 5\n",
            b"2 0.92 0.45 5/186 1\n",
            b"2.020 0.92 0.45 5/186 1\n",
            b"2.02 0.92 0.45 5/18",
        ] {
            assert_eq!(parse(other), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(noise: Vec<u8>) {
            let _ = parse(&noise);
        }

        #[test]
        fn averages_are_read_back(hundred in 0_u32..1_000_000) {
            let text = format!("{0}.{1:02} 0.00 0.00 1/1 1\n", hundred / 100, hundred % 100);
            prop_assert_eq!(parse(text.as_bytes()).unwrap().averages[0], f64::from(hundred) / 100.0);
        }
    }
}
