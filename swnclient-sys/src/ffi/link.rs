//! The way from any thread to the one that runs a tevent context.
//!
//! There is one link for each pair of a state and a tevent context. Other threads
//! touch nothing of it but its bell, an eventfd, and two flags: whoever has left
//! something for the context's thread rings, and never waits, nor is waited for.
//! The bell wakes the context's loop through an event that is there while
//! requests wait, so that tevent_loop_wait goes on as long.
//!
//! The talloc objects hang below the context and go with it. The link itself is
//! reference counted, so that whoever comes late finds one that leads nowhere.
//!
//! The caller's functions are called from immediate events only, a new one each
//! time: a function may run a nested loop in which more is to be done, and may
//! free everything in there, which tevent allows for neither an event on a file
//! descriptor nor an immediate event that is used twice.

use super::abi::{tevent_context, tevent_req};
use super::bindings::{
    _talloc_free, _talloc_set_destructor, _talloc_zero, _tevent_add_fd, _tevent_create_immediate,
    _tevent_schedule_immediate, TEVENT_FD_READ, location, tevent_fd, tevent_fd_set_flags,
    tevent_immediate,
};
use super::{debug_callback, guard, request};
use crate::debug::{self, Loop};
use crate::engine;
use crate::errno::Errno;
use crate::inbox::Bell;
use crate::registry::{RequestId, Wake};
use crate::state::State;
use crate::system::EventFd;
use libc::{c_int, c_void};
use std::collections::{BTreeMap, VecDeque};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};

/// See the module's description.
#[derive(Debug)]
pub(super) struct Link {
    ev: *mut tevent_context,
    /// Another one that has a copy of it, after a fork, has the same eventfd.
    process: u32,
    state: Weak<State<Arc<Self>>>,
    bell: EventFd,
    /// A turn will follow, in which all that was left until now is seen.
    rung: AtomicBool,
    /// The event of the bell is there.
    attended: AtomicBool,
    /// The debug callback may have lines to take.
    lines: AtomicBool,
    /// Locked for moments only, by the caller's threads, and never while
    /// something of tevent's or of the caller's is called that calls back.
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The parent of what follows; NULL once the link leads nowhere.
    anchor: *mut Anchor,
    /// The event of the bell; NULL while no request waits.
    event: *mut tevent_fd,
    /// The thread that was last seen to use the context.
    thread: ThreadId,
    /// The requests that wait.
    requests: BTreeMap<RequestId, *mut tevent_req>,
    /// Those of them that something has happened to.
    woken: VecDeque<RequestId>,
    /// They will be looked at without being rung for.
    in_turn: bool,
    /// The state is gone: once all requests are told, the link goes too.
    retired: bool,
}

// SAFETY: the pointers are used on the context's thread only.
unsafe impl Send for Link {}
// SAFETY: as above; what other threads use is an eventfd, atomic or locked.
unsafe impl Sync for Link {}

/// The talloc object that goes with the tevent context.
#[repr(C)]
struct Anchor {
    /// A counted reference.
    link: *const Link,
}

/// What is to be done in a turn.
enum Turn {
    Complete(*mut tevent_req),
    Lines,
    Retire(*mut Anchor),
    /// The event can go.
    Rest(*mut tevent_fd),
    Nothing,
}

