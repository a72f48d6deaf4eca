//! The journal: segments of fixed-size records that survive `kill -9` and fork.

mod checksum;
mod descriptor;
pub mod directory;
pub mod dropped;
pub mod format;
pub mod guard;
mod hazard;
mod header;
mod map;
mod map_segment;
pub mod own;
pub mod place;
pub mod random;
pub mod read;
pub mod repair;
#[cfg(test)]
pub(crate) mod scratch;
pub mod segment;
pub mod spool;
#[cfg(test)]
pub(crate) mod vectors;
pub mod way;
pub mod writer;

pub use descriptor::Descriptor;
pub use hazard::{Seat, Shared, Use};
pub use map::Map;
