//! The names that DEF records define, and the series made of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::caps::{Caps, Limits};
use crate::fold::{Series, ServerTask, Task, UNDEFINED};
use crate::ids::IdMap;
use crate::journal::format::{Def, PART_SIZE};
use crate::names::{self, LABEL_LIMIT, NAME};

/// Longest label list: seven of the longest labels.
const LIST_LIMIT: u32 = (2 + 7 * (4 + LABEL_LIMIT)) as u32;
/// Label lists of which parts are missing, at a time. More only come from damaged or hostile segments.
const PARTIAL_LIMIT: usize = 256;
/// Series of exceptions kept ready.
const EXCEPTION_LIMIT: usize = 16_384;

#[derive(Debug)]
struct Known {
    list: Arc<[u8]>,
    /// Segments that define it. Without one it is forgotten.
    segments: usize,
    task: Option<Arc<Task>>,
    /// It on the servers that ran it: one in most spools, and never more than have series of their own.
    on_servers: Vec<Arc<ServerTask>>,
}

#[derive(Debug)]
struct Partial {
    list: Vec<u8>,
    /// Which parts came.
    parts: Vec<bool>,
    missing: usize,
}

/// What came of a DEF record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defined {
    /// The id is defined.
    Yes,
    /// Parts are missing.
    NotYet,
    /// It contradicts itself or another part.
    Damaged,
}

/// The names that are defined in the segments of a spool.
#[derive(Debug)]
pub struct Definitions {
    known: IdMap<Known>,
    partial: HashMap<u64, Partial>,
    exceptions: HashMap<(u64, u64), Series>,
    caps: Caps,
    /// Where executions count whose worker did not say who it is.
    unknown_server: Series,
}

impl Default for Definitions {
    fn default() -> Self {
        Definitions::of(Caps::default())
    }
}

impl Definitions {
    /// No names yet.
    pub fn new(limits: Limits) -> Definitions {
        Definitions::of(Caps::new(limits))
    }

    /// Forgets what segments define; which names have series of their own stays.
    pub fn renew(&mut self) {
        *self = Definitions::of(std::mem::take(&mut self.caps));
    }

    fn of(caps: Caps) -> Definitions {
        Definitions {
            known: IdMap::default(),
            partial: HashMap::new(),
            exceptions: HashMap::new(),
            caps,
            unknown_server: Series::server(None),
        }
    }

    /// Which names have series of their own.
    pub fn caps(&mut self) -> &mut Caps {
        &mut self.caps
    }

    /// Takes one part. [`retain`](Definitions::retain) must follow the first Yes of a segment.
    pub fn define(&mut self, def: &Def) -> Defined {
        if self.known.contains_key(&def.id) {
            return Defined::Yes;
        }
        let (length, number) = (def.length as usize, usize::from(def.part_number));
        if !(2..=LIST_LIMIT).contains(&def.length) || number >= length.div_ceil(PART_SIZE) {
            return Defined::Damaged;
        }
        if self.partial.len() >= PARTIAL_LIMIT && !self.partial.contains_key(&def.id) {
            self.partial.clear();
        }
        let partial = self.partial.entry(def.id).or_insert_with(|| {
            let parts = length.div_ceil(PART_SIZE);
            Partial { list: Vec::new(), parts: vec![false; parts], missing: parts }
        });
        if partial.parts.len() != length.div_ceil(PART_SIZE) {
            self.partial.remove(&def.id);
            return Defined::Damaged;
        }
        let from = PART_SIZE * number;
        let to = (from + PART_SIZE).min(length);
        if partial.list.len() < to {
            partial.list.resize(to, 0);
        }
        partial.list[from..to].copy_from_slice(&def.part[..to - from]);
        partial.missing -= usize::from(!std::mem::replace(&mut partial.parts[number], true));
        if partial.missing > 0 {
            return Defined::NotYet;
        }
        let list = self.partial.remove(&def.id).map(|partial| partial.list).unwrap_or_default();
        if list.len() != length || names::hash64(&list) != def.id || names::parse_label_list(&list).is_err() {
            return Defined::Damaged;
        }
        self.known.insert(def.id, Known { list: list.into(), segments: 0, task: None, on_servers: Vec::new() });
        Defined::Yes
    }

    /// Keeps a name as long as one more segment.
    pub fn retain(&mut self, id: u64) {
        if let Some(known) = self.known.get_mut(&id) {
            known.segments += 1;
        }
    }

    /// Forgets a name if it was defined in no other segment.
    pub fn release(&mut self, id: u64) {
        if let Some(known) = self.known.get_mut(&id) {
            known.segments -= 1;
            if known.segments == 0 {
                self.known.remove(&id);
            }
        }
    }

