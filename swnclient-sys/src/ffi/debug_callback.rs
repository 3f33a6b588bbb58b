//! The caller's debug callback.

use crate::debug;
use libc::{c_char, c_int, c_void};
use std::sync::{Mutex, PoisonError};

type DebugCallback = unsafe extern "C" fn(*mut c_void, c_int, *const c_char);

#[derive(Clone, Copy)]
struct Callback {
    function: DebugCallback,
    private_data: *mut c_void,
}

// SAFETY: the pointer is only handed back to the caller's function, and that is
// called on the thread that runs the caller's tevent loop.
unsafe impl Send for Callback {}

static CALLBACK: Mutex<Option<Callback>> = Mutex::new(None);

/// Sets the callback; none switches the log off.
///
/// # Safety
/// The function may be called with the pointer until another one is set.
pub(super) unsafe fn set(function: Option<DebugCallback>, private_data: *mut c_void, level: c_int) {
    let callback = function.map(|function| Callback { function, private_data });
    *CALLBACK.lock().unwrap_or_else(PoisonError::into_inner) = callback;
    debug::enable(if callback.is_some() { level } else { -1 });
}

/// Gives the callback one line. Whether there are more.
pub(super) fn deliver() -> bool {
    let Some((line, more)) = debug::next_line() else {
        return false;
    };
    // Called without the lock: it may set another callback.
    let callback = *CALLBACK.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(Callback { function, private_data }) = callback {
        // SAFETY: the contract of `set`; the text ends with NUL.
        unsafe { function(private_data, line.level, line.text.as_ptr()) };
    }
    more
}
