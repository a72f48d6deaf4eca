//! Which execution this thread is in, so that one inside another is told from a new one.

use std::cell::Cell;

/// Recorders that one thread can execute for at the same time and be told apart.
const RECORDERS: usize = 4;

#[derive(Clone, Copy)]
struct Running {
    /// Serial of the process state of a recorder; differs between recorders and after a fork. 0: free.
    owner: u64,
    ticket: i64,
}

thread_local! {
    static RUNNING: Cell<[Running; RECORDERS]> = const { Cell::new([Running { owner: 0, ticket: 0 }; RECORDERS]) };
}

/// Ticket of the execution that this thread entered last for a recorder. It may have ended in another thread.
pub fn running(owner: u64) -> Option<i64> {
    RUNNING.get().iter().find(|entry| entry.owner == owner).map(|entry| entry.ticket)
}

/// This thread enters an execution.
pub fn enter(owner: u64, ticket: i64) {
    let mut entries = RUNNING.get();
    let place = entries
        .iter()
        .position(|entry| entry.owner == owner)
        .or_else(|| entries.iter().position(|entry| entry.owner == 0));
    // More recorders than places: the first one is forgotten, its inner executions will count on their own.
    entries[place.unwrap_or(0)] = Running { owner, ticket };
    RUNNING.set(entries);
}

/// This thread leaves an execution; false when it was not entered here.
pub fn leave(owner: u64, ticket: i64) -> bool {
    let mut entries = RUNNING.get();
    let Some(entry) = entries.iter_mut().find(|entry| entry.owner == owner && entry.ticket == ticket) else {
        return false;
    };
    *entry = Running { owner: 0, ticket: 0 };
    RUNNING.set(entries);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorders_and_threads_are_told_apart() {
        enter(1, 10);
        enter(2, 20);
        assert_eq!((running(1), running(2), running(3)), (Some(10), Some(20), None));
        std::thread::spawn(|| assert_eq!(running(1), None)).join().unwrap();
        assert!(!leave(1, 11));
        assert!(leave(1, 10) && !leave(1, 10));
        assert_eq!((running(1), running(2)), (None, Some(20)));
    }
}
