//! Which execution a thread is in, so that one inside another is told from a new one.

use std::cell::Cell;

/// Recorders that one thread can execute for at the same time and be told apart.
const RECORDERS: usize = 4;

#[derive(Clone, Copy)]
struct Running {
    /// Serial of the process state of a recorder; differs between recorders and after a fork. 0: nobody yet.
    owner: u64,
    /// Ticket of its execution; 0, which is no ticket: none.
    ticket: i64,
}

/// The executions that one thread is in. Who executed here once keeps its place, so it is found at the first look.
pub struct Nesting([Cell<Running>; RECORDERS]);

impl Nesting {
    /// In none.
    pub const fn new() -> Nesting {
        Nesting([const { Cell::new(Running { owner: 0, ticket: 0 }) }; RECORDERS])
    }

    /// Ticket of the execution that this thread entered last for a recorder. It may have ended in another thread.
    #[inline]
    pub fn running(&self, owner: u64) -> Option<i64> {
        self.place(owner).map(|place| place.get().ticket).filter(|ticket| *ticket != 0)
    }

    /// This thread enters an execution.
    #[inline]
    pub fn enter(&self, owner: u64, ticket: i64) {
        self.place(owner).unwrap_or_else(|| self.other_place()).set(Running { owner, ticket });
    }

    /// This thread leaves an execution; false when it was not entered here.
    #[inline]
    pub fn leave(&self, owner: u64, ticket: i64) -> bool {
        let place = self.place(owner).filter(|place| place.get().ticket == ticket);
        place.map(|place| place.set(Running { owner, ticket: 0 })).is_some()
    }

    #[inline]
    fn place(&self, owner: u64) -> Option<&Cell<Running>> {
        if self.0[0].get().owner == owner { Some(&self.0[0]) } else { self.later_place(owner) }
    }

    #[cold]
    fn later_place(&self, owner: u64) -> Option<&Cell<Running>> {
        self.0[1..].iter().find(|place| place.get().owner == owner)
    }

    /// A place for who has none.
    #[cold]
    fn other_place(&self) -> &Cell<Running> {
        let free = |idle: fn(Running) -> bool| self.0.iter().find(|place| idle(place.get()));
        // More recorders than places: the first one is forgotten, its inner executions will count on their own.
        free(|running| running.owner == 0).or_else(|| free(|running| running.ticket == 0)).unwrap_or(&self.0[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorders_are_told_apart() {
        let nesting = Nesting::new();
        assert_eq!(nesting.running(1), None);
        nesting.enter(1, 10);
        nesting.enter(2, 20);
        assert_eq!((nesting.running(1), nesting.running(2), nesting.running(3)), (Some(10), Some(20), None));
        assert!(!nesting.leave(1, 11) && !nesting.leave(3, 10));
        assert!(nesting.leave(1, 10) && !nesting.leave(1, 10));
        assert_eq!((nesting.running(1), nesting.running(2)), (None, Some(20)));
        nesting.enter(1, 12);
        assert_eq!((nesting.running(1), nesting.running(2)), (Some(12), Some(20)));
    }

    #[test]
    fn more_recorders_than_places_take_those_of_idle_ones_first() {
        let nesting = Nesting::new();
        (1..=4).for_each(|owner| nesting.enter(owner, owner as i64));
        assert!(nesting.leave(3, 3));
        nesting.enter(5, 50);
        assert_eq!(
            (1..=5).map(|owner| nesting.running(owner).is_some()).collect::<Vec<_>>(),
            [true, true, false, true, true]
        );
        nesting.enter(6, 60);
        assert_eq!((nesting.running(1), nesting.running(6)), (None, Some(60)));
    }
}
