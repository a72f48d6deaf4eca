//! Records to deltas per series.

mod batch;

pub use self::batch::{Batch, Row};
