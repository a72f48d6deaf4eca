//! What the tables that change all the time say at one moment.

use super::super::unread::Unread;
use super::cpu::Cpus;
use super::disk_io::DiskCounters;
use super::load::Load;
use super::memory::Memory;
use super::network::InterfaceCounters;
use super::room::Space;

/// What the tables said at one moment. None: `unread` says why.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// When, ns of the monotonic clock.
    pub at_ns: u64,
    /// `/proc/stat`.
    pub cpus: Option<Cpus>,
    /// `/proc/meminfo`.
    pub memory: Option<Memory>,
    /// `/proc/loadavg`.
    pub load: Option<Load>,
    /// `/proc/diskstats`.
    pub disks: Option<Vec<DiskCounters>>,
    /// `/proc/net/dev`.
    pub interfaces: Option<Vec<InterfaceCounters>>,
    /// Room on `/`.
    pub root: Option<Space>,
    /// What could not be read.
    pub unread: Unread,
}