impl Link {
    /// Makes a link to a context. On the context's thread.
    ///
    /// # Safety
    /// `ev` is a tevent context of the calling thread's.
    pub(super) unsafe fn new(
        ev: NonNull<tevent_context>,
        state: &Arc<State<Arc<Self>>>,
    ) -> Result<Arc<Self>, Errno> {
        let ev = ev.as_ptr();
        let bell = EventFd::new()?;
        let name = c"struct swnc_link";
        // SAFETY: the context is a talloc object.
        let anchor = unsafe { _talloc_zero(ev.cast(), size_of::<Anchor>(), name.as_ptr()) };
        let anchor = NonNull::new(anchor.cast::<Anchor>()).ok_or(Errno::NOMEM)?.as_ptr();
        let link = Arc::new(Self {
            ev,
            process: std::process::id(),
            state: Arc::downgrade(state),
            bell,
            rung: AtomicBool::default(),
            attended: AtomicBool::default(),
            lines: AtomicBool::default(),
            inner: Mutex::new(Inner {
                anchor,
                event: ptr::null_mut(),
                thread: thread::current().id(),
                requests: BTreeMap::new(),
                woken: VecDeque::new(),
                in_turn: false,
                retired: false,
            }),
        });
        // SAFETY: the anchor is this function's; the destructor takes what it
        // gets: an anchor with a reference to the link.
        unsafe {
            (*anchor).link = Arc::into_raw(Arc::clone(&link));
            _talloc_set_destructor(anchor.cast(), Some(anchor_gone));
        }
        let as_loop: Arc<dyn Loop> = Arc::clone(&link) as _;
        debug::add_loop(Arc::downgrade(&as_loop));
        Ok(link)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is the living link to a context, which the calling thread uses.
    pub(super) fn leads_to(&self, ev: NonNull<tevent_context>) -> bool {
        let mut inner = self.lock();
        let leads =
            self.ev == ev.as_ptr() && !inner.anchor.is_null() && self.process == std::process::id();
        if leads {
            inner.thread = thread::current().id();
        }
        leads
    }

    /// Whether it leads anywhere.
    pub(super) fn is_open(&self) -> bool {
        !self.lock().anchor.is_null()
    }

    /// The context; it may be gone.
    pub(super) fn context(&self) -> *mut tevent_context {
        self.ev
    }

    /// From now on the request is completed when it is woken. On the context's
    /// thread.
    ///
    /// # Safety
    /// The request lives until it is removed.
    pub(super) unsafe fn add(&self, id: RequestId, request: *mut tevent_req) -> Result<(), Errno> {
        let mut inner = self.lock();
        if inner.event.is_null() {
            // SAFETY: on the context's thread, and it was alive in this call. The
            // link outlives the anchor, and so does its eventfd.
            inner.event = unsafe {
                _tevent_add_fd(
                    self.ev,
                    inner.anchor.cast(),
                    self.bell.number(),
                    TEVENT_FD_READ,
                    rung,
                    ptr::from_ref(self).cast_mut().cast(),
                    c"swnc_link_rung".as_ptr(),
                    location!(),
                )
            };
        }
        if inner.event.is_null() {
            return Err(Errno::NOMEM);
        }
        inner.requests.insert(id, request);
        drop(inner);
        if !self.attended.swap(true, Ordering::AcqRel) && debug::has_lines() {
            self.wake_for_lines();
        }
        Ok(())
    }

    /// The request has been completed, or is being freed. On the context's
    /// thread.
    pub(super) fn remove(&self, id: RequestId) {
        let mut inner = self.lock();
        inner.requests.remove(&id);
        if inner.requests.is_empty() {
            // To remove the event, unless there is another request by then.
            self.ring();
        }
    }

    /// The state is gone. From any thread.
    pub(super) fn retire(&self) {
        let mut inner = self.lock();
        inner.retired = true;
        let (anchor, here) = (inner.anchor, inner.thread == thread::current().id());
        if !inner.event.is_null() {
            self.ring();
        } else if here && !anchor.is_null() {
            drop(inner);
            // SAFETY: on the context's thread, and it is alive.
            unsafe { _talloc_free(anchor.cast(), location!()) };
        }
        // Otherwise it goes with the context.
    }

    /// Has the loop take a turn. From any thread.
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.bell.write();
        }
    }

    /// What is to be done next: one thing in a turn, the caller's loop decides
    /// what comes between two.
    fn turn(&self) -> Turn {
        // Whoever rings before this is seen below, later ones ring anew.
        self.rung.swap(false, Ordering::AcqRel);
        let mut inner = self.lock();
        let mut more = true;
        if inner.woken.is_empty() {
            inner.in_turn = true;
            drop(inner);
            more = self.state.upgrade().is_some_and(|state| state.catch_up());
            inner = self.lock();
            inner.in_turn = false;
        }
        let turn = inner.next(&self.lines);
        let more = more || !inner.woken.is_empty() || self.lines.load(Ordering::Acquire);
        if more || (turn.is_some() && inner.requests.is_empty()) {
            self.ring();
        }
        match turn {
            Some(turn) => turn,
            None if more => Turn::Nothing,
            None => inner.rest(),
        }
    }

    /// Nothing waits here for the time being.
    fn rest(&self, event: *mut tevent_fd) {
        // SAFETY: it belongs to the anchor, which is alive as the pointer was not
        // cleared, and its handler does not run.
        unsafe { _talloc_free(event.cast(), location!()) };
        self.attended.store(false, Ordering::Release);
        if self.lines.load(Ordering::Acquire) {
            debug::wake_a_loop();
        }
    }
}

