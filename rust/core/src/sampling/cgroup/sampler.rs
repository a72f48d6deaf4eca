//! Samples one after the other, and the rates between them.

use std::sync::Arc;

use super::{CgroupRates, CgroupSample, rates, sample};
use crate::sampling::kept::Kept;
use crate::sampling::root::Root;

/// Keeps the last sample; a forked child begins without one. For all threads.
#[derive(Debug)]
pub struct Sampler {
    root: Root,
    last: Kept<CgroupSample>,
}

impl Sampler {
    /// Nothing sampled yet.
    pub fn new(root: Root) -> Sampler {
        Sampler { root, last: Kept::default() }
    }

    /// The group now, and its rates since the sample before; the first one has none.
    pub fn sample(&self) -> (Arc<CgroupSample>, Option<CgroupRates>) {
        let previous = self.last.get();
        let now = self.last.keep(sample(&self.root));
        let rates = previous.and_then(|previous| rates(&previous, &now));
        (now, rates)
    }
}
