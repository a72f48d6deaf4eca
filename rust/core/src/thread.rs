//! What is kept for each thread, in one place: in a shared library each look for a variable of a thread is a call.

use std::cell::Cell;

use crate::journal::Seat;
use crate::recorder::Nesting;

/// What the core knows of a thread.
pub struct Here {
    /// Where it says which segment it uses.
    pub seat: Cell<Option<&'static Seat>>,
    /// The executions it is in.
    pub nesting: Nesting,
}

thread_local! {
    static HERE: Here = const { Here { seat: Cell::new(None), nesting: Nesting::new() } };
}

/// Works with what is kept for this thread. Calls inside of one another in one function are one look-up.
#[inline(always)]
pub fn here<R>(work: impl FnOnce(&Here) -> R) -> R {
    HERE.with(work)
}
