//! One decoder a file.

mod heartbeat;
mod names;
mod page;
mod segment;
mod spool;
mod value;

use crate::memory;

/// A decoder and what it must do.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Longest input that makes sense.
    pub longest: usize,
    /// Memory that any input may take...
    pub bytes: usize,
    /// ...and for each of its bytes.
    pub bytes_each: usize,
    run: fn(&[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
}

impl Target {
    /// Gives any bytes to the decoder.
    ///
    /// # Panics
    /// When a promise is broken.
    pub fn run(&self, input: &[u8]) {
        memory::within(self.bytes + self.bytes_each * input.len(), || (self.run)(input));
    }

    /// Inputs of a real writer.
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        (self.seeds)()
    }
}

/// All decoders.
pub const TARGETS: [Target; 6] =
    [segment::TARGET, page::TARGET, heartbeat::TARGET, value::TARGET, names::TARGET, spool::TARGET];

/// A decoder by its name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
