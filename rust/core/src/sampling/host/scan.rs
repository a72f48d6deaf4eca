//! A cursor over the kernel's tables: one pass, no allocation, no `str`.

use super::super::text::decimal;

/// Digits of a number that may not fit into 64 bits.
const TOO_LONG: usize = 20;

/// The unread rest of a text.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'t> {
    rest: &'t [u8],
}

impl<'t> Scan<'t> {
    /// The whole text.
    pub fn new(text: &'t [u8]) -> Scan<'t> {
        Scan { rest: text }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Steps over so many bytes, at most to the end.
    #[inline]
    pub fn advance(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// The unread rest itself.
    pub fn peek(&self) -> &'t [u8] {
        self.rest
    }

    /// Steps over a prefix, if the rest begins with it.
    #[inline]
    pub fn skip(&mut self, prefix: &[u8]) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The next number of this line. None, and nothing but blanks is stepped over, when something else or the end of the line follows.
    /// A number that the text ends in is not whole and hence none.
    #[inline]
    pub fn number(&mut self) -> Option<u64> {
        self.blanks();
        let mut value = 0_u64;
        let mut length = 0;
        let end = loop {
            let byte = *self.rest.get(length)?;
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break byte;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            length += 1;
        };
        if length == 0 || !matches!(end, b' ' | b'\n' | b'\t' | b'.' | b'/') {
            return None;
        }
        let (digits, rest) = self.rest.split_at(length);
        if length >= TOO_LONG {
            value = decimal(digits)?;
        }
        self.rest = rest;
        Some(value)
    }

    /// The next `N` numbers of this line.
    #[inline]
    pub fn numbers<const N: usize>(&mut self) -> Option<[u64; N]> {
        let mut values = [0; N];
        for value in &mut values {
            *value = self.number()?;
        }
        Some(values)
    }

    /// The next word of this line, up to a blank or the end of the line.
    #[inline]
    pub fn word(&mut self) -> Option<&'t [u8]> {
        self.blanks();
        let length = self.rest.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\n'))?;
        let (word, rest) = self.rest.split_at(length);
        self.rest = rest;
        (length > 0).then_some(word)
    }

    /// The rest of this line without its line feed; steps to the next line. None when the text ends before the line does.
    #[inline]
    pub fn line(&mut self) -> Option<&'t [u8]> {
        let length = line_feed(self.rest)?;
        let line = &self.rest[..length];
        self.rest = &self.rest[length + 1..];
        Some(line)
    }

    /// Steps over blanks.
    #[inline]
    pub fn blanks(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}

/// Where the first line feed is, eight bytes at a time: the line of interrupts in `/proc/stat` is as long as all others together.
/// Source of the trick: A. Mycroft's test for a zero byte in a word.
fn line_feed(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(eight) = text.get(at..at + 8).and_then(|eight| <[u8; 8]>::try_from(eight).ok()) {
        let word = u64::from_le_bytes(eight) ^ (ONES * u64::from(b'\n'));
        let found = word.wrapping_sub(ONES) & !word & HIGHS;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    text[at..].iter().position(|byte| *byte == b'\n').map(|behind| at + behind)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_end_at_blanks_and_never_reach_into_the_next_line() {
        let mut scan = Scan::new(b"cpu  12\t7 x 9\n5\n");
        assert!(scan.skip(b"cpu") && !scan.skip(b"cpu"));
        assert_eq!(scan.numbers::<2>(), Some([12, 7]));
        assert_eq!(scan.number(), None);
        assert_eq!(scan.word(), Some(&b"x"[..]));
        assert_eq!((scan.number(), scan.number()), (Some(9), None));
        assert_eq!(scan.line(), Some(&b""[..]));
        assert_eq!((scan.number(), scan.line(), scan.is_empty()), (Some(5), Some(&b""[..]), true));
    }

    #[test]
    fn what_was_cut_off_and_what_is_too_large_is_no_number() {
        assert_eq!(Scan::new(b"123").number(), None);
        assert_eq!(Scan::new(b"18446744073709551615\n").number(), Some(u64::MAX));
        assert_eq!(Scan::new(b"18446744073709551616\n").number(), None);
        assert_eq!(Scan::new(b"000000000000000000000007\n").number(), Some(7));
        assert_eq!(Scan::new(b"12kB\n").number(), None);
        assert_eq!(Scan::new(b"no end").line(), None);
        assert_eq!(Scan::new(b"end").word(), None);
    }

    proptest! {
        #[test]
        fn the_first_line_feed_is_found_like_byte_by_byte(text in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..64)) {
            prop_assert_eq!(line_feed(&text), text.iter().position(|byte| *byte == b'\n'));
        }

        #[test]
        fn every_number_is_read_back(values: [u64; 3]) {
            let text = format!("{} {}  {}\n", values[0], values[1], values[2]);
            prop_assert_eq!(Scan::new(text.as_bytes()).numbers::<3>(), Some(values));
        }
    }
}
