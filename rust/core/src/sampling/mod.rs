//! What the kernel says about time, processes and file systems; one source a file.

pub mod clock;
pub mod file_system;
pub mod process;
