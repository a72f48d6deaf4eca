//! Keeps a mapped file that somebody truncates from killing this process. Knows nothing of what is in the file.
//!
//! A store to a page that a file no longer has, or that its disk cannot give, raises SIGBUS, whose default ends the process: here
//! the user's worker. No system call could be asked first without a gap between answer and store. So the handler puts
//! anonymous memory where the file was, notes it, and the store goes on; who stored looks at the note and writes elsewhere.
//! Any other SIGBUS goes to whom it would have gone without us.

#![expect(unsafe_code, reason = "handles a signal")]

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::kernel;

/// Mappings of one process at once: two for each recorder, one more for each time that its page was deleted, those of parents.
const PLACES: usize = 256;

static GUARDED: [Place; PLACES] = [const { Place::new() }; PLACES];
/// Our handler was in place once.
static INSTALLED: AtomicBool = AtomicBool::new(false);
/// Whom SIGBUS went to before, and its flags.
static PREVIOUS: AtomicUsize = AtomicUsize::new(libc::SIG_DFL);
static PREVIOUS_FLAGS: AtomicUsize = AtomicUsize::new(0);

/// A range of addresses that the guard knows.
#[derive(Debug)]
pub struct Place {
    taken: AtomicBool,
    start: AtomicUsize,
    end: AtomicUsize,
    broken: AtomicBool,
}

impl Place {
    const fn new() -> Place {
        Place {
            taken: AtomicBool::new(false),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        }
    }

    /// A free place, if there is one.
    pub fn take() -> Option<&'static Place> {
        let place = GUARDED.iter().find(|place| {
            !place.taken.load(Ordering::Relaxed)
                && place.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
        })?;
        place.broken.store(false, Ordering::Relaxed);
        Some(place)
    }

    /// Guards this range, which must be a mapping of whole pages that only the caller unmaps.
    pub fn guard(&self, start: usize, length: usize) {
        self.end.store(start + length, Ordering::Release);
        self.start.store(start, Ordering::Release);
    }

    /// Gives the place back. Nobody may use the range any more; it is unmapped after that, since it may be another's then.
    pub fn give_back(&self) {
        self.start.store(0, Ordering::Release);
        self.end.store(0, Ordering::Release);
        self.taken.store(false, Ordering::Release);
    }

    /// Lets go of the file: what is stored in the range from now on is in none, and needs no guard.
    pub fn detach(&self) {
        self.replace();
    }

    /// True when the range shows anonymous memory: what was stored since, and perhaps before, is in no file.
    #[inline]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    fn holds(&self, address: usize) -> bool {
        let start = self.start.load(Ordering::Acquire);
        let end = self.end.load(Ordering::Acquire);
        // Else the place changed hands in between.
        start != 0 && (start..end).contains(&address) && self.start.load(Ordering::Relaxed) == start
    }

    /// True when a page in the range cannot be had; called in a signal handler.
    fn is_cut(&self) -> bool {
        let (start, end) = (self.start.load(Ordering::Acquire), self.end.load(Ordering::Acquire));
        if start == 0 || end <= start {
            return false;
        }
        kernel::is_cut(start as *mut libc::c_void, end - start)
    }

    /// Puts anonymous memory in place of the file; called in a signal handler too. The caller keeps the range from being unmapped.
    fn replace(&self) -> bool {
        let (start, end) = (self.start.load(Ordering::Relaxed), self.end.load(Ordering::Relaxed));
        // Before the memory is there: who stores to it then reads this.
        self.broken.store(true, Ordering::SeqCst);
        let (access, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
        // SAFETY: the whole range is a mapping of ours, and whoever calls keeps it from being unmapped.
        unsafe { libc::mmap(start as *mut libc::c_void, end - start, access, flags, -1, 0) != libc::MAP_FAILED }
    }
}

/// True when SIGBUS comes to our handler; the first call of a process sees to that. False when somebody took the signal over
/// since: it is left to them, and files must not be mapped.
pub fn arm() -> bool {
    let Some(current) = disposition() else { return false };
    if current.sa_sigaction == handler() {
        return true;
    }
    if INSTALLED.load(Ordering::Acquire) {
        return false;
    }
    // Threads that come here at once store and install the same.
    PREVIOUS.store(current.sa_sigaction, Ordering::Relaxed);
    PREVIOUS_FLAGS.store(current.sa_flags as usize, Ordering::Release);
    let mut ours = current;
    ours.sa_sigaction = handler();
    // With the mask of the handler before, and its restarting of system calls; on its stack, should the thread have one.
    ours.sa_flags = current.sa_flags & libc::SA_RESTART | libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the structure is whole, and the handler calls only what a signal handler may call.
    let installed = unsafe { libc::sigaction(libc::SIGBUS, &ours, ptr::null_mut()) } == 0;
    INSTALLED.store(installed, Ordering::Release);
    installed
}

fn handler() -> usize {
    on_bus_error as extern "C" fn(_, _, _) as usize
}

fn disposition() -> Option<libc::sigaction> {
    let mut current = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the kernel fills the structure when it answers 0.
    unsafe { (libc::sigaction(libc::SIGBUS, ptr::null(), current.as_mut_ptr()) == 0).then(|| current.assume_init()) }
}

extern "C" fn on_bus_error(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // Of a thread that was interrupted anywhere.
    let errno = kernel::errno();
    // SAFETY: the kernel gives a whole siginfo of a signal that is delivered with SA_SIGINFO.
    let (code, address) = unsafe { ((*info).si_code, (*info).si_addr() as usize) };
    // A code above 0 is a fault, else somebody sent the signal: perhaps a handler that was put over ours later, reported the fault and
    // sends it on, as `faulthandler` does.
    let ours = match code {
        1.. => GUARDED.iter().find(|place| place.holds(address)),
        kernel::SENT_BY_THREAD => GUARDED.iter().find(|place| place.is_cut()),
        _ => None,
    };
    if !ours.is_some_and(Place::replace) {
        pass_on(signal, code, info, context);
    }
    kernel::set_errno(errno);
}

/// Does what would have been done without us.
fn pass_on(signal: libc::c_int, code: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let flags = PREVIOUS_FLAGS.load(Ordering::Acquire) as libc::c_int;
    match PREVIOUS.load(Ordering::Relaxed) {
        libc::SIG_IGN if code <= 0 => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: the default is restored by a zeroed sigaction. A fault comes again when the handler returns, and then ends the
            // process where it happened; a signal that was sent is sent again.
            unsafe {
                let default: libc::sigaction = MaybeUninit::zeroed().assume_init();
                libc::sigaction(signal, &default, ptr::null_mut());
                if code <= 0 {
                    libc::raise(signal);
                }
            }
        }
        previous if flags & libc::SA_SIGINFO != 0 => {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: the kernel would have called this address with these arguments.
            unsafe { std::mem::transmute::<usize, Handler>(previous)(signal, info, context) }
        }
        previous => {
            // SAFETY: as above.
            unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(previous)(signal) }
        }
    }
}