impl Inner {
    /// Something that is to be done for the caller.
    fn next(&mut self, lines: &AtomicBool) -> Option<Turn> {
        while let Some(id) = self.woken.pop_front() {
            if let Some(request) = self.requests.get(&id) {
                return Some(Turn::Complete(*request));
            }
        }
        lines.swap(false, Ordering::AcqRel).then_some(Turn::Lines)
    }

    /// What is to be done where the caller has nothing to do.
    fn rest(&mut self) -> Turn {
        if !self.requests.is_empty() {
            Turn::Nothing
        } else if self.retired {
            Turn::Retire(self.anchor)
        } else {
            Turn::Rest(std::mem::replace(&mut self.event, ptr::null_mut()))
        }
    }
}

impl Wake for Arc<Link> {
    fn wake(&self, request: RequestId) {
        let mut inner = self.lock();
        inner.woken.push_back(request);
        if !inner.in_turn {
            self.ring();
        }
    }
}

impl Bell for Arc<Link> {
    fn ring(&self) {
        Link::ring(self);
    }
}

impl Loop for Link {
    fn wake_for_lines(&self) -> bool {
        let attended = self.attended.load(Ordering::Acquire);
        if attended {
            self.lines.store(true, Ordering::Release);
            self.ring();
        }
        attended
    }
}

/// The handler of the bell's event.
unsafe extern "C" fn rung(
    ev: *mut tevent_context,
    event: *mut tevent_fd,
    _flags: u16,
    link: *mut c_void,
) {
    let result = guard::run(|| {
        // SAFETY: the anchor is alive, as its event is; so is the link.
        let link = unsafe { &*link.cast_const().cast::<Link>() };
        let anchor = link.lock().anchor;
        // SAFETY: as above, and this is the context's thread; the event belongs to
        // the anchor, which the link outlives.
        unsafe {
            let immediate = _tevent_create_immediate(anchor.cast(), location!());
            if immediate.is_null() {
                // Comes back for as long as the bell is not read.
                return Err(Errno::NOMEM);
            }
            _tevent_schedule_immediate(
                immediate,
                ev,
                fired,
                ptr::from_ref(link).cast_mut().cast(),
                c"swnc_link_fired".as_ptr(),
                location!(),
            );
        }
        link.bell.read();
        Ok(())
    });
    if result == Err(Errno::FORKED) {
        // The bell is the parent's. SAFETY: in the event's handler.
        unsafe { tevent_fd_set_flags(event, 0) };
    }
}

/// The handler of the immediate event.
unsafe extern "C" fn fired(
    _ev: *mut tevent_context,
    immediate: *mut tevent_immediate,
    link: *mut c_void,
) {
    let result = guard::run(|| {
        let link = link.cast_const().cast::<Link>();
        // SAFETY: the anchor has a reference; what is done below may free it, so
        // there is one more. tevent takes care of an immediate event that is freed
        // by its own handler.
        let link = unsafe {
            Arc::increment_strong_count(link);
            _talloc_free(immediate.cast(), location!());
            Arc::from_raw(link)
        };
        match link.turn() {
            // SAFETY: it waits, or it would have been removed.
            Turn::Complete(request) => unsafe { request::complete(request) },
            Turn::Lines => {
                if debug_callback::deliver() {
                    link.wake_for_lines();
                }
            }
            Turn::Retire(anchor) => {
                // SAFETY: no request waits, and the state is gone.
                unsafe { _talloc_free(anchor.cast(), location!()) };
            }
            Turn::Rest(event) => link.rest(event),
            Turn::Nothing => {}
        }
        Ok(())
    });
    // A panic is in the log; a forked process has nothing to do here.
    let _ = result;
}

/// The anchor's destructor: the context is gone, or the link retires.
unsafe extern "C" fn anchor_gone(anchor: *mut c_void) -> c_int {
    // SAFETY: set by `Link::new`, and taken back here once.
    let link = unsafe { Arc::from_raw((*anchor.cast::<Anchor>()).link) };
    if engine::is_forked() {
        // A lock may be held for ever.
        std::mem::forget(link);
        return 0;
    }
    let mut inner = link.lock();
    inner.anchor = ptr::null_mut();
    let event = std::mem::replace(&mut inner.event, ptr::null_mut());
    inner.requests.clear();
    inner.woken.clear();
    drop(inner);
    if !event.is_null() {
        // Before its file descriptor is closed.
        link.rest(event);
    }
    0
}
