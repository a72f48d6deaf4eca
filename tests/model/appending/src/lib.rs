//! A model of the map way of `docs/journal-format.md`: append, seal, tombstone, drain and delete, one atomic step at a time.
//!
//! Writers share the first segment, as after a fork; each next one is of the writer that made it. Nothing here depends on a
//! lock, a pid or a time: a drainer may take any writer for dead at any moment, the worst that a wrong hint can do.
//! Memory is sequentially consistent; what a weaker order of the commit would do is [`Rules::payload_first`] broken.

pub mod drain;
pub mod explore;
pub mod state;
pub mod write;

pub use explore::{Found, explore};
pub use state::{Rules, World};
