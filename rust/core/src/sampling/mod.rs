//! What the kernel says about time, processes, containers, hosts and file systems; one source a file, reading apart from parsing.

pub mod absent;
pub mod cgroup;
#[cfg_attr(not(unix), path = "clock_elsewhere.rs")]
pub mod clock;
#[cfg(unix)]
pub mod file_system;
#[cfg(test)]
pub mod fixture;
pub mod host;
#[cfg(unix)]
pub mod kept;
pub mod pressure;
#[cfg(unix)]
pub mod process;
pub mod root;
pub mod source;
pub mod text;
pub mod tree;
pub mod unread;
