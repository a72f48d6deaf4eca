//! Prometheus text: the head of each line, name and labels, is made once and kept; at a scrape only its number is written.
//!
//! Text format 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/>). Labels come rendered: whoever knows the names
//! escapes them.

use std::collections::HashMap;

use crate::value::Value;

/// Where the number of a line stands in a stored total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// A counter.
    Counter(usize),
    /// A counter added to those of the steps before it in the same family: the buckets of a histogram are cumulative.
    Step(usize),
    /// All steps of the family together.
    Steps,
    /// How often something was measured.
    Count(usize),
    /// The sum of a measure.
    Sum(usize),
    /// The sum of a measure in µs, as seconds, exactly.
    Seconds(usize),
}

/// A line of a family: what stands behind its name, a label of its own (rendered; may be empty), and its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// `_bucket`, `_sum`, `_count`, or nothing.
    pub suffix: String,
    /// `outcome="failed"`, or nothing.
    pub label: String,
    /// Where the number stands.
    pub cell: Cell,
}

/// Lines of one name and meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// The name.
    pub name: String,
    /// What it means, in a sentence.
    pub help: String,
    /// `counter`, `gauge`, `histogram` or `summary`.
    pub kind: String,
    /// The lines of each series.
    pub lines: Vec<Line>,
}

/// The heads of all lines of one series, one behind the other, and where each ends.
struct Heads {
    labels: String,
    text: Vec<u8>,
    ends: Vec<u32>,
}

/// Writes totals of series, again and again.
pub struct Exposition {
    families: Vec<Family>,
    kept: Vec<Heads>,
}

impl Exposition {
    /// Of these families, in this order.
    pub fn new(families: Vec<Family>) -> Exposition {
        Exposition { families, kept: Vec::new() }
    }

    /// The text of all series (rendered labels, total). What is kept of a series that is not among them any more is dropped.
    pub fn text(&mut self, series: &[(&str, &Value)]) -> Vec<u8> {
        self.keep(series);
        // Numbers take some ten bytes a line on top of the heads.
        let lines: usize = self.kept.iter().map(|heads| heads.text.len() + 12 * heads.ends.len()).sum();
        let mut text = Vec::with_capacity(lines + 256 * self.families.len());
        let mut first: usize = 0;
        for family in &self.families {
            family_head(&mut text, &family.name, &family.help, &family.kind);
            for (heads, (_, value)) in self.kept.iter().zip(series) {
                let mut start = first.checked_sub(1).map_or(0, |before| heads.ends[before] as usize);
                let mut steps = 0;
                for (line, end) in family.lines.iter().zip(&heads.ends[first..]) {
                    let end = *end as usize;
                    text.extend_from_slice(&heads.text[start..end]);
                    start = end;
                    number(&mut text, value, line.cell, &mut steps);
                    text.push(b'\n');
                }
            }
            first += family.lines.len();
        }
        text
    }

    /// Brings the heads into the order of the series. From scrape to scrape they are mostly the same, and then nothing is looked for.
    fn keep(&mut self, series: &[(&str, &Value)]) {
        if self.kept.len() == series.len()
            && self.kept.iter().zip(series).all(|(heads, (labels, _))| heads.labels == *labels)
        {
            return;
        }
        let mut known: HashMap<String, Heads> =
            self.kept.drain(..).map(|heads| (heads.labels.clone(), heads)).collect();
        self.kept = series
            .iter()
            .map(|(labels, _)| known.remove(*labels).unwrap_or_else(|| heads(&self.families, labels)))
            .collect();
    }

    /// How many series something is kept of.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }
}

/// The two lines before those of a family.
pub fn family_head(text: &mut Vec<u8>, name: &str, help: &str, kind: &str) {
    for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"] {
        text.extend_from_slice(part.as_bytes());
    }
}

/// One line whose number is no part of a total.
pub fn line(text: &mut Vec<u8>, name: &str, labels: &str, number: f64) {
    text.extend_from_slice(name.as_bytes());
    if !labels.is_empty() {
        text.push(b'{');
        text.extend_from_slice(labels.as_bytes());
        text.push(b'}');
    }
    text.push(b' ');
    float(text, number);
    text.push(b'\n');
}

