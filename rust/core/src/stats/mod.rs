//! Estimators, one a file.

pub mod sketch;
