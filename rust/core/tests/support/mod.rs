//! A spool written by hand, a store in memory, and the plain way to count: shared by the tests of draining.

pub mod reference;
pub mod spool;
pub mod store;
