//! Who answers for processes and the host: `/proc` ([`Proc`]), or the sysinfo crate ([`Sysinfo`]) where there is none.

mod limit;
#[cfg(unix)]
mod proc;
mod process;
mod sysinfo;

use std::fmt;
use std::str::FromStr;

#[cfg(unix)]
pub use self::proc::Proc;
pub use self::sysinfo::Sysinfo;
pub use process::{Process, process_view};

use super::absent::Absent;
use super::host::{Reading, Snapshot};
use super::root::Root;

/// Samples of this process, of another one and of the host.
pub trait Source: Send {
    /// `proc` or `sysinfo`.
    fn name(&self) -> &'static str;

    /// The process with a pid.
    fn process(&mut self, pid: u32) -> Result<Process, Absent>;

    /// This process.
    fn this_process(&mut self) -> Result<Process, Absent> {
        self.process(std::process::id())
    }

    /// The host now, and what it did since the sample before.
    fn host(&mut self) -> Snapshot;

    /// Only the tables that change all the time, into a reading whose memory is used again.
    fn read(&mut self, reading: &mut Reading);
}

/// Which source is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// `/proc` where it can be read, else sysinfo.
    #[default]
    Auto,
    /// `/proc`, whatever it says.
    Proc,
    /// sysinfo.
    Sysinfo,
}

impl FromStr for Choice {
    type Err = Unusable;

    fn from_str(word: &str) -> Result<Choice, Unusable> {
        match word {
            "auto" => Ok(Choice::Auto),
            "proc" => Ok(Choice::Proc),
            "sysinfo" => Ok(Choice::Sysinfo),
            _ => Err(Unusable(format!("a source is auto, proc or sysinfo, not {word:?}"))),
        }
    }
}

/// Why a source cannot be had: what is wrong with the choice, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unusable {}

/// The source of a choice, for the machine whose files are below `root`. Reads next to nothing yet.
#[cfg(unix)]
pub fn source(choice: Choice, root: Root) -> Result<Box<dyn Source>, Unusable> {
    let by_proc = match choice {
        Choice::Auto => !root.is_real() || root.read("/proc/stat").is_ok(),
        Choice::Proc => true,
        Choice::Sysinfo if !root.is_real() => {
            return Err(Unusable("sysinfo knows no other root than /; take the source auto or proc".into()));
        }
        Choice::Sysinfo => false,
    };
    Ok(if by_proc { Box::new(Proc::new(root)) } else { Box::new(Sysinfo::new()) })
}

/// The source of a choice, for this machine: here it can only be sysinfo.
#[cfg(not(unix))]
pub fn source(choice: Choice, root: Root) -> Result<Box<dyn Source>, Unusable> {
    if choice == Choice::Proc {
        return Err(Unusable("this system has no /proc; take the source auto or sysinfo".into()));
    }
    if !root.is_real() {
        return Err(Unusable("sysinfo, the only source of this system, knows no other root than /".into()));
    }
    Ok(Box::new(Sysinfo::new()))
}

#[cfg(test)]
mod tests;
