//! How many series a spool may make: names that hold ids, and hostile segments, must not fill a store.
//!
//! What is beyond a limit counts in a series named [`OTHER`], so that no execution is lost; only its name is. What the store has let in is
//! known first, so that a name keeps its series when a drainer begins anew. A name that is new is let in by the drainer and then once more by
//! the store, since others fill that too: by the same code, [`admitted`].

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

/// A name that may have series of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// `TASK`, `QUEUE`, `EXCEPTION`, `SERVER` or `SERVER_TASK`.
    pub kind: u8,
    /// That of its series, of an exception that of its type.
    pub id: u64,
    /// Of a task the id of its queue, else 0.
    pub queue: u64,
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
    /// Those that were let in since the store was asked, in that order.
    new: Vec<Name>,
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

    /// What the store has let in, also beyond the limits, in place of what was let in here.
    pub fn know(&mut self, names: impl IntoIterator<Item = Name>) {
        *self = Caps { limits: self.limits, beyond: std::mem::take(&mut self.beyond), ..Caps::default() };
        names.into_iter().for_each(|name| self.insert(name));
    }

    /// What was let in here and the store does not know of: it must be asked before it is sent any of them.
    pub fn new_names(&self) -> &[Name] {
        &self.new
    }

    /// Whether a name has series of its own; it gets them if there is room. A task needs its queue to be in.
    pub fn admit(&mut self, name: Name) -> bool {
        if !self.has(name) {
            if !self.has_room(name) {
                self.beyond(name.id);
                return false;
            }
            self.insert(name);
            self.new.push(name);
        }
        true
    }

    /// The task itself, or where it counts instead.
    pub fn task(&mut self, task: Task) -> Task {
        let name = Name { kind: TASK, id: task.series.id, queue: task.queue.id };
        let queue = queue_name(task.queue.id);
        if self.has(name) {
            return task;
        }
        if !self.has(queue) && !self.has_room(queue) {
            self.beyond(name.id);
            return Task { series: Series::new(TASK, &[OTHER; 3]), queue: Series::new(QUEUE, &[OTHER; 2]) };
        }
        self.admit(queue);
        if !self.admit(name) {
            let labels = names::parse_label_list(&task.queue.labels).map(|(_, labels)| labels).unwrap_or_default();
            let series = Series::new(TASK, &[&labels[..], &[OTHER]].concat());
            return Task { series, queue: task.queue };
        }
        task
    }

    /// The queue; None: it is beyond the limit, and what was read of it is of no use in the sum of others.
    pub fn queue(&mut self, queue: Series) -> Option<Series> {
        self.admit(queue_name(queue.id)).then_some(queue)
    }

    /// The type of an exception, or what it counts as instead.
    pub fn exception<'a>(&mut self, name: &'a str) -> &'a str {
        let id = names::hash64(&names::label_list(names::NAME, &[name]));
        if self.admit(Name { kind: EXCEPTION, id, queue: 0 }) { name } else { OTHER }
    }

    /// The server itself, or the one that stands for all others.
    pub fn server(&mut self, server: Series) -> Series {
        let name = Name { kind: SERVER, id: server.id, queue: 0 };
        if self.admit(name) { server } else { Series::new(SERVER, &[OTHER]) }
    }

    /// The task on the server itself, or together with those on all other servers. The server counts it either way.
    pub fn server_task(&mut self, place: ServerTask) -> ServerTask {
        let shared = place.server.names() == [OTHER];
        if shared || self.admit(Name { kind: SERVER_TASK, id: place.series.id, queue: 0 }) {
            return place;
        }
        let series = Series::new(SERVER_TASK, &[&[OTHER], &place.task.series.names()[..]].concat());
        ServerTask { series, ..place }
    }

    /// How many names were met that have no series of their own.
    pub fn refused(&self) -> usize {
        self.beyond.len()
    }

    fn has(&self, name: Name) -> bool {
        match name.kind {
            TASK => self.tasks.contains(&name.id),
            QUEUE => self.queues.contains_key(&name.id),
            EXCEPTION => self.exceptions.contains(&name.id),
            SERVER => self.servers.contains(&name.id),
            SERVER_TASK => self.server_tasks.contains(&name.id),
            _ => false,
        }
    }

    fn has_room(&self, name: Name) -> bool {
        match name.kind {
            TASK => {
                let of_queue = self.queues.get(&name.queue);
                self.tasks.len() < self.limits.tasks
                    && of_queue.is_some_and(|tasks| *tasks < self.limits.tasks_of_queue)
            }
            QUEUE => self.queues.len() < self.limits.tasks,
            EXCEPTION => self.exceptions.len() < self.limits.exceptions,
            SERVER => self.servers.len() < self.limits.servers,
            SERVER_TASK => self.server_tasks.len() < self.limits.server_tasks,
            _ => false,
        }
    }

    fn insert(&mut self, name: Name) {
        match name.kind {
            TASK => {
                let new = self.tasks.insert(name.id);
                *self.queues.entry(name.queue).or_default() += usize::from(new);
            }
            QUEUE => {
                self.queues.entry(name.id).or_default();
            }
            EXCEPTION => {
                self.exceptions.insert(name.id);
            }
            SERVER => {
                self.servers.insert(name.id);
            }
            SERVER_TASK => {
                self.server_tasks.insert(name.id);
            }
            _ => {}
        }
    }

    fn beyond(&mut self, id: u64) {
        if self.beyond.len() < BEYOND_LIMIT {
            self.beyond.insert(id);
        }
    }
}

