//! Columns of stored values and rows for Python, and the intervals of a series.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use queue_metrics_core::stats::intervals as by_time;
use queue_metrics_core::{rows, value as core};

use crate::buffer::Values;
use crate::errors::{raised, refused};
use crate::series::Series;

/// The numbers of these names, or the sums of several, in each of the packed values.
#[pyfunction]
#[pyo3(signature = (values, names, /))]
pub fn columns(values: Vec<PyBackedBytes>, names: Vec<String>) -> PyResult<Vec<Series>> {
    let unknown = |name: &str| PyValueError::new_err(format!("{name:?} names no number of a value: c7, m0s, g0last"));
    let wanted: PyResult<Vec<core::Column>> = names
        .iter()
        .flat_map(|name| name.split('+'))
        .map(|name| core::Column::parse(name).ok_or_else(|| unknown(name)))
        .collect();
    let found = core::columns(values.iter().map(|value| &**value), &wanted?).map_err(raised)?;
    let mut parts = found.into_iter();
    let sums = names.iter().map(|name| {
        let mut sum = parts.next().unwrap_or_default();
        for part in parts.by_ref().take(name.matches('+').count()) {
            sum.iter_mut().zip(part).for_each(|(sum, number)| *sum += number);
        }
        Series::from(sum)
    });
    Ok(sums.collect())
}

/// The first numbers of rows of text, a column each.
#[pyfunction]
#[pyo3(signature = (rows, width, /))]
pub fn row_columns(rows: Vec<PyBackedStr>, width: usize) -> Vec<Series> {
    rows::columns(rows.iter().map(|row| &**row), width).into_iter().map(Series::from).collect()
}

/// Places, counts and sums of the intervals of a series, and the index of the last number of each.
type Intervals = (Series, Series, Series, Series);

/// A series in intervals of time.
#[pyfunction]
#[pyo3(signature = (times, values, origin, length, /))]
pub fn intervals(times: Values<'_>, values: Values<'_>, origin: f64, length: f64) -> PyResult<Intervals> {
    let found = by_time::intervals(times.as_slice(), values.as_slice(), origin, length).map_err(refused)?;
    let column = |number: fn(&by_time::Interval) -> f64| Series::from(found.iter().map(number).collect::<Vec<f64>>());
    Ok((
        column(|one| one.place as f64),
        column(|one| one.n as f64),
        column(|one| one.sum),
        column(|one| one.last as f64),
    ))
}
