//! Stamps behind messages and arrivals, for a library whose jobs are objects that become messages and objects again.
//!
//! Such an object carries a *note* in an attribute: its attempt, as if it was executed already, which most of what comes out of a queue
//! soon is. Until then it waits here with its stamp, found by its address; the execution has nothing to write. Only where something else
//! happens to it the note becomes what is true: a message or stamp of what was not executed yet.

mod callables;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use pyo3::Borrowed;
use pyo3::exceptions::PyException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyString, PyType};
use queue_metrics_core::journal::format::NO_TIME;
use queue_metrics_core::names::job_hash;
use queue_metrics_core::recorder::fork;
use queue_metrics_core::sampling::clock;
use queue_metrics_core::stamp::Stamp;

use self::callables::{Stamped, Storing, Unpacked};
use crate::guard::guarded;
use crate::native::values::integer;
use crate::native::waiting::Waiting;
use crate::native::{function, method};
use crate::recorder::Recorder;
use crate::text::{attempt, text};

/// A job that is on its way into storage.
#[derive(Clone, Copy)]
struct Leaving {
    /// Address of its object; 0: none.
    object: usize,
    /// Hash of its id.
    job: u64,
    handle: i64,
    /// Its arrival; None: it only moves from one place in storage to another.
    arrival: Option<Stamp>,
}

const NOTHING: Leaving = Leaving { object: 0, job: 0, handle: 0, arrival: None };

thread_local! {
    /// Between the message and the return of the way into storage. Another job that comes in between takes the place, and the one before
    /// is recorded the slow way.
    static LEAVING: Cell<Leaving> = const { Cell::new(NOTHING) };
}

/// What is said of an object that came out of a message and was not executed yet.
struct Came {
    id: Py<PyString>,
    stamp: Stamp,
}

/// Stamps messages and records what is stored and executed, without asking Python in the usual case.
#[pyclass(frozen, module = "queue_metrics._core")]
pub struct Messages {
    recorder: Py<Recorder>,
    owner: Py<PyAny>,
    note: Py<PyString>,
    retries: Py<PyString>,
    series: Py<PyAny>,
    moment: Py<PyAny>,
    arrived: Py<PyAny>,
    handles: Py<PyDict>,
    waiting: Waiting<Came>,
    /// The type asked for last, which `handles` keeps alive, and its handle; both change under the interpreter's lock only.
    last_type: AtomicUsize,
    last_handle: AtomicI64,
    /// Generation of the process that `arrived` was asked in last.
    known: AtomicU64,
    active: AtomicBool,
}

/// What the note of an object says about a call.
pub enum Noted<'py> {
    /// It executes a job.
    Execution { handle: i64, id: Bound<'py, PyString>, stamp: Stamp },
    /// It is part of an execution, or nobody wants to know.
    Nothing,
    /// Nothing for certain: the hook has to be asked.
    Unknown,
}

#[pymethods]
impl Messages {
    #[new]
    fn new(
        recorder: Py<Recorder>,
        owner: Py<PyAny>,
        note: &Bound<'_, PyString>,
        retries: &Bound<'_, PyString>,
        series: Py<PyAny>,
        moment: Py<PyAny>,
        arrived: Py<PyAny>,
    ) -> Messages {
        let py = note.py();
        Messages {
            recorder,
            owner,
            note: PyString::intern(py, &text(note)).unbind(),
            retries: PyString::intern(py, &text(retries)).unbind(),
            series,
            moment,
            arrived,
            handles: PyDict::new(py).unbind(),
            waiting: Waiting::new(),
            last_type: AtomicUsize::new(0),
            last_handle: AtomicI64::new(0),
            known: AtomicU64::new(0),
            active: AtomicBool::new(true),
        }
    }