fn queue_name(id: u64) -> Name {
    Name { kind: QUEUE, id, queue: 0 }
}

/// Which of `asked` come in where `known` are in: what a store decides, by the same limits as a drainer.
pub fn admitted(
    limits: Limits,
    known: impl IntoIterator<Item = Name>,
    asked: impl IntoIterator<Item = Name>,
) -> Vec<Name> {
    let mut caps = Caps::new(limits);
    caps.know(known);
    for name in asked {
        caps.admit(name);
    }
    caps.new
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

    fn name(queue: &str, task_name: &str) -> Name {
        let task = task(queue, task_name);
        Name { kind: TASK, id: task.series.id, queue: task.queue.id }
    }

    fn exception(id: u64) -> Name {
        Name { kind: EXCEPTION, id, queue: 0 }
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
    }

    #[test]
    fn what_the_store_has_keeps_its_series_also_beyond_the_limits() {
        let mut caps = Caps::new(LIMITS);
        let of_type = names::hash64(&names::label_list(names::NAME, &["E"]));
        let unknown = Name { kind: 77, id: 1, queue: 2 };
        caps.know(
            ["a", "b", "c", "d", "e", "a"].map(|task| name("q", task)).into_iter().chain([exception(of_type), unknown]),
        );
        assert_eq!(caps.task(task("q", "e")), task("q", "e"));
        assert_eq!(labels(&caps.task(task("q", "f")).series), ["c", "q", OTHER]);
        assert_eq!((caps.exception("E"), caps.exception("F"), caps.exception("G")), ("E", "F", OTHER));
        assert_eq!(
            (caps.new_names().len(), caps.refused()),
            (1, 2),
            "F is new, and one task and one exception are beyond"
        );
    }

    #[test]
    fn what_was_let_in_here_gives_way_to_what_the_store_has_let_in() {
        let mut caps = Caps::new(LIMITS);
        caps.task(task("q", "mine"));
        assert_eq!(caps.new_names(), [queue_name(name("q", "").queue), name("q", "mine")], "a queue before its task");
        caps.know([name("q", "theirs"), name("q", "theirs too")]);
        assert_eq!((caps.new_names(), caps.refused()), (&[][..], 0));
        assert_eq!(labels(&caps.task(task("q", "mine")).series), ["c", "q", OTHER]);
        assert_eq!((caps.new_names(), caps.refused()), (&[][..], 1));
    }

    #[test]
    fn a_store_lets_in_what_it_has_room_for_and_each_name_once() {
        let known = [queue_name(1), Name { kind: TASK, id: 10, queue: 1 }];
        let tasks = [10, 11, 11, 12].map(|id| Name { kind: TASK, id, queue: 1 });
        let homeless = Name { kind: TASK, id: 20, queue: 2 };
        let asked = tasks.into_iter().chain([homeless]).chain([1, 2, 3].map(exception));
        let found = admitted(LIMITS, known, asked);
        assert_eq!(
            found,
            [tasks[1], exception(1), exception(2)],
            "two tasks a queue, two exceptions, no task without its queue"
        );
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
