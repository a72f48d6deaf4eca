//! Stored values for Python.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use queue_metrics_core::stats::quantiles::check_qs;
use queue_metrics_core::value::{self as core, Field, Parts};

use crate::errors::{raised, refused};
use crate::stats::quantiles_of;

/// A stored value, decoded.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct Value(pub(crate) core::Value);

/// Index and numbers of each entry of a mapping, which need not be a dict.
fn entries<T>(mapping: Option<Bound<'_, PyAny>>) -> PyResult<Vec<(usize, Vec<T>)>>
where
    T: for<'a, 'py> FromPyObject<'a, 'py>,
{
    let Some(mapping) = mapping else { return Ok(Vec::new()) };
    mapping.call_method0("items")?.try_iter()?.map(|item| item?.extract()).collect()
}

#[pymethods]
impl Value {
    #[new]
    fn new() -> Value {
        Value(core::Value::default())
    }

    #[staticmethod]
    fn decode(data: &[u8]) -> PyResult<Value> {
        core::Value::decode(data).map(Value).map_err(raised)
    }

    #[staticmethod]
    #[pyo3(signature = (counters = Vec::new(), measures = None, gauges = None, scale = 5))]
    fn from_parts(
        counters: Vec<u64>,
        measures: Option<Bound<'_, PyAny>>,
        gauges: Option<Bound<'_, PyAny>>,
        scale: u8,
    ) -> PyResult<Value> {
        let parts = Parts { counters, measures: entries(measures)?, gauges: entries(gauges)?, scale };
        parts.value().map(Value).map_err(raised)
    }

    #[staticmethod]
    fn from_fields(fields: Bound<'_, PyAny>) -> PyResult<Value> {
        let mut known = Vec::new();
        for item in fields.call_method0("items")?.try_iter()? {
            let (name, number): (String, Bound<'_, PyAny>) = item?.extract()?;
            if let Some(field) = Field::parse(&name) {
                known.push((field, number.extract()?));
            }
        }
        core::Value::from_fields(known).map(Value).map_err(raised)
    }

    fn fields(&self) -> HashMap<String, i64> {
        self.0.fields().into_iter().map(|(field, number)| (field.name(), number)).collect()
    }

    fn encode<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.encode())
    }

    fn merge(&self, other: &Value) -> PyResult<Value> {
        self.0.merge(&other.0).map(Value).map_err(raised)
    }

    fn counter(&self, index: usize) -> u64 {
        self.0.counter(index)
    }

    fn measure(&self, index: usize) -> Option<(u64, i64, Option<i64>, Option<i64>)> {
        let measure = self.0.measure(index)?;
        Some((measure.n, measure.sum, measure.range.map(|range| range.0), measure.range.map(|range| range.1)))
    }

    fn gauge(&self, index: usize) -> Option<(u64, i64, i64, i64, i64, i64)> {
        let gauge = self.0.gauge(index)?;
        Some((gauge.n, gauge.sum, gauge.min, gauge.max, gauge.last, gauge.last_at))
    }

    fn quantiles(&self, index: usize, qs: &Bound<'_, PyAny>) -> PyResult<Option<Vec<f64>>> {
        let qs = quantiles_of(qs)?;
        check_qs(&qs).map_err(refused)?;
        Ok(self.0.quantiles(index, &qs))
    }

    #[allow(clippy::type_complexity)] // the shape that `_core.pyi` promises
    fn sketch(&self, index: usize) -> Option<(u8, bool, u64, Vec<(i32, u64)>)> {
        let sketch = self.0.sketch(index)?;
        Some((sketch.scale(), sketch.collapsed(), sketch.zeros(), sketch.buckets().to_vec()))
    }

    fn deviation(&self, index: usize) -> Option<f64> {
        self.0.sketch(index)?.deviation()
    }

    fn __eq__(&self, other: &Value) -> bool {
        self.0 == other.0
    }

    fn __repr__(&self) -> String {
        format!("Value({:?})", self.0)
    }
}

#[pyfunction]
pub fn merge_values<'py>(py: Python<'py>, first: &[u8], second: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    core::merge_values(first, second).map(|bytes| PyBytes::new(py, &bytes)).map_err(raised)
}

#[pyfunction]
pub fn add_fields<'py>(py: Python<'py>, total: &[u8], value: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    core::add_fields(total, value).map(|bytes| PyBytes::new(py, &bytes)).map_err(raised)
}
