//! The structures of the interface: `swn_registration_info`, which C gives, and an
//! array of `swn_notification`, which it gets. What the array's elements point to
//! are talloc children of it.

use super::abi::{
    swn_address, swn_notification, swn_notification_detail, swn_notification_type,
    swn_registration_info, swn_resource_change, swn_resource_state,
};
use super::bindings::{_talloc_free, _talloc_zero, _talloc_zero_array, location, talloc_strndup};
use super::guard::argument;
use crate::errno::Errno;
use crate::system;
use core_client::{Notification, RegistrationRequest, ResourceState, ScopedAddr};
use libc::{c_char, c_void, in_addr, sa_family_t, sockaddr_in, sockaddr_in6, sockaddr_storage};
use smol_str::SmolStr;
use std::ffi::CStr;
use std::net::IpAddr;
use std::ptr::NonNull;

#[allow(clippy::cast_possible_truncation)] // They are small.
const AF_INET: sa_family_t = libc::AF_INET as sa_family_t;
#[allow(clippy::cast_possible_truncation)] // As above.
const AF_INET6: sa_family_t = libc::AF_INET6 as sa_family_t;

/// Copies what the caller asks for.
///
/// # Errors
/// [`Errno::INVAL`]: it is NULL, has no net name, or something that is no text or
/// no address.
///
/// # Safety
/// `info` is NULL or as swnclient.h describes it.
pub(super) unsafe fn registration_request(
    info: *mut swn_registration_info,
) -> Result<RegistrationRequest, Errno> {
    // SAFETY: not NULL; the rest is this function's contract.
    let info = unsafe { argument(info)?.as_ref() };
    // SAFETY: each is NULL or a string.
    let (net_name, share_name, address) =
        unsafe { (text(info.net_name)?, text(info.share_name)?, text(info.ip_address)?) };
    let address = address.map(|text| scoped(&text).ok_or(Errno::INVAL)).transpose()?;
    Ok(RegistrationRequest {
        net_name: net_name.filter(|name| !name.is_empty()).ok_or(Errno::INVAL)?,
        share_name,
        ip_address: address.map(ScopedAddr::address),
        scope_id: address.map_or(0, ScopedAddr::scope_id),
        net_name_notify: info.net_name_req,
        share_name_notify: info.share_name_req,
        ip_notify: info.ip_address_req,
    })
}

/// Reads an address. Behind one that is good on one link only, the link may follow: the name
/// of an interface, or its number.
fn scoped(text: &str) -> Option<ScopedAddr> {
    let Some((address, link)) = text.split_once('%') else {
        return Some(text.parse::<IpAddr>().ok()?.into());
    };
    let address = address.parse().ok().filter(|address| ScopedAddr::is_of_link(*address))?;
    let scope_id = system::interface(link).or_else(|| link.parse().ok())?;
    Some(ScopedAddr::new(address, scope_id))
}

/// # Safety
/// `pointer` is NULL or a string.
unsafe fn text(pointer: *const c_char) -> Result<Option<SmolStr>, Errno> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: this function's contract.
    let text = unsafe { CStr::from_ptr(pointer) }.to_str();
    text.map(|text| Some(text.into())).map_err(|_| Errno::INVAL)
}

/// Makes an array of notifications of a registration.
///
/// # Errors
/// Out of memory; nothing is left behind.
///
/// # Safety
/// `ctx` is NULL or a talloc object of the calling thread's.
pub(super) unsafe fn notification_array(
    ctx: *mut c_void,
    info: &RegistrationRequest,
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
        if let Err(errno) = unsafe { fill(element, info, notification, array) } {
            // SAFETY: the array is this function's alone.
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
    info: &RegistrationRequest,
    notification: &Notification,
    array: *mut c_void,
) -> Result<(), Errno> {
    // SAFETY: this function's contract.
    let moved = |address| unsafe { self::address(array, info.scoped(address)) };
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
unsafe fn address(array: *mut c_void, scoped: ScopedAddr) -> Result<swn_address, Errno> {
    let size = size_of::<sockaddr_storage>();
    // SAFETY: this function's contract.
    let storage = unsafe { _talloc_zero(array, size, c"struct sockaddr_storage".as_ptr()) };
    if storage.is_null() {
        return Err(Errno::NOMEM);
    }
    match scoped.address() {
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
            address.sin6_scope_id = scoped.scope_id();
        }
    }
    Ok(swn_address { addr: storage.cast() })
}

#[cfg(test)]
mod tests {
    use super::scoped;
    use core_client::ScopedAddr;

    #[test]
    fn behind_an_address_of_a_link_its_interface_may_follow() {
        let lo = crate::system::interface("lo").expect("every system has it");
        let address = |text: &str| text.parse().expect("an address");
        for (text, expected) in [
            ("fe80::1%lo", Some(ScopedAddr::new(address("fe80::1"), lo))),
            ("fe80::1%7", Some(ScopedAddr::new(address("fe80::1"), 7))),
            ("fe80::1", Some(address("fe80::1").into())),
            ("2001:db8::1", Some(address("2001:db8::1").into())),
            ("10.0.0.1", Some(address("10.0.0.1").into())),
            ("fe80::1%no-such-if", None),
            ("fe80::1%", None),
            ("fe80::1%lo%lo", None),
            ("2001:db8::1%lo", None),
            ("10.0.0.1%lo", None),
            ("%lo", None),
        ] {
            assert_eq!(scoped(text), expected, "{text}");
        }
    }
}
