//! The journal: segments of fixed-size records that survive `kill -9` and fork.

pub mod format;
mod header;
pub mod read;
mod record;
