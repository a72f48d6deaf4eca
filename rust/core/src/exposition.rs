//! Prometheus text: that of the last scrape is kept, and at the next only numbers that changed are written anew.
//!
//! Text format 0.0.4 (<https://prometheus.io/docs/instrumenting/exposition_formats/>). Labels come rendered: whoever knows the names
//! escapes them.

mod numbers;

use self::numbers::{Digits, Unit, float};
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

/// Where the number of a line stands in the text.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    length: usize,
}

/// Writes totals of series, again and again: the text of the last scrape is kept, and only numbers that changed are written anew.
pub struct Exposition {
    families: Vec<Family>,
    text: Vec<u8>,
    /// Of each line, in the order of the text.
    places: Vec<Place>,
    /// As they stand in the text, series after series.
    numbers: Vec<i64>,
}

impl Exposition {
    /// Of these families, in this order.
    pub fn new(families: Vec<Family>) -> Exposition {
        let mut made = Exposition { families, text: Vec::new(), places: Vec::new(), numbers: Vec::new() };
        made.keep(&[]);
        made
    }

    /// Which series there are, by their rendered labels. Of all others nothing is kept.
    pub fn keep(&mut self, series: &[&str]) {
        self.text.clear();
        self.places.clear();
        for family in &self.families {
            family_head(&mut self.text, &family.name, &family.help, &family.kind);
            for labels in series {
                for line in &family.lines {
                    let between = if labels.is_empty() || line.label.is_empty() { "" } else { "," };
                    for part in [&family.name, &line.suffix, "{", labels, between, &line.label, "} "] {
                        self.text.extend_from_slice(part.as_bytes());
                    }
                    self.places.push(Place { start: self.text.len(), length: 1 });
                    self.text.extend_from_slice(b"0\n");
                }
            }
        }
        self.numbers.clear();
        self.numbers.resize(self.places.len(), 0);
    }

    /// The text with these numbers: those of `numbers` of each series, in the order of `keep`.
    ///
    /// # Panics
    /// There are more or fewer.
    pub fn text(&mut self, numbers: &[i64]) -> &[u8] {
        assert_eq!(numbers.len(), self.numbers.len(), "a number a line");
        // Those whose text is as long as before are written in their place; what stands behind the others has to move.
        let (mut moved, mut room) = (Vec::new(), Digits::new());
        let width: usize = self.families.iter().map(|family| family.lines.len()).sum();
        let (mut line, mut first) = (0, 0);
        for family in &self.families {
            let last = first + family.lines.len();
            let kept = self.numbers.chunks_exact_mut(width.max(1));
            for (kept, new) in kept.zip(numbers.chunks_exact(width.max(1))) {
                for ((kept, new), what) in kept[first..last].iter_mut().zip(&new[first..last]).zip(&family.lines) {
                    if *kept != *new {
                        *kept = *new;
                        let place = self.places[line];
                        let digits = room.of(*new, what.cell.unit());
                        if digits.len() == place.length {
                            self.text[place.start..][..place.length].copy_from_slice(digits);
                        } else {
                            moved.push((line, *new, what.cell.unit()));
                        }
                    }
                    line += 1;
                }
            }
            first = last;
        }
        if !moved.is_empty() {
            self.spread(&moved);
        }
        &self.text
    }

    /// Writes numbers that are longer or shorter than before: lines, in ascending order, and what stands there from now on.
    fn spread(&mut self, moved: &[(usize, i64, Unit)]) {
        // A number is longer by a digit or two, as a rule.
        let mut text = Vec::with_capacity(self.text.len() + 2 * moved.len());
        let (mut copied, mut line) = (0, 0);
        for &(at, number, unit) in moved {
            let before = self.places[at];
            let shift = text.len().wrapping_sub(copied);
            text.extend_from_slice(&self.text[copied..before.start]);
            self.places[line..at].iter_mut().for_each(|place| place.start = place.start.wrapping_add(shift));
            let start = text.len();
            text.extend_from_slice(Digits::new().of(number, unit));
            self.places[at] = Place { start, length: text.len() - start };
            (copied, line) = (before.start + before.length, at + 1);
        }
        let shift = text.len().wrapping_sub(copied);
        text.extend_from_slice(&self.text[copied..]);
        self.places[line..].iter_mut().for_each(|place| place.start = place.start.wrapping_add(shift));
        self.text = text;
    }
}

/// The numbers of the lines of a series, in the order of the families.
#[derive(Clone, Debug)]
pub struct Cells(Vec<Vec<Cell>>);

impl Cells {
    /// Of these families.
    pub fn of(families: &[Family]) -> Cells {
        Cells(families.iter().map(|family| family.lines.iter().map(|line| line.cell).collect()).collect())
    }

