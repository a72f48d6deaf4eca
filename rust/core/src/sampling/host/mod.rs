//! The host: CPU, load, memory, disks, network, pressure, and what it is. One source of the kernel a file; reading is apart from parsing.
//!
//! [`Sampler`] keeps what a difference needs; [`view`](view::view) has the names of all fields.

pub mod about;
pub mod change;
pub mod cpu;
pub mod disk_io;
#[cfg(unix)]
pub mod file;
#[cfg(unix)]
mod files;
pub mod load;
pub mod memory;
#[cfg(unix)]
pub mod mounts;
pub mod name;
pub mod network;
pub mod patience;
pub mod pseudo;
#[cfg(unix)]
pub mod reading;
pub mod room;
#[cfg(unix)]
mod root_space;
#[cfg(unix)]
mod sampler;
mod scan;
pub mod snapshot;
#[cfg(unix)]
pub mod space;
pub mod tables;
pub mod view;

pub use change::FIRST;
#[cfg(unix)]
pub use sampler::Sampler;
pub use snapshot::Snapshot;
pub use tables::Reading;
