//! Room on a file system, whoever tells it.

/// What a file system answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Its size, bytes.
    pub total: u64,
    /// What an ordinary user can still write, bytes.
    pub available: u64,
    /// In no use, bytes; a part may be kept for root. None where a source does not tell.
    pub free: Option<u64>,
    /// Inodes, and those in no use. None where a source does not tell, or the file system makes them as it needs them.
    pub inodes: Option<(u64, u64)>,
}

impl Space {
    /// Total − free, bytes.
    pub fn used(&self) -> Option<u64> {
        Some(self.total.saturating_sub(self.free?))
    }

    /// Used ÷ (used + available), as df(1) and psutil have it: at 1 an ordinary user can write no more. None for a size of 0.
    pub fn usage(&self) -> Option<f64> {
        let used = self.used()?;
        let whole = used + self.available;
        (whole > 0).then(|| used as f64 / whole as f64)
    }
}
