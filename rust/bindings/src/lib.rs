//! `queue_metrics._core`: the only place that knows both Rust and Python. Nothing here has logic of its own to test.

mod batch;
mod buffer;
mod cgroup;
mod columns;
mod constants;
mod drainer;
mod errors;
mod exposition;
mod flow;
mod guard;
mod heartbeat;
mod host;
mod host_tables;
mod line;
mod messages;
mod names;
mod native;
mod process;
mod recorder;
mod robust;
mod rules;
mod series;
mod sketch;
mod stats;
mod telling;
mod text;
mod track;
mod tracked;
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
    use crate::drainer::{Drainer, admitted_names};
    #[pymodule_export]
    use crate::exposition::{Exposition, Totals, exposition_family};
    #[pymodule_export]
    use crate::heartbeat::{decode_heartbeat, heartbeat_json};
    #[pymodule_export]
    use crate::names::{clock_us, file_system, hash64, job_hash, journal_way, label_list, parse_label_list, series_id};
    #[pymodule_export]
    use crate::recorder::Recorder;
    #[pymodule_export]
    use crate::telling::{listen, listen_no_more};
    #[pymodule_export]
    use crate::track::Track;
    #[pymodule_export]
    use crate::tracked::{Tracked, method};

    #[pymodule_export]
    use crate::columns::{columns, intervals, row_columns};
    #[pymodule_export]
    use crate::messages::{Messages, read_stamp};
    #[pymodule_export]
    use crate::value::{Value, add_fields, merge_values};

    #[pymodule_export]
    use crate::cgroup::CgroupSampler;
    #[pymodule_export]
    use crate::flow::{Flow, Rate, balance, variation};
    #[pymodule_export]
    use crate::host::HostSampler;
    #[pymodule_export]
    use crate::line::{Fit, SlidingFit, fit, fit_counted};
    #[pymodule_export]
    use crate::process::{HotSample, ProcessSampler, ProcessWatch, process_sample, usage_of};
    #[pymodule_export]
    const MAD_TO_DEVIATION: f64 = queue_metrics_core::stats::robust::MAD_TO_DEVIATION;
    #[pymodule_export]
    use crate::robust::{Ewma, TheilSen, theil_sen};
    #[pymodule_export]
    use crate::robust::{autocorrelation, autocorrelations, dispersion_index, effective_size};
    #[pymodule_export]
    use crate::robust::{median, median_and_mad, spread, weighted_median, wilson_interval};
    #[pymodule_export]
    use crate::series::Series;
    #[pymodule_export]
    use crate::sketch::Sketch;
    #[pymodule_export]
    use crate::stats::{Moments, quantiles_linear, quantiles_nearest_rank};
    #[pymodule_export]
    use crate::stats::{normal_cdf, normal_quantile, student_t_cdf, student_t_quantile};

    #[pymodule_init]
    fn init(module: &super::Bound<'_, super::PyModule>) -> super::PyResult<()> {
        use pyo3::types::PyModuleMethods;
        module.add("Method", crate::native::method_type(module.py())?)?;
        crate::native::values::know_small_integers(module.py());
        crate::recorder::add_methods(module.py())?;
        crate::constants::add(module)
    }
}
