//! Why there is no sample of a process.

/// Why there is no sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// No such process, or another one with its pid.
    Gone,
    /// The source does not say; with the reason.
    Unreadable(String),
}
