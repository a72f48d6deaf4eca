//! The test vectors of `docs/journal-format.md`, for tests.

const PAGE: &str = include_str!("../../../../docs/journal-format.md");

/// The bytes of a vector: those of its line, or of the lines of its parts (`NAME.0`, `NAME.1`, ...) one behind the other.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    let (_, vectors) = PAGE.split_once("## 7. Test vectors").unwrap();
    let of_name = |word: &str| word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let lines = vectors.lines().filter_map(|line| line.split_once(' ')).filter(|(word, _)| of_name(word));
    lines.flat_map(|(_, digits)| bytes(digits.trim())).collect()
}

/// That a vector is what was made; else fails with the lines that the page should have.
pub(crate) fn assert_vector(name: &str, made: &[u8]) {
    let line = |(part, bytes): (usize, &[u8])| {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("{name}.{part} {digits}\n")
    };
    assert!(vector(name) == made, "{name} should be\n{}", made.chunks(64).enumerate().map(line).collect::<String>());
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
