//! The true peak of memory of an execution, for those who ask for it: the kernel's high-water mark is reset when it starts.

use std::sync::OnceLock;

use crate::sampling::process::PeakMark;

/// Off unless asked for. It is one for all processes of a recorder; a forked child resets its own mark.
#[derive(Debug, Default)]
pub struct Peak {
    mark: Option<PeakMark>,
    /// Why it is not used after all.
    refused: OnceLock<String>,
}

/// Whether true peaks are measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExactPeak {
    /// Not asked for.
    Off,
    /// Yes.
    On,
    /// Asked for, and refused for a reason.
    Refused(String),
}

impl Peak {
    /// Measures true peaks if it is asked to.
    pub fn new(asked: bool) -> Peak {
        Peak { mark: asked.then(PeakMark::default), refused: OnceLock::new() }
    }

    /// Leaves the mark alone from now on, in this process and in those that it forks.
    pub fn refuse(&self, reason: &str) {
        let _ = self.refused.set(reason.to_owned()); // the first reason stands
    }

    /// An execution starts, alone in its process.
    pub fn begin(&self) {
        if let Some(Err(reason)) = self.in_use().map(PeakMark::reset) {
            self.refuse(&reason);
        }
    }

    /// It ended, with so many bytes resident; its peak in bytes, or None when it is not measured.
    pub fn end(&self, resident: Option<u64>) -> Option<u64> {
        let peak = self.in_use()?.peak(resident)?;
        Some(resident.map_or(peak, |resident| peak.max(resident)))
    }

    /// The peak of the process's life, bytes, for which the kernel cannot be asked where its mark is reset.
    pub fn of_life(&self) -> Option<u64> {
        self.mark.as_ref()?.of_life()
    }

    /// For `doctor`.
    pub fn state(&self) -> ExactPeak {
        match (&self.mark, self.refused.get()) {
            (None, _) => ExactPeak::Off,
            (Some(_), None) => ExactPeak::On,
            (Some(_), Some(reason)) => ExactPeak::Refused(reason.clone()),
        }
    }

    fn in_use(&self) -> Option<&PeakMark> {
        self.mark.as_ref().filter(|_| self.refused.get().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::fixture::in_child;

    #[test]
    fn it_is_off_unless_asked_for_and_a_refusal_stands() {
        let off = Peak::new(false);
        off.begin();
        assert_eq!((off.end(Some(1)), off.of_life(), off.state()), (None, None, ExactPeak::Off));
        // In a child, since the mark belongs to the process.
        assert!(in_child(|| {
            let on = Peak::new(true);
            on.begin();
            assert!(on.end(None).unwrap() > 100_000);
            assert_eq!(on.end(Some(u64::MAX)), Some(u64::MAX), "what is there at the end is part of the peak");
            on.refuse("a limit needs the mark");
            on.refuse("another reason");
            on.begin();
            assert_eq!((on.end(None), on.state()), (None, ExactPeak::Refused("a limit needs the mark".into())));
            on.of_life().is_some()
        }));
    }
}
