//! Processes: this one and others by pid, as `/proc` and the kernel's calls show them. One kernel source a file.

mod children;
mod descriptors;
mod files;
mod hot;
mod identity;
mod peak;
mod sample;
mod smaps;
mod stat;
mod statm;
mod status;
mod switches;
mod ticks;
mod tree;
mod usage;
mod watch;

pub use super::absent::Absent;
pub use hot::{HotSample, HotSampler};
pub use identity::{Identity, boot_id, boot_word, pid_namespace, start_ticks, started_us};
pub use peak::PeakMark;
pub use sample::{ProcessSample, Wish, own, sample};
pub use stat::{Name, Stat, parse_stat};
pub use statm::{Statm, page_size, parse_resident, parse_statm};
pub use status::parse_peak;
pub use ticks::{ns_of_ticks, ticks_a_second};
pub use tree::{TreeSample, tree};
pub use usage::{Usage, peak_and_cpu};
pub use watch::{Watch, WatchSample};
