//! What every decoder must do with any bytes: the functions that libFuzzer (`guided`) and the runner without it (`steady`) call.
//!
//! A target panics when a promise is broken: a panic of the decoder itself, memory out of proportion to the input, or a
//! decoded thing that is another one when encoded and decoded again.

#![allow(clippy::unwrap_used)] // a target panics on purpose

pub mod memory;
pub mod mutate;
mod targets;

pub use targets::{TARGETS, Target, target};
