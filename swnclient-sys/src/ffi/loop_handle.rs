//! The way from any thread to the one that runs a tevent context.
//!
//! There is one loop handle for each pair of a state and a tevent context. Other
//! threads touch nothing of it but an eventfd and two flags: they notify it of what
//! they have left for the context's thread, and neither waits for the other. The
//! eventfd wakes the context's loop through an event that is there while requests
//! wait, so that tevent_loop_wait goes on as long.
//!
//! The talloc objects hang below the context and go with it. The handle itself is
//! reference counted, so that a thread that is late finds one that is not open.
//!
//! The caller's functions are called from immediate events only, a new one each
//! time: a function may run a nested loop that has more to do, and may free
//! everything in there, which tevent allows for neither an event on a file
//! descriptor nor an immediate event that is used twice.

use super::abi::{tevent_context, tevent_req};
use super::bindings::{
    _talloc_free, _talloc_set_destructor, _talloc_zero, _tevent_add_fd, _tevent_create_immediate,
    _tevent_schedule_immediate, TEVENT_FD_READ, location, tevent_fd, tevent_fd_set_flags,
    tevent_immediate,
};
use super::debug_callback;
use super::guard::callback;
use crate::debug::{self, Loop};
use crate::errno::Errno;
use crate::inbox::Notifier;
use crate::registry::{RequestId, Wake};
use crate::system::EventFd;
use crate::witness_client::WitnessClient;
use libc::{c_int, c_void};
use std::collections::{BTreeMap, VecDeque};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};

/// Completes a request if it has an outcome by now. Called on the context's thread
/// while the request waits.
pub(super) type Complete = unsafe fn(*mut tevent_req);

/// See the module's description.
#[derive(Debug)]
pub(super) struct LoopHandle {
    ev: *mut tevent_context,
    /// A process that has a copy of the handle, after a fork, has the same eventfd.
    process: u32,
    client: Weak<WitnessClient<Arc<Self>>>,
    eventfd: EventFd,
    /// A turn will follow, which sees all that was left until now.
    signaled: AtomicBool,
    /// The eventfd has its event.
    armed: AtomicBool,
    /// The debug callback may have lines to take.
    lines: AtomicBool,
    /// Locked for moments only, by the caller's threads, and never while
    /// something of tevent's or of the caller's is called that calls back.
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The parent of what follows; NULL once the handle is closed.
    anchor: *mut Anchor,
    /// The event of the eventfd; NULL while no request waits.
    event: *mut tevent_fd,
    /// The thread that was last seen to use the context.
    thread: ThreadId,
    /// The requests that wait.
    requests: BTreeMap<RequestId, Waiting>,
    /// Those of them that something has happened to.
    woken: VecDeque<RequestId>,
    /// They will be looked at without a notification.
    in_turn: bool,
    /// The state is gone: once all requests are told, the handle goes too.
    retired: bool,
}

// SAFETY: the pointers are used on the context's thread only.
unsafe impl Send for LoopHandle {}
// SAFETY: as above; what other threads use is an eventfd, atomic or locked.
unsafe impl Sync for LoopHandle {}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    request: *mut tevent_req,
    complete: Complete,
}

/// The talloc object that goes with the tevent context.
#[repr(C)]
struct Anchor {
    /// A counted reference.
    handle: *const LoopHandle,
}

/// What a turn does.
enum Turn {
    Complete(Waiting),
    Lines,
    Retire(*mut Anchor),
    /// Frees the event, for which no request waits.
    Disarm(*mut tevent_fd),
    Nothing,
}

