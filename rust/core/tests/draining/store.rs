//! The store that a driver must behave like: numbers and mark together, compare and set.

use std::collections::BTreeMap;

use queue_metrics_core::fold::Batch;
use queue_metrics_core::value::Value;

/// Series, step, bucket.
pub type Key = (Vec<u8>, u32, i64);

#[derive(Clone, Debug, Default)]
pub struct Store {
    pub sequence: u64,
    pub positions: Vec<u8>,
    pub values: BTreeMap<Key, Value>,
}

impl Store {
    /// Adds a batch if it was made for the mark of this store.
    pub fn apply(&mut self, batch: &Batch) -> bool {
        if batch.sequence != self.sequence + 1 || batch.base != self.positions {
            return false;
        }
        for row in &batch.rows {
            let value = Value::decode(&row.value).unwrap();
            let known = self.values.entry((row.labels.to_vec(), row.step, row.bucket)).or_default();
            *known = known.merge(&value).unwrap();
        }
        self.sequence = batch.sequence;
        self.positions = batch.positions.clone();
        true
    }
}