    #[getter]
    fn stamped<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        function(&Bound::new(slf.py(), Stamped(slf.clone().unbind()))?)
    }

    #[getter]
    fn unpacked<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        function(&Bound::new(slf.py(), Unpacked(slf.clone().unbind()))?)
    }

    #[pyo3(signature = (object = None))]
    fn settle(&self, py: Python<'_>, object: Option<&Bound<'_, PyAny>>) {
        match object {
            Some(object) => self.settled(object),
            None => {
                while let Some((object, came)) = self.waiting.take_any(py) {
                    self.note_down(&object, &came);
                }
            }
        }
    }

    fn storing<'py>(slf: &Bound<'py, Self>, inner: Py<PyAny>) -> PyResult<Bound<'py, PyAny>> {
        method(Bound::new(slf.py(), Storing { messages: slf.clone().unbind(), inner })?)
    }

    #[pyo3(signature = (class_, /))]
    fn handle(&self, class_: &Bound<'_, PyType>) -> PyResult<i64> {
        let class = class_;
        let handles = self.handles.bind(class.py());
        if let Some(handle) = handles.get_item(class)? {
            return handle.extract();
        }
        let handle = self.series.bind(class.py()).call1((class,))?;
        handles.set_item(class, &handle)?;
        handle.extract()
    }

    fn forget(&self, py: Python<'_>) {
        self.last_type.store(0, Ordering::Relaxed);
        self.handles.bind(py).clear();
    }

    fn dismiss(&self) {
        leave(None);
    }

    fn stop(&self, py: Python<'_>) {
        self.active.store(false, Ordering::Relaxed);
        self.settle(py, None);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.recorder)?;
        visit.call(&self.owner)?;
        visit.call(&self.series)?;
        visit.call(&self.moment)?;
        visit.call(&self.arrived)?;
        visit.call(&self.handles)?;
        self.waiting.traverse(&visit)
    }
}

impl Messages {
    /// What is known of a call that is about to execute an object. Asks no Python.
    #[inline]
    pub fn noted<'py>(&self, object: Borrowed<'_, 'py, PyAny>) -> Noted<'py> {
        if !self.active.load(Ordering::Relaxed) {
            return Noted::Nothing;
        }
        match self.waiting.take(&object) {
            Some(came) => match self.handle_met(&object.get_type()) {
                Some(handle) => Noted::Execution { handle, id: came.id.into_bound(object.py()), stamp: came.stamp },
                None => {
                    self.note_down(&object, &came);
                    Noted::Unknown
                }
            },
            None if self.note_of(&object).is_some_and(|note| note.is_instance_of::<PyInt>()) => Noted::Nothing,
            None => Noted::Unknown,
        }
    }

    /// Whether an ordinary exception of a job means that it runs again.
    pub fn retries_left(&self, object: &Bound<'_, PyAny>) -> bool {
        let retries = object.getattr(self.retries.bind(object.py()));
        retries.is_ok_and(|retries| integer(&retries).is_some_and(|retries| retries > 0))
    }

