//! Puts a record into the journal behind what it needs there: who wrote it, and what its ids mean.

use std::sync::atomic::Ordering;

use super::Recorder;
use super::local::Local;
use super::series::{Clock, Series};
use super::state::Description;
use crate::journal::dropped::Dropped;
use crate::journal::format::{Payload, Record, Worker, definition};
use crate::journal::segment::Refused;
use crate::journal::writer::Current;
use crate::names;
use crate::sampling::clock;

/// A name for one record: kept in the table, or not when the table is full.
#[derive(Debug)]
pub enum Name<'a> {
    /// In the table.
    Kept(&'a Series),
    /// For this record only.
    Loose(Series),
}

impl Name<'_> {
    /// The name itself.
    pub fn series(&self) -> &Series {
        match self {
            Name::Kept(series) => series,
            Name::Loose(series) => series,
        }
    }
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is in a mapped segment, a few stores later.
    AtOnce,
    /// It is in a segment, after system calls.
    Slowly,
    /// It could not be written, which was counted.
    Not,
}

impl Recorder {
    /// The name of an exception type.
    pub(super) fn name(&self, local: &Local, text: &str) -> Name<'_> {
        self.keep(local, names::label_list(names::NAME, &[text]))
    }

    /// A name for records, kept if there is room.
    pub(super) fn keep(&self, local: &Local, list: Vec<u8>) -> Name<'_> {
        match local.handle(&self.table, list, Clock::None) {
            Ok(handle) => match self.table.get(u64::from(handle)) {
                Some(series) => Name::Kept(series),
                None => unreachable!("a handle that was given has its name"),
            },
            Err(series) => Name::Loose(series),
        }
    }

    /// Appends a record behind the WORKER of this process and the definition of its name, and counts it, or that it cannot be written.
    #[inline(always)]
    pub(super) fn append(&self, local: &Local, name: Option<&Series>, record: Payload) -> bool {
        let written = self.try_append(local, name, record);
        if let Err(reason) = written {
            self.drop_record(local, reason);
        }
        written.is_ok()
    }

    /// The same for a record that is tried again: one that cannot be written is not counted.
    #[inline(always)]
    pub(super) fn try_append(&self, local: &Local, name: Option<&Series>, record: Payload) -> Result<(), Dropped> {
        if !self.append_at_once(local, name, record) {
            self.append_slowly(local, name, record)?;
        }
        local.records.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// As [`append`](Self::append), of a START or an END, which are counted as executions.
    #[inline(always)]
    pub(super) fn append_of_execution(&self, local: &Local, name: Option<&Series>, record: Payload) -> Appended {
        if self.append_at_once(local, name, record) {
            return Appended::AtOnce;
        }
        match self.append_slowly(local, name, record) {
            Ok(()) => Appended::Slowly,
            Err(reason) => {
                self.drop_record(local, reason);
                Appended::Not
            }
        }
    }

    /// Appends where everything is found done, as in each record but the first of a segment; false when that takes more. The words of
    /// the record stay in registers, since nothing that is called sees them, but for a copy.
    #[inline(always)]
    fn append_at_once(&self, local: &Local, name: Option<&Series>, record: Payload) -> bool {
        let Some(used) = local.journal.at_once() else { return false };
        let Some(current) = used.value() else { return false };
        self.is_announced(local, current)
            && name.is_none_or(|name| is_defined(current, name))
            && !local.needs_page(current)
            && current.append_at_once(record)
    }

    /// Appends by whatever it takes: what is missing in the segment, a new segment, a system call.
    #[cold]
    #[inline(never)]
    fn append_slowly(&self, local: &Local, name: Option<&Series>, record: Payload) -> Result<(), Dropped> {
        local.journal.append(&local.identity, |current| {
            self.prepare(local, current, name)?;
            current.append_payload(&record)
        })
    }

    /// Writes what must stand before a record in a segment, and makes the page with the first one.
    fn prepare(&self, local: &Local, current: &Current, name: Option<&Series>) -> Result<(), Refused> {
        self.announce(local, current)?;
        if let Some(name) = name {
            define(current, name)?;
        }
        if local.needs_page(current) && local.ensure_page(current, self.shared.as_ref()) {
            self.show(local); // a process that executes nothing, as the main of a pool, is seen by this alone
        }
        Ok(())
    }

    /// This process is ready to execute: it shows that it is there before it has anything to record. Nothing is lost where
    /// that cannot be written, so nothing is counted.
    pub fn ready(&self) {
        let local = self.local();
        local.ready.store(true, Ordering::Relaxed);
        let written = local.journal.append(&local.identity, |current| {
            self.announce(local, current)?;
            local.ensure_page(current, self.shared.as_ref());
            Ok(())
        });
        if written.is_ok() {
            self.show(local);
        }
    }

    /// Whether WORKER, as this process is described now, is in a segment.
    #[inline]
    fn is_announced(&self, local: &Local, current: &Current) -> bool {
        current.announced().load(Ordering::Acquire) == announced_serial(self.description(local).0)
    }

    /// Writes WORKER before the first own record in a segment, and when the process was described anew.
    fn announce(&self, local: &Local, current: &Current) -> Result<(), Refused> {
        if self.is_announced(local, current) {
            return Ok(());
        }
        let (description, role) = self.description(local);
        define(current, &local.series)?;
        let identity = &local.identity;
        current.append(&Record::Worker(Worker {
            role: role as u8,
            at: clock::wall_us(),
            worker: local.worker,
            pid: identity.pid,
            parent: identity.parent,
            start_ticks: identity.start_ticks,
            pid_namespace: identity.pid_namespace,
            boot: identity.boot_word(),
            identity: local.series.id,
        }))?;
        current.announced().store(announced_serial(description), Ordering::Release);
        Ok(())
    }
}

/// What [`Current::announced`] holds when a process of this description announced itself; never 0.
fn announced_serial(description: Option<&Description>) -> u64 {
    description.map_or(1, |description| description.serial + 1)
}

#[inline]
fn is_defined(current: &Current, series: &Series) -> bool {
    series.defined_in.load(Ordering::Acquire) == current.serial()
}

/// Writes the definition of a name before its first use in a segment.
fn define(current: &Current, series: &Series) -> Result<(), Refused> {
    if is_defined(current, series) {
        return Ok(());
    }
    for part in definition(&series.list) {
        current.append(&part)?;
    }
    series.defined_in.store(current.serial(), Ordering::Release);
    Ok(())
}