impl LoopHandle {
    /// Makes a handle to a context's loop. On the context's thread.
    ///
    /// # Safety
    /// `ev` is a tevent context of the calling thread's.
    pub(super) unsafe fn new(
        ev: NonNull<tevent_context>,
        client: &Arc<WitnessClient<Arc<Self>>>,
    ) -> Result<Arc<Self>, Errno> {
        let ev = ev.as_ptr();
        let eventfd = EventFd::new()?;
        let name = c"struct swnc_loop_handle";
        // SAFETY: the context is a talloc object.
        let anchor = unsafe { _talloc_zero(ev.cast(), size_of::<Anchor>(), name.as_ptr()) };
        let anchor = NonNull::new(anchor.cast::<Anchor>()).ok_or(Errno::NOMEM)?.as_ptr();
        let handle = Arc::new(Self {
            ev,
            process: std::process::id(),
            client: Arc::downgrade(client),
            eventfd,
            signaled: AtomicBool::default(),
            armed: AtomicBool::default(),
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
        // gets: an anchor with a reference to the handle.
        unsafe {
            (*anchor).handle = Arc::into_raw(Arc::clone(&handle));
            _talloc_set_destructor(anchor.cast(), Some(anchor_gone));
        }
        let as_loop: Arc<dyn Loop> = Arc::clone(&handle) as _;
        debug::add_loop(Arc::downgrade(&as_loop));
        Ok(handle)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is the open handle of a context, which the calling thread uses.
    pub(super) fn is_for(&self, ev: NonNull<tevent_context>) -> bool {
        let mut inner = self.lock();
        let found =
            self.ev == ev.as_ptr() && !inner.anchor.is_null() && self.process == std::process::id();
        if found {
            inner.thread = thread::current().id();
        }
        found
    }

    /// Whether the context is there.
    pub(super) fn is_open(&self) -> bool {
        !self.lock().anchor.is_null()
    }

    /// Returns the context, which may be gone.
    pub(super) fn context(&self) -> *mut tevent_context {
        self.ev
    }

    /// Adds a request that is completed once it is woken. On the context's thread.
    ///
    /// # Safety
    /// The request lives until it is removed, and `complete` is for such requests.
    pub(super) unsafe fn add(
        &self,
        id: RequestId,
        request: *mut tevent_req,
        complete: Complete,
    ) -> Result<(), Errno> {
        let mut inner = self.lock();
        if inner.event.is_null() {
            // SAFETY: on the context's thread, and it was alive in this call. The
            // handle outlives the anchor, and so does its eventfd.
            inner.event = unsafe {
                _tevent_add_fd(
                    self.ev,
                    inner.anchor.cast(),
                    self.eventfd.number(),
                    TEVENT_FD_READ,
                    on_readable,
                    ptr::from_ref(self).cast_mut().cast(),
                    c"swnc_on_readable".as_ptr(),
                    location!(),
                )
            };
        }
        if inner.event.is_null() {
            return Err(Errno::NOMEM);
        }
        inner.requests.insert(id, Waiting { request, complete });
        drop(inner);
        if !self.armed.swap(true, Ordering::AcqRel) && debug::has_lines() {
            self.wake_for_lines();
        }
        Ok(())
    }

    /// Removes a request that has been completed, or is being freed. On the context's
    /// thread.
    pub(super) fn remove(&self, id: RequestId) {
        let mut inner = self.lock();
        inner.requests.remove(&id);
        if inner.requests.is_empty() {
            // To remove the event, unless there is another request by then.
            self.notify();
        }
    }

    /// Ends the handle of a state that is gone. From any thread.
    pub(super) fn retire(&self) {
        let mut inner = self.lock();
        inner.retired = true;
        let (anchor, here) = (inner.anchor, inner.thread == thread::current().id());
        if !inner.event.is_null() {
            self.notify();
        } else if here && !anchor.is_null() {
            drop(inner);
            // SAFETY: on the context's thread, and it is alive.
            unsafe { _talloc_free(anchor.cast(), location!()) };
        }
        // Otherwise it goes with the context.
    }

    /// Makes the loop take a turn. From any thread.
    fn notify(&self) {
        if !self.signaled.swap(true, Ordering::AcqRel) {
            self.eventfd.write();
        }
    }

    /// Decides what to do next: one thing in a turn, so that the caller's loop can
    /// do others between two.
    fn turn(&self) -> Turn {
        // What was left before this is seen below, what is left later notifies again.
        self.signaled.swap(false, Ordering::AcqRel);
        let mut inner = self.lock();
        let mut more = true;
        if inner.woken.is_empty() {
            inner.in_turn = true;
            drop(inner);
            more = self.client.upgrade().is_some_and(|client| client.catch_up());
            inner = self.lock();
            inner.in_turn = false;
        }
        let turn = inner.next(&self.lines);
        let more = more || !inner.woken.is_empty() || self.lines.load(Ordering::Acquire);
        if more || (turn.is_some() && inner.requests.is_empty()) {
            self.notify();
        }
        match turn {
            Some(turn) => turn,
            None if more => Turn::Nothing,
            None => inner.idle(),
        }
    }

    /// Frees the event, for which no request waits.
    fn disarm(&self, event: *mut tevent_fd) {
        // SAFETY: it belongs to the anchor, which is alive as the pointer was not
        // cleared, and its handler does not run.
        unsafe { _talloc_free(event.cast(), location!()) };
        self.armed.store(false, Ordering::Release);
        if self.lines.load(Ordering::Acquire) {
            debug::wake_a_loop();
        }
    }
}

impl Inner {
    /// Takes the next thing to do for the caller.
    fn next(&mut self, lines: &AtomicBool) -> Option<Turn> {
        while let Some(id) = self.woken.pop_front() {
            if let Some(waiting) = self.requests.get(&id) {
                return Some(Turn::Complete(*waiting));
            }
        }
        lines.swap(false, Ordering::AcqRel).then_some(Turn::Lines)
    }

    /// Decides what to do where there is nothing to do for the caller.
    fn idle(&mut self) -> Turn {
        if !self.requests.is_empty() {
            Turn::Nothing
        } else if self.retired {
            Turn::Retire(self.anchor)
        } else {
            Turn::Disarm(std::mem::replace(&mut self.event, ptr::null_mut()))
        }
    }
}

impl Wake for Arc<LoopHandle> {
    fn wake(&self, request: RequestId) {
        let mut inner = self.lock();
        inner.woken.push_back(request);
        if !inner.in_turn {
            self.notify();
        }
    }
}

impl Notifier for Arc<LoopHandle> {
    fn notify(&self) {
        LoopHandle::notify(self);
    }
}

impl Loop for LoopHandle {
    fn wake_for_lines(&self) -> bool {
        let armed = self.armed.load(Ordering::Acquire);
        if armed {
            self.lines.store(true, Ordering::Release);
            self.notify();
        }
        armed
    }
}

callback! {
    /// Handles the eventfd's event.
    fn on_readable(
        ev: *mut tevent_context,
        event: *mut tevent_fd,
        _flags: u16,
        handle: *mut c_void,
    ) {
        // The anchor is alive, as its event is; so is the handle.
        let handle = &*handle.cast_const().cast::<LoopHandle>();
        let anchor = handle.lock().anchor;
        // This is the context's thread; the event belongs to the anchor, which the
        // handle outlives.
        let immediate = _tevent_create_immediate(anchor.cast(), location!());
        if immediate.is_null() {
            // Called again for as long as the eventfd is not read.
            return Err(Errno::NOMEM);
        }
        _tevent_schedule_immediate(
            immediate,
            ev,
            on_immediate,
            ptr::from_ref(handle).cast_mut().cast(),
            c"swnc_on_immediate".as_ptr(),
            location!(),
        );
        handle.eventfd.read();
        Ok(())
    }
    or |errno| {
        if errno == Errno::FORKED {
            // The eventfd is the parent's. SAFETY: in the event's handler.
            unsafe { tevent_fd_set_flags(event, 0) };
        }
    };

    /// Handles the immediate event: takes a turn.
    fn on_immediate(
        _ev: *mut tevent_context,
        immediate: *mut tevent_immediate,
        handle: *mut c_void,
    ) {
        let handle = handle.cast_const().cast::<LoopHandle>();
        // The anchor has a reference; what is done below may free it, so there is one
        // more. tevent takes care of an immediate event that is freed by its own
        // handler.
        Arc::increment_strong_count(handle);
        _talloc_free(immediate.cast(), location!());
        let handle = Arc::from_raw(handle);
        match handle.turn() {
            // It waits, or it would have been removed.
            Turn::Complete(Waiting { request, complete }) => complete(request),
            Turn::Lines => {
                if debug_callback::deliver() {
                    handle.wake_for_lines();
                }
            }
            // No request waits, and the state is gone.
            Turn::Retire(anchor) => {
                _talloc_free(anchor.cast(), location!());
            }
            Turn::Disarm(event) => handle.disarm(event),
            Turn::Nothing => {}
        }
        Ok(())
    }
    // A panic is in the log; a forked process has nothing to do here.
    or |_| ();

    /// The anchor's destructor: the context is gone, or the handle retires.
    fn anchor_gone(anchor: *mut c_void) -> c_int {
        // Set by `LoopHandle::new`, and taken back here once.
        let handle = Arc::from_raw((*anchor.cast::<Anchor>()).handle);
        let mut inner = handle.lock();
        inner.anchor = ptr::null_mut();
        let event = std::mem::replace(&mut inner.event, ptr::null_mut());
        inner.requests.clear();
        inner.woken.clear();
        drop(inner);
        if !event.is_null() {
            // Before its file descriptor is closed.
            handle.disarm(event);
        }
        Ok(0)
    }
    // In a forked process a lock may be held for ever: the reference is leaked.
    or |_| 0;
}
