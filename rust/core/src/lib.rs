//! Crash-safe recording of background jobs, and the values that are made of it. Knows no Python.
//!
//! Data flows one way: [`recorder`] appends to the [`journal`], [`drain`] reads it, [`fold`] makes
//! [`value`]s of it.

pub mod drain;
pub mod error;
pub mod exposition;
pub mod fold;
pub mod heartbeat;
mod ids;
pub mod journal;
mod kernel;
pub mod names;
pub mod recorder;
pub mod rows;
pub mod sampling;
pub mod stamp;
pub mod stats;
mod thread;
pub mod value;
