//! `queue_metrics._core`: the only place that knows both Rust and Python. Nothing here has logic of its own to test.

mod batch;
mod errors;
mod value;

use pyo3::prelude::*;

#[pymodule]
mod _core {
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_export]
    use crate::batch::{Batch, Row};
    #[pymodule_export]
    use crate::value::{Value, add_fields, merge_values};
}
