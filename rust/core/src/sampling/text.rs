//! Numbers and lines in the kernel's text, as bytes: a `str` and its searcher take three times as long.

/// A number of digits only; None for anything else and beyond 64 bits.
pub fn decimal(digits: &[u8]) -> Option<u64> {
    let value = digits.iter().try_fold(0_u64, |value, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })?;
    (!digits.is_empty()).then_some(value)
}

/// The lines of a text; a line that the text was cut in is left out.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// The words of a line, between blanks and tabs.
pub fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty())
}

/// The number behind a key in lines of `key number` (`cpu.stat`, `memory.stat`, `memory.events`).
pub fn keyed(text: &[u8], key: &str) -> Option<u64> {
    lines(text).find_map(|line| {
        let mut words = words(line);
        (words.next() == Some(key.as_bytes())).then(|| decimal(words.next()?))?
    })
}

/// A file that holds nothing but a number and a line feed.
pub fn single(text: &[u8]) -> Option<u64> {
    decimal(text.strip_suffix(b"\n")?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for other in [&b"18446744073709551616"[..], b"", b"-1", b"1 ", b"0x1", b"max"] {
            assert_eq!(decimal(other), None);
        }
        assert_eq!(single(b"4096\n"), Some(4096));
        assert_eq!(single(b"40"), None, "cut off: the rest of the number is missing");
    }

    #[test]
    fn a_key_is_found_whole_and_in_whole_lines_only() {
        let text = b"usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_throttled 12";
        assert_eq!(keyed(text, "user_usec"), Some(3));
        assert_eq!(keyed(text, "user"), None);
        assert_eq!(keyed(text, "nr_throttled"), None);
        assert_eq!(keyed(b"", "user_usec"), None);
    }

    proptest! {
        #[test]
        fn every_number_is_read_back(value: u64) {
            prop_assert_eq!(decimal(value.to_string().as_bytes()), Some(value));
            prop_assert_eq!(keyed(format!("a 1\nkey {value}\n").as_bytes(), "key"), Some(value));
        }

        #[test]
        fn any_bytes_are_read(noise: Vec<u8>) {
            let _ = (decimal(&noise), keyed(&noise, "key"), single(&noise), lines(&noise).flat_map(words).count());
        }
    }
}
