//! The host: CPU, load, memory, disks, network, pressure, and what it is. One source of the kernel a file; reading is apart from parsing.
//!
//! [`Sampler`] keeps what a difference needs; [`view`](view::view) has the names of all fields.

pub mod about;
pub mod change;
pub mod cpu;
pub mod disk_io;
pub mod file;
mod files;
pub mod load;
pub mod memory;
pub mod mounts;
pub mod name;
pub mod network;
pub mod patience;
pub mod reading;
mod root_space;
mod sampler;
mod scan;
pub mod snapshot;
pub mod space;
pub mod view;

pub use reading::Reading;
pub use sampler::{FIRST, Sampler};
pub use snapshot::Snapshot;
