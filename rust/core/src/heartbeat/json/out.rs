//! Pieces of JSON put into room that was measured before: texts, numbers, moments. Knows no heartbeat.

/// The first moment of the year 1, µs, and how many there are to the end of the year 9999: no calendar of Python goes further.
const FIRST: i64 = -62_135_596_800_000_000;
const SPAN: u64 = 315_537_897_600_000_000;
pub(super) const MILLION: u64 = 1_000_000;
const DAY: u64 = 86_400;
/// Bytes that a byte of a text takes at most, as `\u001f`.
pub(super) const WIDEST: usize = 6;
const EIGHT_DIGITS: u64 = 100_000_000;

/// The room that is left behind what was put. It was measured before, so nothing grows on the way; it is handed on in registers,
/// since a place in memory that each piece reads and writes would be what all of them wait for.
pub(super) struct Out<'a>(pub(super) &'a mut [u8]);

impl<'a> Out<'a> {
    #[inline]
    pub(super) fn put<const N: usize>(self, piece: &[u8; N]) -> Self {
        let (place, rest) = self.0.split_at_mut(N);
        place.copy_from_slice(piece);
        Out(rest)
    }

    /// A number as it is: pairs of digits behind one or two.
    pub(super) fn whole(self, number: u64) -> Self {
        let [first, second, third, fourth] = match number {
            0..100 => return self.leading(number),
            100..10_000 => return self.leading(number / 100).put(pair(number % 100)),
            10_000..1_000_000 => {
                let [first, second, third] = three_pairs(number as u32);
                return self.leading(first).put(pair(second)).put(pair(third));
            }
            1_000_000..EIGHT_DIGITS => four_pairs(number as u32),
            _ => {
                let [first, second, third, fourth] = four_pairs((number % EIGHT_DIGITS) as u32).map(pair);
                return self.whole(number / EIGHT_DIGITS).put(first).put(second).put(third).put(fourth);
            }
        };
        self.leading(first).put(pair(second)).put(pair(third)).put(pair(fourth))
    }

    /// A number below 100.
    #[inline]
    fn leading(self, number: u64) -> Self {
        let [tens, ones] = *pair(number);
        let single = number < 10;
        self.0[..2].copy_from_slice(&[if single { ones } else { tens }, ones]);
        Out(&mut self.0[2 - usize::from(single)..])
    }

    pub(super) fn known(self, number: Option<u64>) -> Self {
        match number {
            Some(number) => self.whole(number),
            None => self.put(b"null"),
        }
    }

    /// A number of millionths, with six decimals.
    pub(super) fn millionths(self, value: Option<u64>) -> Self {
        let Some(value) = value else { return self.put(b"null") };
        let [first, second, third] = three_pairs((value % MILLION) as u32).map(pair);
        self.whole(value / MILLION).put(b".").put(first).put(second).put(third)
    }

    /// A moment in UTC as ISO 8601, whole seconds.
    pub(super) fn moment(self, moment: Option<i64>) -> Self {
        // Counted from the first one, so that all that follows is division of positive numbers.
        let since = moment.and_then(|us| u64::try_from(us.checked_sub(FIRST)?).ok()).filter(|us| *us < SPAN);
        let Some(us) = since else { return self.put(b"null") };
        let seconds = us / MILLION;
        let (days, second) = ((seconds / DAY) as u32, (seconds % DAY) as u32);
        let (year, month, day) = date(days);
        let (minute, hour) = (second / 60, second / 3_600);
        let pair = |number: u32| pair(number.into());
        self.put(b"\"")
            .put(pair(year / 100))
            .put(pair(year % 100))
            .put(b"-")
            .put(pair(month))
            .put(b"-")
            .put(pair(day))
            .put(b"T")
            .put(pair(hour))
            .put(b":")
            .put(pair(minute - 60 * hour))
            .put(b":")
            .put(pair(second - 60 * minute))
            .put(b"+00:00\"")
    }

    /// A text; an empty one is unknown.
    pub(super) fn text(self, text: &[u8], plain: bool) -> Self {
        if text.is_empty() {
            return self.put(b"null");
        }
        self.put(b"\"").name(text, plain).put(b"\"")
    }

    /// A text inside of quotes; a plain one has nothing that must be escaped.
    #[inline]
    pub(super) fn name(self, text: &[u8], plain: bool) -> Self {
        if !plain {
            return self.escaped(text);
        }
        let (place, rest) = self.0.split_at_mut(text.len());
        copy(place, text);
        Out(rest)
    }

    /// Only what must be is escaped: quotes, backslashes and control characters (RFC 8259, section 7).
    #[cold]
    fn escaped(self, text: &[u8]) -> Self {
        text.iter().fold(self, |out, byte| match byte {
            b'"' => out.put(b"\\\""),
            b'\\' => out.put(b"\\\\"),
            b'\n' => out.put(b"\\n"),
            b'\t' => out.put(b"\\t"),
            b'\r' => out.put(b"\\r"),
            0..0x20 => {
                let hex = b"0123456789abcdef";
                out.put(b"\\u00").put(&[hex[usize::from(byte >> 4)], hex[usize::from(byte & 15)]])
            }
            _ => out.put(&[*byte]),
        })
    }
}