fn heads(families: &[Family], labels: &str) -> Heads {
    let mut heads = Heads { labels: labels.to_owned(), text: Vec::new(), ends: Vec::new() };
    for family in families {
        for line in &family.lines {
            let between = if labels.is_empty() || line.label.is_empty() { "" } else { "," };
            for part in [&family.name, &line.suffix, "{", labels, between, &line.label, "} "] {
                heads.text.extend_from_slice(part.as_bytes());
            }
            heads.ends.push(heads.text.len() as u32);
        }
    }
    heads
}

fn number(text: &mut Vec<u8>, value: &Value, cell: Cell, steps: &mut u64) {
    match cell {
        Cell::Counter(index) => integer(text, value.counter(index)),
        Cell::Step(index) => {
            *steps = steps.saturating_add(value.counter(index));
            integer(text, *steps);
        }
        Cell::Steps => integer(text, *steps),
        Cell::Count(index) => integer(text, value.measure(index).map_or(0, |measure| measure.n)),
        Cell::Sum(index) => integer(text, value.measure(index).map_or(0, |measure| measure.sum)),
        Cell::Seconds(index) => seconds(text, value.measure(index).map_or(0, |measure| measure.sum)),
    }
}

fn integer(text: &mut Vec<u8>, number: impl itoa::Integer) {
    text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// µs as seconds without rounding: a sum of years still tells its last µs, which a double would not.
fn seconds(text: &mut Vec<u8>, micros: i64) {
    if micros < 0 {
        text.push(b'-');
    }
    let micros = micros.unsigned_abs();
    integer(text, micros / 1_000_000);
    let mut rest = micros % 1_000_000;
    if rest > 0 {
        let mut digits = *b".000000";
        let mut kept = 1;
        for place in (1..digits.len()).rev() {
            digits[place] = b'0' + (rest % 10) as u8;
            if kept == 1 && digits[place] != b'0' {
                kept = place + 1;
            }
            rest /= 10;
        }
        text.extend_from_slice(&digits[..kept]);
    }
}

/// The shortest text that reads back as this number.
fn float(text: &mut Vec<u8>, number: f64) {
    if number.is_nan() {
        text.extend_from_slice(b"NaN");
    } else if number.is_infinite() {
        text.extend_from_slice(if number > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if number == number.trunc() && number.abs() <= 9_007_199_254_740_992.0 {
        integer(text, number as i64);
    } else {
        text.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::Parts;

    fn family(name: &str, kind: &str, lines: &[(&str, &str, Cell)]) -> Family {
        let lines = lines
            .iter()
            .map(|(suffix, label, cell)| Line { suffix: (*suffix).into(), label: (*label).into(), cell: *cell })
            .collect();
        Family { name: name.into(), help: "Help.".into(), kind: kind.into(), lines }
    }

    fn value(counters: &[u64], runtimes: &[i64]) -> Value {
        let measures = vec![(0, runtimes.to_vec())];
        Parts { counters: counters.to_vec(), measures, gauges: Vec::new(), scale: 5 }.value().unwrap()
    }

    fn said(exposition: &mut Exposition, series: &[(&str, &Value)]) -> String {
        String::from_utf8(exposition.text(series)).unwrap()
    }

    #[test]
    fn lines_stand_by_family_and_then_by_series() {
        let mut exposition = Exposition::new(vec![
            family(
                "ended_total",
                "counter",
                &[("", "outcome=\"ok\"", Cell::Counter(1)), ("", "outcome=\"no\"", Cell::Counter(2))],
            ),
            family(
                "runtime_seconds",
                "histogram",
                &[
                    ("_bucket", "le=\"1\"", Cell::Step(0)),
                    ("_bucket", "le=\"+Inf\"", Cell::Step(2)),
                    ("_sum", "", Cell::Seconds(0)),
                    ("_count", "", Cell::Steps),
                ],
            ),
            family("memory_bytes", "summary", &[("_sum", "", Cell::Sum(0)), ("_count", "", Cell::Count(0))]),
        ]);
        let (one, two) = (value(&[3, 5, 4], &[1_500_000, 250]), value(&[], &[]));
        let text = said(&mut exposition, &[("task=\"a\"", &one), ("", &two)]);
        let expected = "\
# HELP ended_total Help.\n# TYPE ended_total counter\n\
ended_total{task=\"a\",outcome=\"ok\"} 5\nended_total{task=\"a\",outcome=\"no\"} 4\n\
ended_total{outcome=\"ok\"} 0\nended_total{outcome=\"no\"} 0\n\
# HELP runtime_seconds Help.\n# TYPE runtime_seconds histogram\n\
runtime_seconds_bucket{task=\"a\",le=\"1\"} 3\nruntime_seconds_bucket{task=\"a\",le=\"+Inf\"} 7\n\
runtime_seconds_sum{task=\"a\"} 1.50025\nruntime_seconds_count{task=\"a\"} 7\n\
runtime_seconds_bucket{le=\"1\"} 0\nruntime_seconds_bucket{le=\"+Inf\"} 0\n\
runtime_seconds_sum{} 0\nruntime_seconds_count{} 0\n\
# HELP memory_bytes Help.\n# TYPE memory_bytes summary\n\
memory_bytes_sum{task=\"a\"} 1500250\nmemory_bytes_count{task=\"a\"} 2\n\
memory_bytes_sum{} 0\nmemory_bytes_count{} 0\n";
        assert_eq!(text, expected);
        assert_eq!(said(&mut exposition, &[("task=\"a\"", &one), ("", &two)]), expected);
    }

    #[test]
    fn a_series_that_is_gone_leaves_nothing_behind() {
        let mut exposition = Exposition::new(vec![family("n_total", "counter", &[("", "", Cell::Counter(0))])]);
        let one = value(&[1], &[]);
        said(&mut exposition, &[("a=\"1\"", &one), ("a=\"2\"", &one)]);
        assert_eq!(exposition.kept(), 2);
        let text = said(&mut exposition, &[("a=\"2\"", &one)]);
        assert!(!text.contains("a=\"1\""));
        assert_eq!(exposition.kept(), 1);
        let swapped = said(&mut exposition, &[("a=\"3\"", &one), ("a=\"2\"", &value(&[7], &[]))]);
        assert!(swapped.ends_with("n_total{a=\"3\"} 1\nn_total{a=\"2\"} 7\n"), "{swapped}");
        assert_eq!(said(&mut exposition, &[]), "# HELP n_total Help.\n# TYPE n_total counter\n");
        assert_eq!(exposition.kept(), 0);
    }

    #[test]
    fn numbers_read_back_as_they_were() {
        for (number, expected) in [
            (0.0, "0"),
            (-3.0, "-3"),
            (0.1, "0.1"),
            (1e15, "1000000000000000"),
            (1e300, "1e300"),
            (-2.5e-7, "-2.5e-7"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut text = Vec::new();
            line(&mut text, "x", "", number);
            assert_eq!(String::from_utf8(text).unwrap(), format!("x {expected}\n"));
        }
    }

    proptest! {
        #[test]
        fn seconds_are_exact(micros in any::<i64>()) {
            let mut text = Vec::new();
            seconds(&mut text, micros);
            let text = String::from_utf8(text).unwrap();
            let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
            let digits = format!("{}{part:0<6}", whole.trim_start_matches('-'));
            prop_assert_eq!(digits.parse::<u128>().unwrap(), u128::from(micros.unsigned_abs()));
            prop_assert_eq!(text.starts_with('-'), micros < 0);
            prop_assert!(!part.ends_with('0'));
        }

        #[test]
        fn every_double_reads_back(number in any::<f64>()) {
            let mut text = Vec::new();
            float(&mut text, number);
            let read: f64 = String::from_utf8(text).unwrap().parse().unwrap();
            prop_assert!(read == number || (read.is_nan() && number.is_nan()));
        }
    }
}
