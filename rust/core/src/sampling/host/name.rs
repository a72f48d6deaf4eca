//! The name of a disk or an interface, kept in place: a table of them is read without an allocation.

use std::fmt;

/// The kernel's longest: 31 bytes for a disk (`DISK_NAME_LEN`), 15 for an interface (`IFNAMSIZ`).
const LONGEST: usize = 31;

/// A short name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    length: u8,
    bytes: [u8; LONGEST],
}

impl Name {
    /// The name in these bytes; None when there are none or too many.
    pub fn new(name: &[u8]) -> Option<Name> {
        let mut bytes = [0; LONGEST];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        (!name.is_empty()).then_some(Name { length: name.len() as u8, bytes })
    }

    /// The same of a name of any length, cut where it is too long; interfaces of Windows have names like sentences.
    pub fn cut(name: &str) -> Option<Name> {
        Name::new(&name.as_bytes()[..name.floor_char_boundary(LONGEST)])
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_or_none() {
        assert_eq!(Name::new(b"nvme0n1").unwrap().to_string(), "nvme0n1");
        assert_eq!(Name::new(&[b'x'; LONGEST]).unwrap().as_bytes().len(), LONGEST);
        assert_eq!((Name::new(b""), Name::new(&[b'x'; LONGEST + 1])), (None, None));
        assert_eq!(Name::cut(&"é".repeat(20)).unwrap().to_string(), "é".repeat(15));
        assert_ne!(Name::new(b"sda"), Name::new(b"sda1"));
    }
}
