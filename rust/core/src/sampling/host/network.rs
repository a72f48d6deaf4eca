//! `/proc/net/dev`: what interfaces carried since they came up.
//!
//! Source: Linux, Documentation/networking/statistics.rst; the columns as in `net/core/net-procfs.c`.

use super::name::Name;
use super::scan::Scan;

/// Counters of one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceCounters {
    /// Its name.
    pub name: Name,
    /// What came in.
    pub received: Traffic,
    /// What went out.
    pub sent: Traffic,
}

/// One direction of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets with errors.
    pub errors: u64,
    /// Packets given up for want of room; None where a source does not tell.
    pub drops: Option<u64>,
}

/// Every interface; the memory of `interfaces` is used again. False when the text is none.
pub fn parse(text: &[u8], interfaces: &mut Vec<InterfaceCounters>) -> bool {
    interfaces.clear();
    let mut scan = Scan::new(text);
    if !scan.skip(b"Inter-|") || scan.line().is_none() || scan.line().is_none() {
        return false;
    }
    while !scan.is_empty() {
        let Some(interface) = interface(&mut scan).filter(|_| scan.line().is_some()) else { return false };
        interfaces.push(interface);
    }
    true
}

/// `  eth0: 1242716745 29202 0 0 0 0 0 0 1730987 17620 0 0 0 0 0 0`; the name may hold a colon but no blank, and old kernels print no
/// blank behind it.
fn interface(scan: &mut Scan) -> Option<InterfaceCounters> {
    let mut ahead = *scan;
    let word = ahead.word()?;
    let colon = word.iter().rposition(|byte| *byte == b':')?;
    let name = Name::new(&word[..colon])?;
    scan.blanks();
    scan.advance(colon + 1);
    let [bytes, packets, errors, drops, _fifo, _frame, _compressed, _multicast] = scan.numbers()?;
    let received = Traffic { bytes, packets, errors, drops: Some(drops) };
    let [bytes, packets, errors, drops] = scan.numbers()?;
    Some(InterfaceCounters { name, received, sent: Traffic { bytes, packets, errors, drops: Some(drops) } })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str =
        "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs\n";

    fn parsed(rows: &str) -> Option<Vec<InterfaceCounters>> {
        let mut interfaces = Vec::new();
        parse(format!("{HEAD}{rows}").as_bytes(), &mut interfaces).then_some(interfaces)
    }

    #[test]
    fn both_directions_of_every_interface() {
        let rows = "    lo:  856161    1366    0    0    0     0          0         0   856161    1366    0    0    0     0       0          0\n\
                      eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
        let found = parsed(rows).unwrap();
        assert_eq!(found.iter().map(|interface| interface.name.to_string()).collect::<Vec<_>>(), ["lo", "eth0"]);
        assert_eq!(found[1].received, Traffic { bytes: 1, packets: 2, errors: 3, drops: Some(4) });
        assert_eq!(found[1].sent, Traffic { bytes: 9, packets: 10, errors: 11, drops: Some(12) });
    }

    #[test]
    fn names_with_a_colon_and_numbers_that_touch_it() {
        let found = parsed("eth0:1:4294967296 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n").unwrap();
        assert_eq!((found[0].name.to_string().as_str(), found[0].received.bytes), ("eth0:1", 1 << 32));
    }

    #[test]
    fn what_is_no_table_of_interfaces() {
        assert_eq!(parsed("lo: 1 2 3\n"), None);
        assert_eq!(parsed("lo 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"), None);
        assert_eq!(parsed("lo: 1 2 3 4 5 6 7 8 9 10 11 12 13"), None);
        assert!(!parse(b"", &mut Vec::new()) && !parse(b"lo: 1\n", &mut Vec::new()));
        assert_eq!(parsed(""), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(noise: Vec<u8>, rows: String) {
            let _ = (parse(&noise, &mut Vec::new()), parsed(&rows));
        }
    }
}
