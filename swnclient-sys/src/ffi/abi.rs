//! The types of the C interface. cbindgen writes the header from here.

use libc::{c_char, c_void, sockaddr_storage};
use std::marker::{PhantomData, PhantomPinned};

/// cbindgen:ignore
pub type TALLOC_CTX = c_void;

macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident)*) => {
        $(
            $(#[$doc])*
            #[repr(C)]
            #[derive(Debug)]
            pub struct $name {
                _data: [u8; 0],
                _not_send: PhantomData<(*mut u8, PhantomPinned)>,
            }
        )*
    };
}

opaque! {
    /// talloc's and tevent's headers define these, Samba's the last two.
    tevent_context tevent_req loadparm_context cli_credentials
}

/// What the witness client keeps: its registrations, and their notifications
/// that were not taken yet.
///
/// Made by swnc_init_state(), ended by talloc_free(): all registrations end, the
/// requests that are pending on it complete with ECANCELED, and the library's
/// thread ends with the last state of the process.
#[derive(Debug)]
pub struct swnc_state {
    pub(super) inner: *mut c_void,
}

/// What to be told about.
///
/// All six members together name a registration; names are compared without
/// regard to case (ASCII). The library copies what it needs: the caller may free
/// it as soon as a _send function has returned.
#[repr(C)]
#[derive(Debug)]
pub struct swn_registration_info {
    /// The server's name as it was mounted: NetBIOS or DNS, never an address.
    pub net_name: *const c_char,
    /// The share's name without the server, or NULL.
    pub share_name: *const c_char,
    /// The address of the node that serves the share, as text, or NULL. One that is good on
    /// one link only (fe80::/10) has its interface behind it: fe80::1%eth0.
    pub ip_address: *const c_char,
    /// Notify about the state of the net name.
    pub net_name_req: bool,
    /// Notify about moves of the share.
    pub share_name_req: bool,
    /// Notify about changes of the address.
    pub ip_address_req: bool,
}

/// What a notification is about: which member of its union is valid.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum swn_notification_type {
    /// A resource came or went: resource_change.
    SWN_NOTIFICATION_RESOURCE_CHANGE = 0,
    /// The client shall reconnect to another address: client_move.
    SWN_NOTIFICATION_CLIENT_MOVE = 1,
    /// The share is served at another address: share_move.
    SWN_NOTIFICATION_SHARE_MOVE = 2,
    /// The server's addresses changed: ip_change.
    SWN_NOTIFICATION_IP_CHANGE = 3,
}

/// The state of a resource.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum swn_resource_state {
    /// The witness does not know.
    SWN_RESOURCE_STATE_UNKNOWN = 0,
    /// In service.
    SWN_RESOURCE_STATE_AVAILABLE = 1,
    /// Out of service.
    SWN_RESOURCE_STATE_UNAVAILABLE = 2,
}

/// Which resource changed.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct swn_resource_change {
    /// A net name or an address, as the witness gives it.
    pub name: *const c_char,
    /// Its state now.
    pub state: swn_resource_state,
}

/// Where to.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct swn_address {
    /// A whole struct sockaddr_storage; the port is 0. An address that is good on one link
    /// only has the scope id of the registration's ip_address.
    pub addr: *mut sockaddr_storage,
}

/// The anonymous union of `swn_notification`; tests/header.rs moves it there.
#[repr(C)]
#[derive(Clone, Copy)]
pub union swn_notification_detail {
    pub(super) resource_change: swn_resource_change,
    pub(super) client_move: swn_address,
    pub(super) share_move: swn_address,
    pub(super) ip_change: swn_address,
}

impl std::fmt::Debug for swn_notification_detail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("swn_notification_detail")
    }
}

/// What a witness reports. An element of the array that
/// swnc_wait_notification_recv() gives; names and addresses are talloc children
/// of that array.
/// cbindgen:field-names=[type, detail]
#[repr(C)]
#[derive(Debug)]
pub struct swn_notification {
    /// Which member of the union is valid.
    pub type_: swn_notification_type,
    /// The anonymous union.
    pub(super) detail: swn_notification_detail,
}

#[cfg(test)]
mod tests {
    use super::{swn_notification, swn_registration_info, swn_resource_change};
    use std::mem::offset_of;

    /// tests/header.rs says the same of C.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_structures_are_laid_out_as_they_always_were() {
        assert_eq!(size_of::<swn_registration_info>(), 32);
        assert_eq!(offset_of!(swn_registration_info, net_name), 0);
        assert_eq!(offset_of!(swn_registration_info, share_name), 8);
        assert_eq!(offset_of!(swn_registration_info, ip_address), 16);
        assert_eq!(offset_of!(swn_registration_info, net_name_req), 24);
        assert_eq!(offset_of!(swn_registration_info, share_name_req), 25);
        assert_eq!(offset_of!(swn_registration_info, ip_address_req), 26);
        assert_eq!(size_of::<swn_notification>(), 24);
        assert_eq!(offset_of!(swn_notification, type_), 0);
        assert_eq!(offset_of!(swn_notification, detail), 8);
        assert_eq!(offset_of!(swn_resource_change, name), 0);
        assert_eq!(offset_of!(swn_resource_change, state), 8);
    }
}
