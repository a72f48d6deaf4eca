//! Python objects as text and numbers, without ever failing for what they hold.

use std::borrow::Cow;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::native::values::small_integer;

/// The text of a `str`; each lone surrogate becomes U+FFFD.
#[inline]
pub fn text<'a>(string: &'a Bound<'_, PyString>) -> Cow<'a, str> {
    match string.to_str() {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(with_surrogates(string)),
    }
}

#[cold]
fn with_surrogates(string: &Bound<'_, PyString>) -> String {
    let encoded = string.call_method1("encode", ("utf-8", "surrogatepass"));
    let Ok(Ok(encoded)) = encoded.map(|bytes| bytes.cast_into::<PyBytes>()) else { return "\u{fffd}".to_owned() };
    let mut text = String::new();
    let mut rest = encoded.as_bytes();
    loop {
        match std::str::from_utf8(rest) {
            Ok(valid) => return text + valid,
            Err(error) => {
                let (valid, broken) = rest.split_at(error.valid_up_to());
                text += &String::from_utf8_lossy(valid);
                text.push('\u{fffd}');
                // A surrogate has three bytes.
                rest = broken.get(3..).unwrap_or_default();
            }
        }
    }
}

/// What became of a job id.
pub enum JobText<'a> {
    /// Its text.
    Text(Cow<'a, str>),
    /// Its `__str__` raised this.
    Raised(PyErr),
}

/// The text of a job id of any type: itself, or what `str` makes of it.
pub fn job_text<'a>(job_id: &'a Bound<'_, PyAny>) -> JobText<'a> {
    if let Ok(string) = job_id.cast::<PyString>() {
        return JobText::Text(text(string));
    }
    match job_id.str() {
        Ok(string) => JobText::Text(Cow::Owned(text(&string).into_owned())),
        Err(error) => JobText::Raised(error),
    }
}

/// Stands for a job id whose `__str__` raises: jobs of such ids are told apart by their type only.
pub fn unprintable(job_id: &Bound<'_, PyAny>) -> String {
    let name = job_id.get_type().name().map(|name| text(&name).into_owned());
    format!("<unprintable {}>", name.as_deref().unwrap_or("object"))
}

/// The text of a job id for a record call, which raises nothing: an exception of its `__str__` is to be counted. Only what is no
/// `Exception`, an interruption of the job that came while `__str__` ran, is passed on, as if it had come before the call.
#[cold]
pub fn job_text_or_counted<'a>(job_id: &'a Bound<'_, PyAny>, counted: impl FnOnce()) -> PyResult<Cow<'a, str>> {
    match job_text(job_id) {
        JobText::Text(text) => Ok(text),
        JobText::Raised(error) if !error.is_instance_of::<PyException>(job_id.py()) => Err(error),
        JobText::Raised(_) => {
            counted();
            Ok(Cow::Owned(unprintable(job_id)))
        }
    }
}

/// An attempt as the journal holds it.
#[inline]
pub fn attempt(object: &Bound<'_, PyAny>) -> u16 {
    small_integer(object).unwrap_or(0).clamp(0, i64::from(u16::MAX)) as u16
}
