//! The journal: segments of fixed-size records that survive `kill -9` and fork.

mod descriptor;
pub mod dropped;
pub mod format;
mod header;
pub mod random;
pub mod read;
mod record;
#[cfg(test)]
pub(crate) mod scratch;
pub mod segment;
pub mod spool;
pub mod writer;

pub use descriptor::Descriptor;
