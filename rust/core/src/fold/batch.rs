//! What a drainer hands to the store in one transaction.

use std::sync::Arc;

/// What is to be merged into one series in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Id of the series.
    pub series: u64,
    /// Its label list; the first byte is its kind.
    pub labels: Arc<[u8]>,
    /// Seconds: 60, 3600, 86400, or 0 for the total.
    pub step: u32,
    /// Start of the step, seconds since 1970; 0 for the total.
    pub bucket: i64,
    /// A packed value.
    pub value: Vec<u8>,
}

impl Row {
    /// Kind of the series; 0 when there are no labels.
    pub fn kind(&self) -> u8 {
        self.labels.first().copied().unwrap_or(0)
    }
}

/// Rows, and the mark that holds when they are in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The spool that it comes from.
    pub spool_id: String,
    /// One more than the mark that it expects.
    pub sequence: u64,
    /// Positions of the mark that it expects. The number alone is not enough: it comes again when a store went back.
    pub base: Vec<u8>,
    /// How far the journal is counted with it.
    pub positions: Vec<u8>,
    /// Ordered by series, step and bucket, each once.
    pub rows: Vec<Row>,
    /// How many records were folded into it.
    pub records: u64,
}
