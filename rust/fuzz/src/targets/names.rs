//! Label lists, and the positions of a mark.

use queue_metrics_core::drain::Positions;
use queue_metrics_core::names::{self, label_list, parse_label_list};

use super::Target;

pub const TARGET: Target = Target { name: "names", longest: 40_000, bytes: 32_768, bytes_each: 32, run, seeds };

fn run(input: &[u8]) {
    if let Ok((kind, labels)) = parse_label_list(input) {
        assert_eq!(label_list(kind, &labels), input);
        assert_eq!(names::series_id(kind, &labels), names::hash64(input));
    }
    if let Ok(text) = std::str::from_utf8(input) {
        let list = label_list(names::NAME, &[text]);
        let (_, labels) = parse_label_list(&list).unwrap();
        assert_eq!(label_list(names::NAME, &labels), list);
    }
    if let Ok(positions) = Positions::decode(input) {
        let again = positions.encode();
        // Positions of 0 are not written.
        assert_eq!(Positions::decode(&again).unwrap().encode(), again);
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let positions = Positions { segments: [([7; 16], 5), ([9; 16], u64::MAX)].into(), deleted: 3, rolled_back: 1 };
    vec![
        label_list(names::TASK, &["broker", "default", "app.send"]),
        label_list(names::NAME, &["é".repeat(9_000).as_str()]),
        positions.encode(),
        "x".repeat(20_000).into_bytes(),
        Vec::new(),
    ]
}
