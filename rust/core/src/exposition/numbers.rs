//! Numbers as Prometheus reads them. Knows no lines.

/// How a number is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    Whole,
    /// µs, as seconds.
    Micros,
}

fn integer(text: &mut Vec<u8>, number: impl itoa::Integer) {
    text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Room for the text of a number.
pub(super) struct Digits {
    whole: itoa::Buffer,
    text: [u8; 32],
}

impl Digits {
    pub(super) fn new() -> Digits {
        Digits { whole: itoa::Buffer::new(), text: [0; 32] }
    }

    /// The text of a number.
    pub(super) fn of(&mut self, number: i64, unit: Unit) -> &[u8] {
        match unit {
            Unit::Whole => self.whole.format(number).as_bytes(),
            Unit::Micros => self.seconds(number),
        }
    }

    /// µs as seconds without rounding: a sum of years still tells its last µs, which a double would not.
    fn seconds(&mut self, micros: i64) -> &[u8] {
        let mut length = 0;
        let mut put = |part: &[u8]| {
            self.text[length..][..part.len()].copy_from_slice(part);
            length += part.len();
        };
        if micros < 0 {
            put(b"-");
        }
        let micros = micros.unsigned_abs();
        put(self.whole.format(micros / 1_000_000).as_bytes());
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
            put(&digits[..kept]);
        }
        &self.text[..length]
    }
}

/// The shortest text that reads back as this number.
pub(super) fn float(text: &mut Vec<u8>, number: f64) {
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

    proptest! {
        #[test]
        fn seconds_are_exact(micros in any::<i64>()) {
            let text = String::from_utf8(Digits::new().seconds(micros).to_vec()).unwrap();
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