    /// The label list of an id.
    pub fn list(&self, id: u64) -> Option<&Arc<[u8]>> {
        Some(&self.known.get(&id)?.list)
    }

    /// The task of an id.
    pub fn task(&mut self, id: u64) -> Arc<Task> {
        match self.known.get_mut(&id) {
            Some(known) => {
                let made = || Arc::new(self.caps.task(Task::new(Some(&known.list))));
                Arc::clone(known.task.get_or_insert_with(made))
            }
            None => Arc::new(Task::new(None)),
        }
    }

    /// The server of a worker, by the id of its label list.
    pub fn server(&mut self, id: u64) -> Series {
        let server = Series::server(self.list(id));
        self.caps.server(server)
    }

    /// The task of an id on a server; None: it is not known which.
    pub fn server_task(&mut self, id: u64, server: Option<&Series>) -> Arc<ServerTask> {
        let server = server.unwrap_or(&self.unknown_server);
        if let Some(known) = self.known.get(&id)
            && let Some(place) = known.on_servers.iter().find(|place| place.server.id == server.id)
        {
            return Arc::clone(place);
        }
        let server = server.clone();
        let place = ServerTask::new(self.task(id), server);
        let place = Arc::new(self.caps.server_task(place));
        if let Some(known) = self.known.get_mut(&id) {
            known.on_servers.push(Arc::clone(&place));
        }
        place
    }

    /// The queue of an id; None when it has no series of its own.
    pub fn queue(&mut self, id: u64) -> Option<Series> {
        let queue = Series::queue(self.list(id));
        self.caps.queue(queue)
    }

    /// The series of a task's exceptions of the type that an id names.
    pub fn exception(&mut self, task: &Task, id: u64) -> Series {
        let Some(known) = self.known.get(&id) else { return task.exception(UNDEFINED) };
        let key = (task.series.id, id);
        if let Some(series) = self.exceptions.get(&key) {
            return series.clone();
        }
        let series = task.exception(match names::parse_label_list(&known.list) {
            Ok((NAME, labels)) if labels.len() == 1 => self.caps.exception(labels[0]),
            _ => UNDEFINED,
        });
        if self.exceptions.len() >= EXCEPTION_LIMIT {
            self.exceptions.clear();
        }
        self.exceptions.insert(key, series.clone());
        series
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::journal::format::{Record, definition};
    use crate::names::{QUEUE, TASK, label_list};

    fn parts(list: &[u8]) -> Vec<Def> {
        definition(list)
            .map(|record| match record {
                Record::Def(def) => def,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_name_is_forgotten_with_its_last_segment() {
        let list = label_list(TASK, &["a", "b", "c"]);
        let mut names = Definitions::default();
        assert_eq!(names.define(&parts(&list)[0]), Defined::Yes);
        let id = names::hash64(&list);
        names.retain(id);
        names.retain(id);
        names.release(id);
        assert_eq!(&*names.task(id).queue.labels, label_list(QUEUE, &["a", "b"]));
        names.release(id);
        assert_eq!(&*names.task(id).series.labels, label_list(TASK, &[UNDEFINED; 3]));
    }

    #[test]
    fn many_unfinished_names_take_bounded_memory() {
        let mut names = Definitions::default();
        for id in 0..10_000 {
            let def = Def { part_number: 1, id, length: LIST_LIMIT, part: [1; PART_SIZE] };
            assert_eq!(names.define(&def), Defined::NotYet);
        }
        assert!(names.partial.len() <= PARTIAL_LIMIT);
        let huge = Def { part_number: 0, id: 1, length: u32::MAX, part: [1; PART_SIZE] };
        assert_eq!(names.define(&huge), Defined::Damaged);
    }

    proptest! {
        #[test]
        fn parts_may_come_in_any_order_and_twice(name in "[^\0]{1,200}", order in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
            let list = label_list(NAME, &[&name]);
            let (id, parts) = (names::hash64(&list), parts(&list));
            let mut names = Definitions::default();
            for at in order {
                names.define(at.get(&parts));
            }
            for part in parts.iter().rev() {
                names.define(part);
            }
            prop_assert_eq!(names.list(id).map(|list| list.to_vec()), Some(list));
        }

        #[test]
        fn any_parts_are_survived(defs in prop::collection::vec((0_u16..5, 0_u64..3, 0_u32..200), 0..40)) {
            let mut names = Definitions::default();
            for (part_number, id, length) in defs {
                names.define(&Def { part_number, id, length, part: [7; PART_SIZE] });
                prop_assert!(names.list(id).is_none());
            }
        }
    }
}
