//! Processes: this one and others by pid, as `/proc` and the kernel's calls show them. One kernel source a file.

mod children;
mod descriptors;
mod files;
mod identity;
mod sample;
mod smaps;
mod stat;
mod statm;
mod status;
mod switches;
mod ticks;
mod tree;
mod usage;

pub use identity::{Identity, boot_id, pid_namespace, start_ticks, started_us};
pub use sample::{Absent, ProcessSample, Wish, own, sample};
pub use stat::{Name, Stat, parse_stat};
pub use statm::{Statm, page_size, parse_resident, parse_statm};
pub use ticks::{ns_of_ticks, ticks_a_second};
pub use tree::{TreeSample, tree};
pub use usage::{Usage, peak_and_cpu};
