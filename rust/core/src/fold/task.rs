//! The series that records of a task count in.

use std::sync::Arc;

use crate::names::{self, EXCEPTION, QUEUE, SERVER, SERVER_TASK, TASK, WORKER};

/// Label of what a damaged journal does not name.
pub const UNDEFINED: &str = "__undefined__";

/// A series by its id and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its id.
    pub id: u64,
    /// Its label list.
    pub labels: Arc<[u8]>,
}

impl Series {
    /// Its labels.
    pub fn names(&self) -> Vec<&str> {
        names::parse_label_list(&self.labels).map(|(_, labels)| labels).unwrap_or_default()
    }

    /// The series of these labels.
    pub fn new(kind: u8, labels: &[&str]) -> Series {
        let list = names::label_list(kind, labels);
        Series { id: names::hash64(&list), labels: list.into() }
    }

    /// The queue in a label list; [`UNDEFINED`] unless it is one.
    pub fn queue(list: Option<&Arc<[u8]>>) -> Series {
        match list.map(|list| (list, names::parse_label_list(list))) {
            Some((list, Ok((QUEUE, labels)))) if labels.len() == 2 => {
                Series { id: names::hash64(list), labels: Arc::clone(list) }
            }
            _ => Series::new(QUEUE, &[UNDEFINED; 2]),
        }
    }

    /// The server in the label list of a worker; [`UNDEFINED`] unless it is one.
    pub fn server(list: Option<&Arc<[u8]>>) -> Series {
        match list.map(|list| names::parse_label_list(list)) {
            Some(Ok((WORKER, labels))) if labels.len() == 3 => Series::new(SERVER, &labels[..1]),
            _ => Series::new(SERVER, &[UNDEFINED]),
        }
    }
}

/// A task: its own series, and that of the queue it lives in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Series of the task.
    pub series: Series,
    /// Series of its queue.
    pub queue: Series,
}

impl Task {
    /// The task in a label list; [`UNDEFINED`] unless it is one.
    pub fn new(list: Option<&Arc<[u8]>>) -> Task {
        match list.map(|list| (list, names::parse_label_list(list))) {
            Some((list, Ok((TASK, labels)))) if labels.len() == 3 => Task {
                series: Series { id: names::hash64(list), labels: Arc::clone(list) },
                queue: Series::new(QUEUE, &labels[..2]),
            },
            _ => Task { series: Series::new(TASK, &[UNDEFINED; 3]), queue: Series::new(QUEUE, &[UNDEFINED; 2]) },
        }
    }

    /// The series of one type of exception that this task raises.
    pub fn exception(&self, kind: &str) -> Series {
        Series::new(EXCEPTION, &[&self.series.names()[..], &[kind]].concat())
    }
}

/// A task on a server: where an execution counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTask {
    /// Of this task and this server alone, also where their series is shared with others.
    pub id: u64,
    /// The task.
    pub task: Arc<Task>,
    /// Series of the server.
    pub server: Series,
    /// Series of the task on the server.
    pub series: Series,
}

impl ServerTask {
    /// A task on a server.
    pub fn new(task: Arc<Task>, server: Series) -> ServerTask {
        let series = Series::new(SERVER_TASK, &[server.names(), task.series.names()].concat());
        ServerTask { id: series.id, task, server, series }
    }
}
