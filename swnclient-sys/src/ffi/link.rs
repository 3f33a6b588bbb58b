//! The way back: from any thread to the one that runs a tevent context.
//!
//! There is one link for each pair of a state and a tevent context. Its talloc
//! objects hang below the context and go with it; the link itself is reference
//! counted, so that whoever comes late finds a link that leads nowhere.
//!
//! tevent's rules for immediate events that other threads schedule:
//! - One that is scheduled, or whose handler runs, must not be scheduled again.
//!   So a new one is made at the start of each turn, which also lets a nested
//!   loop of the caller's go on with what comes next.
//! - One that is scheduled must not be freed, and nothing takes it back. So it
//!   belongs to the context, not to the state.
//!
//! The context's thread never waits for one that is scheduling: to schedule wakes
//! it, and then it may take the CPU from the other before that has gone on.

use super::abi::{tevent_context, tevent_req};
use super::bindings::{
    _talloc_free, _talloc_set_destructor, _talloc_zero, _tevent_add_timer,
    _tevent_create_immediate, _tevent_schedule_immediate, _tevent_threaded_schedule_immediate,
    tevent_immediate, tevent_threaded_context, tevent_threaded_context_create, tevent_timer,
};
use super::{guard, lines, location, request};
use crate::debug::{self, Loop};
use crate::engine;
use crate::errno::Errno;
use crate::registry::{RequestId, Wake};
use libc::{c_int, c_void, timeval};
use std::collections::{HashMap, VecDeque};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often a context is given an event while requests wait on it, in seconds:
/// tevent does not count what other threads may schedule, and without any event
/// tevent_loop_wait would end. More than 24 days would overflow epoll's timeout.
const KEEP_ALIVE_SECONDS: libc::time_t = 24 * 60 * 60;

/// See the module's description.
#[derive(Debug)]
pub(super) struct Link {
    ev: *mut tevent_context,
    /// The immediate event to schedule next, or NULL: whoever takes it out
    /// schedules it.
    ready: AtomicPtr<tevent_immediate>,
    /// The immediate event that is on its way, or NULL.
    scheduled: AtomicPtr<tevent_immediate>,
    /// Held by other threads while they schedule; NULL once the link leads
    /// nowhere.
    threaded: Mutex<*mut tevent_threaded_context>,
    /// Held for moments only, and never while something is scheduled.
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The parent of what follows; NULL once the link leads nowhere.
    anchor: *mut Anchor,
    keep_alive: *mut tevent_timer,
    /// The requests that wait.
    requests: HashMap<RequestId, *mut tevent_req>,
    /// Those of them that something has happened to.
    woken: VecDeque<RequestId>,
    /// The debug callback may have lines to take.
    lines: bool,
    /// The state is gone: once all requests are told, the link goes too.
    retired: bool,
}

// SAFETY: other threads than the context's touch `threaded` and what was `ready`,
// which tevent_threaded_schedule_immediate is for, and only under the lock of
// `threaded`, which is also taken before they are freed. The other pointers are
// used on the context's thread only.
unsafe impl Send for Link {}
// SAFETY: as above.
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
    Nothing,
}