/// Short texts are copied by their first and last bytes, which overlap; a call would take longer.
#[inline]
fn copy(place: &mut [u8], text: &[u8]) {
    fn ends<const N: usize>(place: &mut [u8], text: &[u8]) -> Option<()> {
        let (first, last) = (text.first_chunk::<N>()?, text.last_chunk::<N>()?);
        *place.first_chunk_mut()? = *first;
        *place.last_chunk_mut()? = *last;
        Some(())
    }
    let done = match text.len() {
        4..8 => ends::<4>(place, text),
        8..=16 => ends::<8>(place, text),
        17..=32 => ends::<16>(place, text),
        33..=64 => ends::<32>(place, text),
        _ => None,
    };
    if done.is_none() {
        place.copy_from_slice(text);
    }
}

/// The date so many days after 0001-01-01, in the Gregorian calendar.
///
/// Source: Neri & Schneider (2023), "Euclidean affine functions and their application to calendar algorithms", figure 12; it counts
/// from 0000-03-01, so that the leap day is the last of a year.
fn date(days: u32) -> (u32, u32, u32) {
    let days = 4 * (days + 306) + 3;
    let (century, of_century) = (days / 146_097, days % 146_097 / 4);
    let years = u64::from(4 * of_century + 3) * 2_939_745; // of 365.25 days, and 2^32 as one
    let (year, of_year) = ((years >> 32) as u32, (years as u32) / 2_939_745 / 4);
    let months = 2_141 * of_year + 197_913; // of 30.6 days, and 2^16 as one
    let (month, day) = (months >> 16, (months & 0xffff) / 2_141);
    let next = u32::from(of_year >= 306);
    (100 * century + year + next, month - 12 * next, day + 1)
}

/// The two digits of a number below 100. There are 128 of them, so that no index must be checked.
#[inline]
fn pair(number: u64) -> &'static [u8; 2] {
    static PAIRS: [[u8; 2]; 128] = {
        let mut pairs = [[0; 2]; 128];
        let mut number = 0;
        while number < 128 {
            pairs[number] = [b'0' + number as u8 / 10 % 10, b'0' + number as u8 % 10];
            number += 1;
        }
        pairs
    };
    &PAIRS[number as usize % 128]
}

/// A number below 10^6 in three parts below 100. As a fraction of 10^4 with 32 bits behind the point its first part stands before the
/// point; what is left, times 100, shows the next. Rounded up, the fraction is too large by less than one of the last part.
#[inline]
fn three_pairs(number: u32) -> [u64; 3] {
    let first = u64::from(number) * (1_u64 << 32).div_ceil(10_000);
    let second = (first & 0xffff_ffff) * 100;
    let third = (second & 0xffff_ffff) * 100;
    [first >> 32, second >> 32, third >> 32]
}

/// A number below 10^8 in four parts below 100.
#[inline]
fn four_pairs(number: u32) -> [u64; 4] {
    let (high, low) = (u64::from(number / 10_000), u64::from(number % 10_000));
    [high / 100, high % 100, low / 100, low % 100]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn put(piece: impl for<'a> FnOnce(Out<'a>) -> Out<'a>) -> String {
        let mut room = [0; 64];
        let length = room.len() - piece(Out(&mut room)).0.len();
        String::from_utf8(room[..length].to_vec()).unwrap()
    }

    #[test]
    fn every_day_of_eight_hundred_years_has_its_date() {
        let leap = |year: u32| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let mut day = 0;
        for year in 1..=2_400 {
            for (month, length) in [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].into_iter().enumerate() {
                for of_month in 1..=length + u32::from(month == 1 && leap(year)) {
                    assert_eq!(date(day), (year, month as u32 + 1, of_month));
                    day += 1;
                }
            }
        }
        assert_eq!(date((SPAN / MILLION / DAY - 1) as u32), (9_999, 12, 31));
    }

    #[test]
    fn moments_outside_of_four_digit_years_are_unknown() {
        let shown = |us: i64| put(|out| out.moment(Some(us)));
        assert_eq!(shown(-62_135_596_800_000_000), "\"0001-01-01T00:00:00+00:00\"");
        assert_eq!(shown(253_402_300_799_999_999), "\"9999-12-31T23:59:59+00:00\"");
        assert_eq!(shown(-1), "\"1969-12-31T23:59:59+00:00\"");
        for outside in [-62_135_596_800_000_001, 253_402_300_800_000_000, i64::MIN, i64::MAX] {
            assert_eq!(shown(outside), "null");
        }
    }

    #[test]
    fn all_six_digits_are_those_of_the_number() {
        for number in 0..MILLION as u32 {
            let [first, second, third] = three_pairs(number);
            assert_eq!(10_000 * first + 100 * second + third, number.into());
        }
    }

    proptest! {
        #[test]
        fn whole_numbers_are_written_as_they_are(number: u64, shift in 0..64) {
            for number in [number, number >> shift, 10_u64.pow(shift as u32 / 4), 10_u64.pow(shift as u32 / 4) - 1] {
                prop_assert_eq!(put(|out| out.whole(number)), number.to_string());
            }
        }

        #[test]
        fn a_copy_is_equal(text in prop::collection::vec(any::<u8>(), 0..70)) {
            let mut place = vec![0; text.len()];
            copy(&mut place, &text);
            prop_assert_eq!(place, text);
        }

        #[test]
        fn a_number_of_millionths_reads_back_as_the_nearest_double(value in 0..1_u64 << 53) {
            let read: f64 = put(|out| out.millionths(Some(value))).parse().unwrap();
            prop_assert_eq!(read, value as f64 / 1e6);
        }
    }
}
