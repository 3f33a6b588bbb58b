//! The functions of talloc, tevent and samba-credentials that are used here, as
//! their headers have them. What the headers have as macros calls the functions
//! below; where there is an older function than today's macro calls, it is
//! taken, so that the library runs with older releases too.

use super::abi::{cli_credentials, loadparm_context, tevent_context, tevent_req};
use libc::{c_char, c_int, c_uint, c_void, size_t};
use std::marker::{PhantomData, PhantomPinned};

macro_rules! opaque {
    ($($name:ident)*) => {
        $(
            #[repr(C)]
            pub(super) struct $name {
                _data: [u8; 0],
                _not_send: PhantomData<(*mut u8, PhantomPinned)>,
            }
        )*
    };
}

opaque! { tevent_fd tevent_immediate }

/// `struct samr_Password`: an NT hash.
#[repr(C)]
pub(super) struct samr_Password {
    pub(super) hash: [u8; 16],
}

/// `enum credentials_use_kerberos`.
pub(super) const CRED_USE_KERBEROS_DISABLED: c_int = 0;
pub(super) const CRED_USE_KERBEROS_REQUIRED: c_int = 2;

pub(super) const TEVENT_FD_READ: u16 = 1;

/// `enum tevent_req_state`.
pub(super) const TEVENT_REQ_USER_ERROR: c_int = 3;
pub(super) const TEVENT_REQ_TIMED_OUT: c_int = 4;
pub(super) const TEVENT_REQ_NO_MEMORY: c_int = 5;
pub(super) const TEVENT_REQ_RECEIVED: c_int = 6;

pub(super) type ImmediateHandler =
    unsafe extern "C" fn(*mut tevent_context, *mut tevent_immediate, *mut c_void);
pub(super) type FdHandler =
    unsafe extern "C" fn(*mut tevent_context, *mut tevent_fd, u16, *mut c_void);
pub(super) type CancelFn = unsafe extern "C" fn(*mut tevent_req) -> bool;
pub(super) type CleanupFn = unsafe extern "C" fn(*mut tevent_req, c_int);
pub(super) type Destructor = unsafe extern "C" fn(*mut c_void) -> c_int;

unsafe extern "C" {
    pub(super) fn _talloc_zero(
        ctx: *const c_void,
        size: size_t,
        name: *const c_char,
    ) -> *mut c_void;
    pub(super) fn _talloc_zero_array(
        ctx: *const c_void,
        element_size: size_t,
        count: c_uint,
        name: *const c_char,
    ) -> *mut c_void;
    pub(super) fn _talloc_free(ptr: *mut c_void, location: *const c_char) -> c_int;
    pub(super) fn _talloc_set_destructor(ptr: *const c_void, destructor: Option<Destructor>);
    pub(super) fn talloc_strndup(
        ctx: *const c_void,
        text: *const c_char,
        len: size_t,
    ) -> *mut c_char;
    pub(super) fn talloc_check_name(ptr: *const c_void, name: *const c_char) -> *mut c_void;

    pub(super) fn _tevent_create_immediate(
        ctx: *mut c_void,
        location: *const c_char,
    ) -> *mut tevent_immediate;
    pub(super) fn _tevent_schedule_immediate(
        immediate: *mut tevent_immediate,
        ev: *mut tevent_context,
        handler: ImmediateHandler,
        private_data: *mut c_void,
        handler_name: *const c_char,
        location: *const c_char,
    );
    pub(super) fn _tevent_add_fd(
        ev: *mut tevent_context,
        ctx: *mut c_void,
        fd: c_int,
        flags: u16,
        handler: FdHandler,
        private_data: *mut c_void,
        handler_name: *const c_char,
        location: *const c_char,
    ) -> *mut tevent_fd;
    pub(super) fn tevent_fd_set_flags(event: *mut tevent_fd, flags: u16);

    pub(super) fn _tevent_req_create(
        ctx: *mut c_void,
        data: *mut *mut c_void,
        data_size: size_t,
        type_name: *const c_char,
        location: *const c_char,
    ) -> *mut tevent_req;
    pub(super) fn _tevent_req_data(req: *mut tevent_req) -> *mut c_void;
    pub(super) fn _tevent_req_done(req: *mut tevent_req, location: *const c_char);
    pub(super) fn _tevent_req_error(
        req: *mut tevent_req,
        error: u64,
        location: *const c_char,
    ) -> bool;
    pub(super) fn _tevent_req_oom(req: *mut tevent_req, location: *const c_char);
    pub(super) fn tevent_req_post(req: *mut tevent_req, ev: *mut tevent_context)
    -> *mut tevent_req;
    pub(super) fn tevent_req_defer_callback(req: *mut tevent_req, ev: *mut tevent_context);
    pub(super) fn tevent_req_set_cancel_fn(req: *mut tevent_req, cancel: CancelFn);
    pub(super) fn tevent_req_set_cleanup_fn(req: *mut tevent_req, cleanup: CleanupFn);
    pub(super) fn tevent_req_is_in_progress(req: *mut tevent_req) -> bool;
    pub(super) fn tevent_req_is_error(
        req: *mut tevent_req,
        state: *mut c_int,
        error: *mut u64,
    ) -> bool;
    pub(super) fn tevent_req_received(req: *mut tevent_req);

    pub(super) fn cli_credentials_init(ctx: *mut c_void) -> *mut cli_credentials;
    /// Tells whether it succeeded, but not in older releases.
    pub(super) fn cli_credentials_set_conf(
        credentials: *mut cli_credentials,
        loadparm: *mut loadparm_context,
    );
    pub(super) fn cli_credentials_get_workstation(
        credentials: *mut cli_credentials,
    ) -> *const c_char;
    pub(super) fn cli_credentials_get_kerberos_state(credentials: *mut cli_credentials) -> c_int;
    pub(super) fn cli_credentials_get_username(credentials: *mut cli_credentials) -> *const c_char;
    pub(super) fn cli_credentials_get_realm(credentials: *mut cli_credentials) -> *const c_char;
    pub(super) fn cli_credentials_get_password(credentials: *mut cli_credentials) -> *const c_char;
    pub(super) fn cli_credentials_get_ntlm_username_domain(
        credentials: *mut cli_credentials,
        ctx: *mut c_void,
        user: *mut *const c_char,
        domain: *mut *const c_char,
    );
    pub(super) fn cli_credentials_get_nt_hash(
        credentials: *mut cli_credentials,
        ctx: *mut c_void,
    ) -> *mut samr_Password;
}

/// `cli_credentials_get_ccache_name_obtained`, which older releases lack.
pub(super) type GetCcacheName = unsafe extern "C" fn(
    credentials: *mut cli_credentials,
    ctx: *mut c_void,
    name: *mut *mut c_char,
    obtained: *mut c_int,
) -> bool;

/// The place in the source, as talloc and tevent want it for their reports.
macro_rules! location {
    () => {
        match std::ffi::CStr::from_bytes_with_nul(concat!(file!(), ":", line!(), "\0").as_bytes()) {
            Ok(text) => text.as_ptr(),
            Err(_) => std::ptr::null(),
        }
    };
}
pub(super) use location;
