//! How many series a spool may make: names that hold ids, and hostile segments, must not fill a store.
//!
//! What is beyond a limit counts in a series named [`OTHER`], so that no execution is lost; only its name is. What the store has is known
//! first, so that a name keeps its series when a drainer begins anew.

use crate::fold::{Series, ServerTask, Task};
use crate::ids::{IdMap, IdSet};
use crate::names::{self, EXCEPTION, QUEUE, SERVER, SERVER_TASK, TASK};

/// Label of all that is beyond a limit.
pub const OTHER: &str = "__other__";

/// The most names that have series of their own, in all that goes into one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tasks, and queues.
    pub tasks: usize,
    /// Tasks of one queue.
    pub tasks_of_queue: usize,
    /// Types of exceptions.
    pub exceptions: usize,
    /// Servers: containers have a new name after each start.
    pub servers: usize,
    /// Tasks on servers, all together.
    pub server_tasks: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { tasks: 1_000, tasks_of_queue: 200, exceptions: 100, servers: 200, server_tasks: 10_000 }
    }
}

/// The names that have series of their own.
#[derive(Debug, Default)]
pub struct Caps {
    limits: Limits,
    tasks: IdSet,
    queues: IdMap<usize>,
    exceptions: IdSet,
    servers: IdSet,
    server_tasks: IdSet,
    /// Those that have none; bounded, since it only counts.
    beyond: IdSet,
}

/// Most refused names that are told apart.
const BEYOND_LIMIT: usize = 1 << 16;

impl Caps {
    /// No names yet.
    pub fn new(limits: Limits) -> Caps {
        Caps { limits, ..Caps::default() }
    }

    /// A series that is in the store already, also beyond the limits. One of another kind says nothing.
    pub fn know(&mut self, kind: u8, labels: &[&str]) {
        match kind {
            // The rest of a queue has a series of its own on each server.
            SERVER_TASK if labels.first() != Some(&OTHER) => {
                self.server_tasks.insert(names::hash64(&names::label_list(kind, labels)));
            }
            _ if labels.contains(&OTHER) => {}
            SERVER => {
                self.servers.insert(names::hash64(&names::label_list(kind, labels)));
            }
            QUEUE => {
                self.queues.entry(names::hash64(&names::label_list(kind, labels))).or_default();
            }
            TASK if labels.len() == 3 => {
                let queue = names::hash64(&names::label_list(QUEUE, &labels[..2]));
                let new = self.tasks.insert(names::hash64(&names::label_list(kind, labels)));
                *self.queues.entry(queue).or_default() += usize::from(new);
            }
            EXCEPTION => self.exceptions.extend(labels.last().map(|name| exception_id(name))),
            _ => {}
        }
    }

    /// The task itself, or where it counts instead.
    pub fn task(&mut self, task: Task) -> Task {
        if self.tasks.contains(&task.series.id) {
            return task;
        }
        if !self.has_queue(task.queue.id) {
            self.beyond(task.series.id);
            return Task { series: Series::new(TASK, &[OTHER; 3]), queue: Series::new(QUEUE, &[OTHER; 2]) };
        }
        let of_queue = self.queues.entry(task.queue.id).or_default();
        if self.tasks.len() >= self.limits.tasks || *of_queue >= self.limits.tasks_of_queue {
            self.beyond(task.series.id);
            let labels = names::parse_label_list(&task.queue.labels).map(|(_, labels)| labels).unwrap_or_default();
            let series = Series::new(TASK, &[&labels[..], &[OTHER]].concat());
            return Task { series, queue: task.queue };
        }
        *of_queue += 1;
        self.tasks.insert(task.series.id);
        task
    }

    /// The queue; None: it is beyond the limit, and what was read of it is of no use in the sum of others.
    pub fn queue(&mut self, queue: Series) -> Option<Series> {
        let has = self.has_queue(queue.id);
        if !has {
            self.beyond(queue.id);
        }
        has.then_some(queue)
    }

    /// The type of an exception, or what it counts as instead.
    pub fn exception<'a>(&mut self, name: &'a str) -> &'a str {
        let id = exception_id(name);
        if self.exceptions.contains(&id) {
            return name;
        }
        if self.exceptions.len() >= self.limits.exceptions {
            self.beyond(id);
            return OTHER;
        }
        self.exceptions.insert(id);
        name
    }

    /// The server itself, or the one that stands for all others.
    pub fn server(&mut self, server: Series) -> Series {
        if has(&mut self.servers, self.limits.servers, server.id) {
            return server;
        }
        self.beyond(server.id);
        Series::new(SERVER, &[OTHER])
    }

    /// The task on the server itself, or together with those on all other servers. The server counts it either way.
    pub fn server_task(&mut self, place: ServerTask) -> ServerTask {
        let shared = place.server.names() == [OTHER];
        if shared || has(&mut self.server_tasks, self.limits.server_tasks, place.series.id) {
            return place;
        }
        self.beyond(place.series.id);
        let series = Series::new(SERVER_TASK, &[&[OTHER], &place.task.series.names()[..]].concat());
        ServerTask { series, ..place }
    }

    /// How many names were met that have no series of their own.
    pub fn refused(&self) -> usize {
        self.beyond.len()
    }

    fn has_queue(&mut self, id: u64) -> bool {
        if self.queues.contains_key(&id) {
            return true;
        }
        let room = self.queues.len() < self.limits.tasks;
        if room {
            self.queues.insert(id, 0);
        }
        room
    }

    fn beyond(&mut self, id: u64) {
        if self.beyond.len() < BEYOND_LIMIT {
            self.beyond.insert(id);
        }
    }
}

