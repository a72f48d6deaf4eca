//! Slots of a map that were reserved and are empty: their writer is about to fill them, or was killed.

use super::Drainer;
use crate::error::Result;
use crate::journal::format::{SegmentId, Slot, Way};
use crate::journal::read::SegmentReader;
use crate::sampling::clock::monotonic_ns;

impl Drainer {
    /// What a slot holds for good, or None while that cannot be said: nothing behind it is read before.
    ///
    /// An empty slot is given up after the time of patience, or at once when nobody can fill it. That is a compare-and-swap in the file: a
    /// writer that was only slow finds the tombstone and writes its record elsewhere.
    pub(super) fn settled(
        &mut self,
        id: &SegmentId,
        number: u64,
        slot: Slot,
        reader: &SegmentReader,
    ) -> Result<Option<Slot>> {
        if reader.header().way != Way::Map || !matches!(slot, Slot::Empty | Slot::Damaged) {
            return Ok(Some(slot));
        }
        // Again: a read that overlaps with a commit may have seen the commit word and not yet what it stands for.
        let slot = reader.slot(number)?;
        let Some(segment) = self.segments.get_mut(id) else { return Ok(None) };
        match slot {
            Some(Slot::Empty) if segment.is_last && segment.is_of_another_boot => return Ok(Some(Slot::Tombstone)),
            Some(Slot::Empty) => {}
            other => return Ok(other),
        }
        let abandoned = reader.is_abandoned()?;
        if abandoned && let Some(filled) = reader.slot(number)?.filter(|slot| *slot != Slot::Empty) {
            // By somebody who let go of the lock since.
            return Ok(Some(filled));
        }
        let now = monotonic_ns();
        let since = match segment.hole {
            Some((hole, since)) if hole == number => since,
            _ => now,
        };
        segment.hole = Some((number, since));
        if !abandoned && now.saturating_sub(since) / 1_000 < self.options.patience.unsigned_abs() {
            return Ok(None);
        }
        match segment.give_up(reader, number) {
            Ok(true) => Ok(Some(Slot::Tombstone)),
            Ok(false) => Ok(reader.slot(number)?),
            // Not our file, or no map of it: as long as somebody could fill the slot, it must be waited for.
            Err(_) => Ok(abandoned.then_some(Slot::Tombstone)),
        }
    }
}
