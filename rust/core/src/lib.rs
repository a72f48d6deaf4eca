//! Crash-safe recording of background jobs, and the values that are made of it. Knows no Python.
//!
//! Data flows one way: [`recorder`] appends to the [`journal`], [`drain`] reads it, [`fold`] makes
//! [`value`]s of it.
//!
//! What records, drains or reads `/proc` is for Unix only; the rest compiles for Windows too.

#[cfg(unix)]
pub mod drain;
pub mod error;
pub mod exposition;
pub mod fold;
pub mod heartbeat;
mod ids;
#[cfg(unix)]
pub mod journal;
#[cfg(unix)]
mod kernel;
pub mod names;
pub mod record;
#[cfg(unix)]
pub mod recorder;
pub mod rows;
pub mod sampling;
pub mod stamp;
pub mod stats;
#[cfg(unix)]
mod thread;
pub mod value;
