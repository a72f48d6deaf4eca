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

const FREE: Running = Running { owner: 0, ticket: 0 };

thread_local! {
    static RUNNING: [Cell<Running>; RECORDERS] = const { [const { Cell::new(FREE) }; RECORDERS] };
}

/// Ticket of the execution that this thread entered last for a recorder. It may have ended in another thread.
pub fn running(owner: u64) -> Option<i64> {
    let of = |entries: &[Cell<Running>; RECORDERS]| entries.iter().map(Cell::get).find(|entry| entry.owner == owner);
    RUNNING.with(of).map(|entry| entry.ticket)
}

/// This thread enters an execution.
pub fn enter(owner: u64, ticket: i64) {
    RUNNING.with(|entries| {
        let place = |owner: u64| entries.iter().find(|entry| entry.get().owner == owner);
        // More recorders than places: the first one is forgotten, its inner executions will count on their own.
        place(owner).or_else(|| place(0)).unwrap_or(&entries[0]).set(Running { owner, ticket });
    });
}

/// This thread leaves an execution; false when it was not entered here.
pub fn leave(owner: u64, ticket: i64) -> bool {
    let same = |entry: &&Cell<Running>| entry.get().owner == owner && entry.get().ticket == ticket;
    RUNNING.with(|entries| entries.iter().find(same).map(|entry| entry.set(FREE))).is_some()
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
