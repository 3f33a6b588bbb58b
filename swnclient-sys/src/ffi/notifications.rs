//! `struct swn_notification`: an array, and what its elements point to as talloc
//! children of it.

use super::abi::{
    swn_address, swn_notification, swn_notification_detail, swn_notification_type,
    swn_resource_change, swn_resource_state,
};
use super::bindings::{_talloc_free, _talloc_zero, _talloc_zero_array, talloc_strndup};
use super::location;
use crate::errno::Errno;
use core_client::{Notification, ResourceState};
use libc::{c_void, in_addr, sa_family_t, sockaddr_in, sockaddr_in6, sockaddr_storage};
use std::net::IpAddr;
use std::ptr::NonNull;

#[allow(clippy::cast_possible_truncation)] // They are small.
const AF_INET: sa_family_t = libc::AF_INET as sa_family_t;
#[allow(clippy::cast_possible_truncation)] // As above.
const AF_INET6: sa_family_t = libc::AF_INET6 as sa_family_t;

/// Makes the array.
///
/// # Errors
/// Out of memory; nothing is left behind.
///
/// # Safety
/// `ctx` is NULL or a talloc object of the calling thread's.
pub(super) unsafe fn array(
    ctx: *mut c_void,
    batch: &[Notification],
) -> Result<NonNull<swn_notification>, Errno> {
    let count = u32::try_from(batch.len()).map_err(|_| Errno::NOMEM)?;
    let size = size_of::<swn_notification>();
    // SAFETY: this function's contract.
    let array =
        unsafe { _talloc_zero_array(ctx, size, count, c"struct swn_notification".as_ptr()) };
    let first = NonNull::new(array.cast::<swn_notification>()).ok_or(Errno::NOMEM)?;
    for (index, notification) in batch.iter().enumerate() {
        // SAFETY: the array has as many elements as the batch; all bytes of one
        // being zero is a valid element.
        let element = unsafe { first.add(index).as_mut() };
        // SAFETY: the array is a talloc object.
        if let Err(errno) = unsafe { fill(element, notification, array) } {
            // SAFETY: nobody else knows of the array.
            unsafe { _talloc_free(array, location!()) };
            return Err(errno);
        }
    }
    Ok(first)
}

/// # Safety
/// `array` is a talloc object.
unsafe fn fill(
    element: &mut swn_notification,
    notification: &Notification,
    array: *mut c_void,
) -> Result<(), Errno> {
    // SAFETY: this function's contract.
    let moved = |address| unsafe { self::address(array, address) };
    let (type_, detail) = match notification {
        Notification::ResourceChange { name, state } => {
            // SAFETY: at most that many bytes are read, and the copy gets a NUL.
            let name = unsafe { talloc_strndup(array, name.as_ptr().cast(), name.len()) };
            if name.is_null() {
                return Err(Errno::NOMEM);
            }
            let state = match state {
                ResourceState::Unknown => swn_resource_state::SWN_RESOURCE_STATE_UNKNOWN,
                ResourceState::Available => swn_resource_state::SWN_RESOURCE_STATE_AVAILABLE,
                ResourceState::Unavailable => swn_resource_state::SWN_RESOURCE_STATE_UNAVAILABLE,
            };
            let resource_change = swn_resource_change { name, state };
            (
                swn_notification_type::SWN_NOTIFICATION_RESOURCE_CHANGE,
                swn_notification_detail { resource_change },
            )
        }
        Notification::ClientMove { address } => (
            swn_notification_type::SWN_NOTIFICATION_CLIENT_MOVE,
            swn_notification_detail { client_move: moved(*address)? },
        ),
        Notification::ShareMove { address } => (
            swn_notification_type::SWN_NOTIFICATION_SHARE_MOVE,
            swn_notification_detail { share_move: moved(*address)? },
        ),
        Notification::IpChange { address } => (
            swn_notification_type::SWN_NOTIFICATION_IP_CHANGE,
            swn_notification_detail { ip_change: moved(*address)? },
        ),
    };
    *element = swn_notification { type_, detail };
    Ok(())
}

/// # Safety
/// `array` is a talloc object.
unsafe fn address(array: *mut c_void, address: IpAddr) -> Result<swn_address, Errno> {
    let size = size_of::<sockaddr_storage>();
    // SAFETY: this function's contract.
    let storage = unsafe { _talloc_zero(array, size, c"struct sockaddr_storage".as_ptr()) };
    if storage.is_null() {
        return Err(Errno::NOMEM);
    }
    match address {
        IpAddr::V4(ip) => {
            let address = storage.cast::<sockaddr_in>();
            // SAFETY: zeroed memory of a whole sockaddr_storage, aligned for any
            // sockaddr.
            let address = unsafe { &mut *address };
            address.sin_family = AF_INET;
            address.sin_addr = in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
        }
        IpAddr::V6(ip) => {
            let address = storage.cast::<sockaddr_in6>();
            // SAFETY: as above.
            let address = unsafe { &mut *address };
            address.sin6_family = AF_INET6;
            address.sin6_addr.s6_addr = ip.octets();
        }
    }
    Ok(swn_address { addr: storage.cast() })
}