/// True when an id is known, or there was room for it.
fn has(known: &mut IdSet, limit: usize, id: u64) -> bool {
    known.contains(&id) || known.len() < limit && known.insert(id)
}

fn exception_id(name: &str) -> u64 {
    names::hash64(&names::label_list(names::NAME, &[name]))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LIMITS: Limits = Limits { tasks: 4, tasks_of_queue: 2, exceptions: 2, servers: 2, server_tasks: 3 };

    fn task(queue: &str, name: &str) -> Task {
        Task::new(Some(&Arc::from(names::label_list(TASK, &["c", queue, name]))))
    }

    fn labels(series: &Series) -> Vec<&str> {
        names::parse_label_list(&series.labels).unwrap().1
    }

    #[test]
    fn the_first_names_have_series_of_their_own_and_the_rest_share_one() {
        let mut caps = Caps::new(LIMITS);
        for name in ["a", "b", "a"] {
            assert_eq!(caps.task(task("q", name)), task("q", name));
        }
        let shared = caps.task(task("q", "c"));
        assert_eq!((labels(&shared.series), labels(&shared.queue)), (vec!["c", "q", OTHER], vec!["c", "q"]));
        for queue in ["r", "s"] {
            assert_eq!(caps.task(task(queue, "a")), task(queue, "a"));
        }
        assert_eq!(labels(&caps.task(task("t", "a")).series), ["c", "t", OTHER], "a fifth task, in a fourth queue");
        let nowhere = caps.task(task("u", "a"));
        assert_eq!(
            (labels(&nowhere.series), labels(&nowhere.queue)),
            (vec![OTHER; 3], vec![OTHER; 2]),
            "a fifth queue"
        );
        assert_eq!(caps.task(task("q", "b")), task("q", "b"));
        assert_eq!(
            (caps.queue(task("v", "").queue), caps.queue(task("q", "").queue)),
            (None, Some(task("q", "").queue))
        );
        assert_eq!(
            (caps.exception("E"), caps.exception("F"), caps.exception("G"), caps.exception("E")),
            ("E", "F", OTHER, "E")
        );
        assert_eq!(caps.refused(), 5);
    }

    #[test]
    fn servers_beyond_the_limit_share_a_series_and_so_do_the_tasks_on_too_many() {
        let mut caps = Caps::new(LIMITS);
        let server = |name: &str| Series::new(SERVER, &[name]);
        for name in ["one", "two", "one"] {
            assert_eq!(caps.server(server(name)), server(name));
        }
        assert_eq!(caps.server(server("three")), server(OTHER));
        let on = |name: &str, host: &str| ServerTask::new(Arc::new(task("q", name)), server(host));
        for (name, host) in [("a", "one"), ("b", "one"), ("a", "two"), ("a", OTHER), ("b", "one")] {
            assert_eq!(caps.server_task(on(name, host)), on(name, host));
        }
        let full = caps.server_task(on("b", "two"));
        assert_eq!((labels(&full.series), labels(&full.server)), (vec![OTHER, "c", "q", "b"], vec!["two"]));
        assert_ne!(full.id, on("b", OTHER).id, "two servers with one series are told apart");
        assert_eq!(caps.refused(), 2);
        let mut renewed = Caps::new(LIMITS);
        renewed.know(SERVER, &["three"]);
        renewed.know(SERVER_TASK, &["three", "c", "q", OTHER]);
        renewed.know(SERVER_TASK, &[OTHER, "c", "q", "b"]);
        assert_eq!((renewed.servers.len(), renewed.server_tasks.len()), (1, 1), "what the store has is known");
    }

    #[test]
    fn what_the_store_has_keeps_its_series_also_beyond_the_limits() {
        let mut caps = Caps::new(LIMITS);
        for name in ["a", "b", "c", "d", "e", "a"] {
            caps.know(TASK, &["c", "q", name]);
        }
        caps.know(TASK, &["c", "q", OTHER]);
        caps.know(EXCEPTION, &["c", "q", "a", "E"]);
        caps.know(77, &["x"]);
        assert_eq!(caps.task(task("q", "e")), task("q", "e"));
        assert_eq!(labels(&caps.task(task("q", "f")).series), ["c", "q", OTHER]);
        assert_eq!((caps.exception("E"), caps.exception("F"), caps.exception("G")), ("E", "F", OTHER));
    }

    #[test]
    fn a_flood_of_names_takes_bounded_memory() {
        let mut caps = Caps::new(LIMITS);
        for number in 0..2 * BEYOND_LIMIT {
            caps.exception(&number.to_string());
        }
        assert_eq!((caps.exceptions.len(), caps.refused()), (2, BEYOND_LIMIT));
    }
}