    #[inline]
    fn note_of<'py>(&self, object: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
        match object.getattr(self.note.bind(object.py())) {
            Ok(note) => Some(note),
            Err(error) => {
                Python::attach(|_| drop(error));
                None
            }
        }
    }

    /// An object that waited does not any longer: its note says what is true.
    #[inline]
    fn settled(&self, object: &Bound<'_, PyAny>) {
        if let Some(came) = self.waiting.take(object) {
            self.note_down(object, &came);
        }
    }

    #[cold]
    fn note_down(&self, object: &Bound<'_, PyAny>, came: &Came) {
        Python::attach(|py| {
            let stamp = PyBytes::new(py, &came.stamp.bytes());
            if object.setattr(self.note.bind(py), stamp).is_err() {
                self.recorder.get().0.hook_error();
            }
        });
    }

    /// Another object takes the place of one that waited.
    #[cold]
    fn sent_away(&self, object: Bound<'_, PyAny>, came: Came) {
        self.note_down(&object, &came);
        Python::attach(|_| drop((object, came)));
    }

    /// The handle of a task that was asked for before.
    #[inline]
    fn handle_met(&self, class: &Bound<'_, PyType>) -> Option<i64> {
        let address = class.as_ptr() as usize;
        if self.last_type.load(Ordering::Relaxed) == address {
            return Some(self.last_handle.load(Ordering::Relaxed));
        }
        let handle = self.handles.bind(class.py()).get_item(class).ok()??.extract().ok()?;
        self.last_handle.store(handle, Ordering::Relaxed);
        self.last_type.store(address, Ordering::Relaxed);
        Some(handle)
    }

    /// Notes the job that is about to be stored; answers the stamp for its message.
    #[inline]
    fn leaving(
        &self,
        object: Borrowed<'_, '_, PyAny>,
        id: Borrowed<'_, '_, PyAny>,
        eta: Borrowed<'_, '_, PyAny>,
    ) -> PyResult<Stamp> {
        self.settled(&object);
        let note = self.note_of(&object).filter(|note| !note.is_none());
        let (attempt, moved) = match &note {
            None => (0, None),
            Some(note) => match note.cast_exact::<PyBytes>() {
                Ok(message) => (0, Some(Stamp::read(message.as_bytes()).unwrap_or(Stamp::NONE))),
                Err(_) => (u32::from(attempt(note)).saturating_add(1), None),
            },
        };
        let stamp = match moved {
            Some(stamp) => stamp,
            None => {
                let now = clock::wall_us();
                let ready_at = if eta.is_none() { now } else { now.max(self.moment(&eta)?) };
                Stamp { ready_at, attempt }
            }
        };
        let class = object.get_type();
        let handle = match self.handle_met(&class) {
            Some(handle) => Some(handle),
            None => self.forgiven(Python::attach(|_| self.handle(&class)))?,
        };
        let of = |handle| {
            let id = id.cast_exact::<PyString>().ok()?;
            let job = job_hash(&text(&id));
            Some(Leaving { object: object.as_ptr() as usize, job, handle, arrival: moved.is_none().then_some(stamp) })
        };
        leave(handle.and_then(of));
        Ok(stamp)
    }

    #[cold]
    fn moment(&self, eta: &Bound<'_, PyAny>) -> PyResult<i64> {
        let moment = Python::attach(|_| self.moment.bind(eta.py()).call1((eta,)).map(|moment| integer(&moment)));
        Ok(self.forgiven(moment)?.flatten().unwrap_or(NO_TIME))
    }

    /// A job is in storage.
    #[inline]
    fn stored(&self, object: Borrowed<'_, '_, PyAny>) -> PyResult<()> {
        let leaving = LEAVING.get();
        if leaving.object != object.as_ptr() as usize || self.known.load(Ordering::Relaxed) != fork::generation() {
            return self.stored_slowly(&object);
        }
        leave(None);
        if let Some(stamp) = leaving.arrival {
            let recorder = &self.recorder.get().0;
            let attempt = u16::try_from(stamp.attempt).unwrap_or(u16::MAX);
            guarded(recorder, (), || recorder.arrived_as(leaving.handle, leaving.job, attempt, stamp.ready_at));
        }
        Ok(())
    }

    /// The hook is asked: the job was not made a message here, or the process is new.
    #[cold]
    fn stored_slowly(&self, object: &Bound<'_, PyAny>) -> PyResult<()> {
        leave(None);
        self.known.store(fork::generation(), Ordering::Relaxed);
        self.forgiven(Python::attach(|_| self.arrived.bind(object.py()).call1((object,)).map(drop))).map(drop)
    }

    /// Counts an error of ours and forgets it; what is no `Exception` is for the job that was interrupted here.
    fn forgiven<T>(&self, result: PyResult<T>) -> PyResult<Option<T>> {
        match result {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => Python::attach(|py| {
                if !error.is_instance_of::<PyException>(py) {
                    return Err(error);
                }
                self.recorder.get().0.hook_error();
                drop(error);
                Ok(None)
            }),
        }
    }
}

fn leave(leaving: Option<Leaving>) {
    LEAVING.set(leaving.unwrap_or(NOTHING));
}

/// The moment and the attempt in the last bytes of a message, or None.
#[pyfunction]
pub fn read_stamp(message: &[u8]) -> Option<(i64, u32)> {
    Stamp::read(message).map(|stamp| (stamp.ready_at, stamp.attempt))
}
