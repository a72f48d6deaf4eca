//! `/proc/<pid>/stat`: who a process is, its CPU time in ticks, its threads. Source: proc_pid_stat(5).

use std::borrow::Cow;

/// The fields that are used; times in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Name of the command.
    pub name: Name,
    /// `R` running, `S` sleeping, `D` waiting for a disk, `Z` ended and not reaped, `T` stopped, ...
    pub state: u8,
    /// Pid of the parent.
    pub parent: u32,
    /// CPU time outside the kernel.
    pub user_ticks: u64,
    /// CPU time inside the kernel.
    pub system_ticks: u64,
    /// CPU time outside the kernel of children that ended and were waited for, with theirs.
    pub children_user_ticks: u64,
    /// The same inside the kernel.
    pub children_system_ticks: u64,
    /// Threads.
    pub threads: u64,
    /// Start time since boot.
    pub start_ticks: u64,
    /// Virtual memory, bytes.
    pub virtual_bytes: u64,
}

/// Name of a command: any bytes but NUL, at most 15 of a program and 63 of a kernel thread. Kept inline, so that reading
/// `stat` allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; 64],
    length: u8,
}

impl Name {
    fn of(name: &[u8]) -> Name {
        let mut bytes = [0; 64];
        let length = name.len().min(bytes.len());
        bytes[..length].copy_from_slice(&name[..length]);
        Name { bytes, length: length as u8 }
    }

    /// As text; bytes that are none replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes[..usize::from(self.length)])
    }
}

/// The content of `/proc/<pid>/stat`; None if it is cut off before the last field that is used.
pub fn parse_stat(stat: &[u8]) -> Option<Stat> {
    // The name may hold blanks and brackets: it ends at the last bracket.
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let name = Name::of(stat.get(open + 1..close)?);
    let mut fields = Fields { rest: stat.get(close + 1..)?.strip_prefix(b" ")? };
    let state = match fields.next()? {
        [state] if state.is_ascii_alphabetic() => *state,
        _ => return None,
    };
    let parent = u32::try_from(fields.number()?).ok()?;
    fields.skip(9)?; // to field 14
    let [user_ticks, system_ticks, children_user_ticks, children_system_ticks] =
        [fields.number()?, fields.number()?, fields.number()?, fields.number()?];
    fields.skip(2)?;
    let threads = fields.number()?;
    fields.skip(1)?;
    let (start_ticks, virtual_bytes) = (fields.number()?, fields.number()?);
    Some(Stat {
        name,
        state,
        parent,
        user_ticks,
        system_ticks,
        children_user_ticks,
        children_system_ticks,
        threads,
        start_ticks,
        virtual_bytes,
    })
}

/// Fields that end with a blank: the last one of a text that was cut off is none.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|byte| *byte == b' ')?;
        let (field, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        Some(field)
    }

    /// Over one field or more.
    fn skip(&mut self, count: usize) -> Option<()> {
        let mut blanks = self.rest.iter().enumerate().filter(|(_, byte)| **byte == b' ');
        let (end, _) = blanks.nth(count - 1)?;
        self.rest = &self.rest[end + 1..];
        Some(())
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().enumerate() {
            match byte.wrapping_sub(b'0') {
                digit @ 0..=9 => value = value.checked_mul(10)?.checked_add(u64::from(digit))?,
                _ if *byte == b' ' && index > 0 => {
                    self.rest = &self.rest[index + 1..];
                    return Some(value);
                }
                _ => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REST: &str =
        "S 17 3 4 0 -1 4194304 99 0 1 0 150 50 30 20 20 0 7 0 987654 3133440 412 18446744073709551615 1\n";

    #[test]
    fn fields_stand_behind_any_command_name() {
        for name in [&b"python"[..], b"a b) (c d", b") Z 1 (", b"((sd-pam))", b"", b"\xff\xfe", b"new\nline"] {
            let text = [b"42 (", name, b") ", REST.as_bytes()].concat();
            let expected = Stat {
                name: Name::of(name),
                state: b'S',
                parent: 17,
                user_ticks: 150,
                system_ticks: 50,
                children_user_ticks: 30,
                children_system_ticks: 20,
                threads: 7,
                start_ticks: 987_654,
                virtual_bytes: 3_133_440,
            };
            assert_eq!(parse_stat(&text), Some(expected));
            assert_eq!(expected.name.text(), String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn a_text_that_is_cut_off_anywhere_gives_no_wrong_number() {
        let text = format!("42 (a b) (c d) {REST}");
        let whole = parse_stat(text.as_bytes()).unwrap();
        let enough = text.find(" 412 ").unwrap() + 1; // the blank behind the last field that is used
        for length in 0..text.len() {
            let expected = (length >= enough).then_some(whole);
            assert_eq!(parse_stat(&text.as_bytes()[..length]), expected, "{length} bytes");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(noise: Vec<u8>, tail: String) {
            let _ = parse_stat(&noise);
            let _ = parse_stat(format!("1 (x) S 1 {tail}").as_bytes());
        }
    }
}