    /// How many there are.
    pub fn width(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Puts those of a series behind the others.
    pub fn read(&self, value: &Value, numbers: &mut Vec<i64>) {
        for family in &self.0 {
            let mut steps = 0;
            numbers.extend(family.iter().map(|cell| number(value, *cell, &mut steps)));
        }
    }
}

impl Cell {
    fn unit(self) -> Unit {
        match self {
            Cell::Seconds(_) => Unit::Micros,
            _ => Unit::Whole,
        }
    }
}

/// Within 64 bits with their sign, as all that is stored.
fn number(value: &Value, cell: Cell, steps: &mut i64) -> i64 {
    match cell {
        Cell::Counter(index) => value.counter(index) as i64,
        Cell::Step(index) => {
            *steps = steps.saturating_add(value.counter(index) as i64);
            *steps
        }
        Cell::Steps => *steps,
        Cell::Count(index) => value.measure(index).map_or(0, |measure| measure.n as i64),
        Cell::Sum(index) | Cell::Seconds(index) => value.measure(index).map_or(0, |measure| measure.sum),
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

    /// A scrape: which series there are is told anew where it changed.
    fn said(exposition: &mut Exposition, kept: &mut Vec<String>, series: &[(&str, &Value)]) -> String {
        let labels: Vec<&str> = series.iter().map(|(labels, _)| *labels).collect();
        if *kept != labels {
            exposition.keep(&labels);
            *kept = labels.iter().map(ToString::to_string).collect();
        }
        let (cells, mut numbers) = (Cells::of(&exposition.families), Vec::new());
        series.iter().for_each(|(_, value)| cells.read(value, &mut numbers));
        String::from_utf8(exposition.text(&numbers).to_vec()).unwrap()
    }

    fn all_cells() -> Vec<Family> {
        vec![
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
        ]
    }

    #[test]
    fn lines_stand_by_family_and_then_by_series() {
        let (mut exposition, mut kept) = (Exposition::new(all_cells()), Vec::new());
        let (one, two) = (value(&[3, 5, 4], &[1_500_000, 250]), value(&[], &[]));
        let text = said(&mut exposition, &mut kept, &[("task=\"a\"", &one), ("", &two)]);
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
        assert_eq!(said(&mut exposition, &mut kept, &[("task=\"a\"", &one), ("", &two)]), expected);
    }

    #[test]
    fn a_series_that_is_gone_leaves_nothing_behind() {
        let counter = family("n_total", "counter", &[("", "", Cell::Counter(0))]);
        let (mut exposition, mut kept) = (Exposition::new(vec![counter]), Vec::new());
        let one = value(&[1], &[]);
        said(&mut exposition, &mut kept, &[("a=\"1\"", &one), ("a=\"2\"", &one)]);
        let text = said(&mut exposition, &mut kept, &[("a=\"2\"", &one)]);
        assert!(!text.contains("a=\"1\""));
        let swapped = said(&mut exposition, &mut kept, &[("a=\"3\"", &one), ("a=\"2\"", &value(&[7], &[]))]);
        assert!(swapped.ends_with("n_total{a=\"3\"} 1\nn_total{a=\"2\"} 7\n"), "{swapped}");
        assert_eq!(said(&mut exposition, &mut kept, &[]), "# HELP n_total Help.\n# TYPE n_total counter\n");
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

    /// Numbers that stay, grow by little, or are others, so that their texts keep their length or not.
    fn any_number() -> impl Strategy<Value = i64> {
        prop_oneof![Just(0_i64), 0_i64..12, 95_i64..105, any::<u32>().prop_map(i64::from)]
    }

    proptest! {
        #[test]
        fn what_is_kept_changes_nothing_of_the_text(
            scrapes in prop::collection::vec(prop::collection::vec(prop::collection::vec(any_number(), 4), 3), 1..8),
        ) {
            let places = ["task=\"a\"", "", "task=\"b\""];
            let (mut exposition, mut kept) = (Exposition::new(all_cells()), Vec::new());
            for scrape in scrapes {
                let values: Vec<Value> = scrape
                    .iter()
                    .map(|numbers| value(&numbers[..3].iter().map(|number| *number as u64).collect::<Vec<_>>(), &numbers[3..]))
                    .collect();
                let series: Vec<(&str, &Value)> = places.into_iter().zip(&values).collect();
                let anew = said(&mut Exposition::new(all_cells()), &mut Vec::new(), &series);
                prop_assert_eq!(said(&mut exposition, &mut kept, &series), anew);
            }
        }
    }
}
