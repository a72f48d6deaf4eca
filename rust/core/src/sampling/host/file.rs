//! A file of the kernel that is kept open, since opening costs more than reading most of them.

use std::fs::File;
use std::path::PathBuf;

use super::super::root::{Root, malformed, reason};
use crate::journal::Descriptor;
use crate::recorder::fork::generation;

/// The kernel prints tables record by record into one page and hands out what fits. A part that leaves room for more than a record is
/// the last one.
const PART: usize = 4096;
const RECORD: usize = 512;

/// One buffer for all files of a sample.
pub type Buffer = Vec<u8>;

/// How the kernel hands a file out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As a whole, if the buffer is large enough: `stat`, `meminfo`, `loadavg`.
    Whole,
    /// In parts of a page: `diskstats`, `net/dev`, `vmstat`.
    Table,
}

/// A path, open after its first reading; opened again after a fork and after a reading that failed.
#[derive(Debug)]
pub struct KeptFile {
    shown: &'static str,
    path: PathBuf,
    shape: Shape,
    file: Option<Descriptor>,
    process: u64,
}

impl KeptFile {
    /// Opens nothing yet.
    pub fn new(root: &Root, path: &'static str, shape: Shape) -> KeptFile {
        KeptFile { shown: path, path: root.path(path), shape, file: None, process: generation() }
    }

    /// The content, by one system call where the file is open and short enough; or why there is none.
    pub fn read<'b>(&mut self, buffer: &'b mut Buffer) -> Result<&'b [u8], String> {
        if self.process != generation() {
            self.process = generation();
            self.file = None;
        }
        let length = match self.file.as_ref().and_then(|file| self.whole(file, buffer)) {
            Some(length) => length,
            None => {
                self.file = None;
                let file = File::open(&self.path).and_then(Descriptor::keep);
                let file = self.file.insert(file.map_err(|error| reason(self.shown, &error))?);
                let length = whole(file, self.shape, buffer);
                length.ok_or_else(|| format!("{}: cannot be read", self.shown))?
            }
        };
        Ok(&buffer[..length])
    }

    /// Says that the content makes no sense, and has the file opened again next time.
    pub fn malformed(&mut self) -> String {
        self.file = None;
        malformed(self.shown)
    }

    fn whole(&self, file: &Descriptor, buffer: &mut Buffer) -> Option<usize> {
        // Empty is what a file shows whose subject is gone.
        whole(file, self.shape, buffer).filter(|length| *length > 0)
    }
}

fn whole(file: &Descriptor, shape: Shape, buffer: &mut Buffer) -> Option<usize> {
    let mut length = 0;
    loop {
        if buffer.len() < length + PART {
            buffer.resize((2 * buffer.len()).max(4 * PART), 0);
        }
        let part = file.read_at(&mut buffer[length..], length as u64)?;
        let full = length + part == buffer.len();
        length += part;
        match shape {
            Shape::Whole if !full => return Some(length),
            // Read anew into a larger buffer: what is printed later belongs to another moment.
            Shape::Whole => length = 0,
            Shape::Table if part < PART - RECORD => return Some(length),
            Shape::Table => {}
        }
        if full {
            buffer.resize(2 * buffer.len(), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::journal::scratch::Scratch;

    #[test]
    fn a_file_is_read_whole_whatever_its_length_and_shape() {
        let tree = Scratch::directory();
        let root = Root::at(tree.path());
        for length in [0, 1, PART - RECORD - 1, PART - RECORD, PART, 5 * PART, 100_000] {
            let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            fs::write(tree.path().join("file"), &content).unwrap();
            for shape in [Shape::Whole, Shape::Table] {
                let (mut kept, mut buffer) = (KeptFile::new(&root, "file", shape), Buffer::new());
                for _ in 0..2 {
                    assert_eq!(kept.read(&mut buffer).unwrap(), content, "{shape:?} {length}");
                }
            }
        }
    }

    #[test]
    fn what_changes_is_read_anew_and_what_is_replaced_is_opened_again_when_it_is_empty() {
        let tree = Scratch::directory();
        let file = tree.path().join("file");
        let (mut kept, mut buffer) = (KeptFile::new(&Root::at(tree.path()), "file", Shape::Whole), Buffer::new());
        assert_eq!(kept.read(&mut buffer), Err("file: no such file".into()));
        fs::write(&file, "one").unwrap();
        assert_eq!(kept.read(&mut buffer).unwrap(), b"one");
        fs::write(&file, "two").unwrap();
        assert_eq!(kept.read(&mut buffer).unwrap(), b"two");
        fs::write(&file, "").unwrap();
        fs::rename(&file, tree.path().join("old")).unwrap();
        fs::write(&file, "three").unwrap();
        assert_eq!(kept.read(&mut buffer).unwrap(), b"three");
    }

    #[test]
    fn a_child_opens_a_file_of_its_own() {
        let tree = Scratch::directory();
        fs::write(tree.path().join("file"), "one").unwrap();
        let (mut kept, mut buffer) = (KeptFile::new(&Root::at(tree.path()), "file", Shape::Whole), Buffer::new());
        kept.read(&mut buffer).unwrap();
        fs::rename(tree.path().join("file"), tree.path().join("old")).unwrap();
        fs::write(tree.path().join("file"), "child").unwrap();
        assert_eq!(kept.read(&mut buffer).unwrap(), b"one");
        kept.process += 1; // as after a fork
        assert_eq!(kept.read(&mut buffer).unwrap(), b"child");
    }
}