impl Link {
    /// Makes a link to a context. On the context's thread.
    ///
    /// # Safety
    /// `ev` is a tevent context of the calling thread's.
    pub(super) unsafe fn new(ev: NonNull<tevent_context>) -> Result<Arc<Self>, Errno> {
        let ev = ev.as_ptr();
        let name = c"struct swnc_link";
        // SAFETY: the context is a talloc object.
        let anchor = unsafe { _talloc_zero(ev.cast(), size_of::<Anchor>(), name.as_ptr()) };
        let anchor = NonNull::new(anchor.cast::<Anchor>()).ok_or(Errno::NOMEM)?.as_ptr();
        // SAFETY: the anchor is a talloc object, the context is as it was.
        let (threaded, ready) = unsafe {
            (
                tevent_threaded_context_create(anchor.cast(), ev),
                _tevent_create_immediate(anchor.cast(), location!()),
            )
        };
        if threaded.is_null() || ready.is_null() {
            // SAFETY: nobody knows of the anchor yet, nor of its children.
            unsafe { _talloc_free(anchor.cast(), location!()) };
            return Err(Errno::NOMEM);
        }
        let link = Arc::new(Self {
            ev,
            ready: AtomicPtr::new(ready),
            scheduled: AtomicPtr::default(),
            threaded: Mutex::new(threaded),
            inner: Mutex::new(Inner {
                anchor,
                keep_alive: ptr::null_mut(),
                requests: HashMap::new(),
                woken: VecDeque::new(),
                lines: false,
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

    /// Whether it is the living link to a context.
    pub(super) fn leads_to(&self, ev: NonNull<tevent_context>) -> bool {
        self.ev == ev.as_ptr() && self.is_open()
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
        if inner.keep_alive.is_null() {
            // SAFETY: on the context's thread, and it was alive in this call.
            inner.keep_alive = unsafe { self.add_timer(inner.anchor) };
        }
        if inner.keep_alive.is_null() {
            return Err(Errno::NOMEM);
        }
        inner.requests.insert(id, request);
        Ok(())
    }

    /// The request has been completed, or is being freed. On the context's
    /// thread.
    pub(super) fn remove(&self, id: RequestId) {
        let mut inner = self.lock();
        inner.requests.remove(&id);
        if inner.requests.is_empty() && !inner.keep_alive.is_null() {
            let timer = std::mem::replace(&mut inner.keep_alive, ptr::null_mut());
            // SAFETY: it belongs to the anchor, which is alive as the pointer
            // was not cleared.
            unsafe { _talloc_free(timer.cast(), location!()) };
        }
    }

    /// The state is gone. From any thread.
    pub(super) fn retire(&self) {
        self.lock().retired = true;
        self.schedule();
    }

    /// The immediate event to schedule now, unless one is on its way, which comes
    /// after all that was noted until now.
    fn take_ready(&self) -> Option<NonNull<tevent_immediate>> {
        let immediate = NonNull::new(self.ready.swap(ptr::null_mut(), Ordering::AcqRel))?;
        self.scheduled.store(immediate.as_ptr(), Ordering::Release);
        Some(immediate)
    }

    /// Sends an immediate event on its way, if none is. From any thread.
    fn schedule(&self) {
        let threaded = self.threaded.lock().unwrap_or_else(PoisonError::into_inner);
        if threaded.is_null() {
            return;
        }
        let Some(immediate) = self.take_ready() else {
            return;
        };
        // SAFETY: both belong to the anchor, which is alive while the lock is
        // held; the event is not scheduled and no handler of it runs. The link
        // outlives the anchor, and with it the event.
        unsafe {
            _tevent_threaded_schedule_immediate(
                *threaded,
                immediate.as_ptr(),
                fired,
                ptr::from_ref(self).cast_mut().cast(),
                c"swnc_link_fired".as_ptr(),
                location!(),
            );
        }
    }

    /// The same on the context's thread, without a lock.
    ///
    /// # Safety
    /// On the context's thread; the context and the anchor are alive.
    unsafe fn schedule_here(&self) {
        if let Some(immediate) = self.take_ready() {
            // SAFETY: this function's contract.
            unsafe { self.schedule_again(immediate.as_ptr()) };
        }
    }

    /// # Safety
    /// As with `schedule_here`; the event is not on its way.
    unsafe fn schedule_again(&self, immediate: *mut tevent_immediate) {
        // SAFETY: this function's contract; the link outlives the event.
        unsafe {
            _tevent_schedule_immediate(
                immediate,
                self.ev,
                fired,
                ptr::from_ref(self).cast_mut().cast(),
                c"swnc_link_fired".as_ptr(),
                location!(),
            );
        }
    }

    /// An immediate event has arrived.
    ///
    /// # Safety
    /// On the context's thread, in the event's handler.
    unsafe fn turn(&self, fired_one: *mut tevent_immediate) -> Turn {
        let anchor = self.lock().anchor;
        // SAFETY: in the handler of an event that belongs to the anchor, so that
        // is alive. tevent takes care of events that are freed, or scheduled
        // again, by their own handler.
        unsafe {
            let next = _tevent_create_immediate(anchor.cast(), location!());
            if next.is_null() {
                // Out of memory: come back for as long as it lasts.
                self.schedule_again(fired_one);
            } else {
                // In this order: from the second on another one may be on its way.
                self.scheduled.store(ptr::null_mut(), Ordering::Release);
                self.ready.store(next, Ordering::Release);
                _talloc_free(fired_one.cast(), location!());
            }
        }
        let mut inner = self.lock();
        let turn = inner.next();
        let more = !inner.woken.is_empty() || inner.lines || inner.retired;
        drop(inner);
        if more {
            // SAFETY: this function's contract.
            unsafe { self.schedule_here() };
        }
        turn
    }

    /// # Safety
    /// On the context's thread; the context and the anchor are alive.
    unsafe fn add_timer(&self, anchor: *mut Anchor) -> *mut tevent_timer {
        let mut now = timeval { tv_sec: 0, tv_usec: 0 };
        // SAFETY: it writes to a variable of this function's.
        unsafe { libc::gettimeofday(&raw mut now, ptr::null_mut()) };
        now.tv_sec += KEEP_ALIVE_SECONDS;
        // SAFETY: this function's contract; the link outlives the anchor.
        unsafe {
            _tevent_add_timer(
                self.ev,
                anchor.cast(),
                now,
                still_waiting,
                ptr::from_ref(self).cast_mut().cast(),
                c"swnc_link_still_waiting".as_ptr(),
                location!(),
            )
        }
    }
}

impl Inner {
    /// One thing to do: the caller's loop decides what comes between two.
    fn next(&mut self) -> Turn {
        while let Some(id) = self.woken.pop_front() {
            if let Some(request) = self.requests.get(&id) {
                return Turn::Complete(*request);
            }
        }
        if std::mem::take(&mut self.lines) {
            return Turn::Lines;
        }
        if std::mem::take(&mut self.retired) {
            return Turn::Retire(self.anchor);
        }
        Turn::Nothing
    }
}

impl Wake for Arc<Link> {
    fn wake(&self, request: RequestId) {
        self.lock().woken.push_back(request);
    }

    fn ring(&self) {
        self.schedule();
    }
}

impl Loop for Link {
    fn wake_for_lines(&self) -> bool {
        let mut inner = self.lock();
        inner.lines = true;
        let open = !inner.anchor.is_null();
        drop(inner);
        self.schedule();
        open
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
        // there is one more.
        let link = unsafe {
            Arc::increment_strong_count(link);
            Arc::from_raw(link)
        };
        // SAFETY: in its handler.
        match unsafe { link.turn(immediate) } {
            // SAFETY: it waits, or it would have been removed.
            Turn::Complete(request) => unsafe { request::complete(request) },
            Turn::Lines => {
                if lines::deliver() {
                    link.wake_for_lines();
                }
            }
            Turn::Retire(anchor) => {
                // SAFETY: nothing of it is scheduled, and no request waits.
                unsafe { _talloc_free(anchor.cast(), location!()) };
            }
            Turn::Nothing => {}
        }
        Ok(())
    });
    // A panic is in the log; a forked process has nothing to do here.
    let _ = result;
}

/// The handler of the timer. tevent frees the timer after it.
unsafe extern "C" fn still_waiting(
    _ev: *mut tevent_context,
    _timer: *mut tevent_timer,
    _now: timeval,
    link: *mut c_void,
) {
    let result = guard::run(|| {
        // SAFETY: the anchor is alive, as its timer is; so is the link.
        let link = unsafe { &*link.cast_const().cast::<Link>() };
        let mut inner = link.lock();
        // SAFETY: as above, and this is the context's thread.
        inner.keep_alive = unsafe { link.add_timer(inner.anchor) };
        Ok(())
    });
    let _ = result;
}

/// The anchor's destructor: the context is gone, or the link retires.
unsafe extern "C" fn anchor_gone(anchor: *mut c_void) -> c_int {
    // SAFETY: set by `Link::new`, and taken back here once.
    let link = unsafe { Arc::from_raw((*anchor.cast::<Anchor>()).link) };
    let forked = engine::is_forked();
    if !forked {
        // From now on nothing is scheduled by other threads.
        *link.threaded.lock().unwrap_or_else(PoisonError::into_inner) = ptr::null_mut();
        link.ready.store(ptr::null_mut(), Ordering::Release);
    }
    let scheduled = link.scheduled.load(Ordering::Acquire);
    if !scheduled.is_null() {
        // Its context is gone and with it the list that it was in, but tevent
        // does not know, and would abort when it is freed.
        // SAFETY: a child of the anchor.
        unsafe { _talloc_set_destructor(scheduled.cast(), None) };
    }
    if forked {
        // A lock may be held for ever.
        std::mem::forget(link);
        return 0;
    }
    let mut inner = link.lock();
    inner.anchor = ptr::null_mut();
    inner.keep_alive = ptr::null_mut();
    inner.requests.clear();
    inner.woken.clear();
    drop(inner);
    0
}
