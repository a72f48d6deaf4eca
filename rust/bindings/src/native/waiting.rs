//! Objects that wait for something, found by their addresses: what is said of one is neither an attribute of it nor a look-up in a dict.

use std::cell::UnsafeCell;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

/// Objects that can wait at the same time; one that finds its place taken sends the one before away.
const PLACES: usize = 32;

type Places<T> = [Option<(Py<PyAny>, T)>; PLACES];

/// Objects and what is said of each. It keeps them alive, so that an address is never another object's.
pub struct Waiting<T>(UnsafeCell<Places<T>>);

// SAFETY: everybody who touches the places holds the interpreter's lock, which all its methods ask for, and calls nothing meanwhile that
// could give it away.
unsafe impl<T: Send> Sync for Waiting<T> {}

impl<T> Waiting<T> {
    /// Nothing waits.
    pub const fn new() -> Waiting<T> {
        Waiting(UnsafeCell::new([const { None }; PLACES]))
    }

    /// Has an object wait; answers the one whose place it takes.
    #[inline]
    pub fn put<'py>(&self, object: Bound<'py, PyAny>, value: T) -> Option<(Bound<'py, PyAny>, T)> {
        let (py, index) = (object.py(), place_of(&object));
        // SAFETY: the lock is held, as the object shows, and nothing is called.
        let before = unsafe { &mut *self.0.get() }[index].replace((object.unbind(), value));
        before.map(|(object, value)| (object.into_bound(py), value))
    }

    /// What is said of an object, which does not wait any longer.
    #[inline]
    pub fn take(&self, object: &Bound<'_, PyAny>) -> Option<T> {
        // SAFETY: as in `put`.
        let (kept, value) =
            unsafe { &mut *self.0.get() }[place_of(object)].take_if(|(kept, _)| kept.as_ptr() == object.as_ptr())?;
        drop(kept.into_bound(object.py())); // not the last reference: who asks has one
        Some(value)
    }

    /// Any object that waits.
    pub fn take_any<'py>(&self, py: Python<'py>) -> Option<(Bound<'py, PyAny>, T)> {
        // SAFETY: the lock is held, as the token shows, and nothing is called.
        let (object, value) = unsafe { &mut *self.0.get() }.iter_mut().find_map(Option::take)?;
        Some((object.into_bound(py), value))
    }

    /// For the collector.
    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // SAFETY: the collector has the lock while it visits, and what it calls neither runs Python code nor comes back here.
        unsafe { &*self.0.get() }.iter().flatten().try_for_each(|(object, _)| visit.call(object))
    }
}

/// Objects lie a few words apart, so that the lowest bits of an address alone would have them meet.
#[inline]
fn place_of(object: &Bound<'_, PyAny>) -> usize {
    let spread = (object.as_ptr() as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (spread >> (u64::BITS - PLACES.trailing_zeros())) as usize
}
