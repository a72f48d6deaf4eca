//! What the kernel says about time, processes, containers, hosts and file systems; one source a file, reading apart from parsing.

pub mod cgroup;
pub mod clock;
pub mod file_system;
#[cfg(test)]
pub mod fixture;
pub mod host;
pub mod kept;
pub mod pressure;
pub mod process;
pub mod root;
pub mod source;
pub mod text;
pub mod tree;
pub mod unread;
