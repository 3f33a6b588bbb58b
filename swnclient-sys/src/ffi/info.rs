//! `struct swn_registration_info`.

use super::abi::swn_registration_info;
use super::guard::argument;
use crate::errno::Errno;
use core_client::RegistrationRequest;
use libc::c_char;
use smol_str::SmolStr;
use std::ffi::CStr;

/// Copies what the caller asks for.
///
/// # Safety
/// `info` is NULL or as swnclient.h describes it.
pub(super) unsafe fn read(info: *mut swn_registration_info) -> Result<RegistrationRequest, Errno> {
    // SAFETY: not NULL; the rest is this function's contract.
    let info = unsafe { argument(info)?.as_ref() };
    // SAFETY: each is NULL or a string.
    let (net_name, share_name, address) =
        unsafe { (text(info.net_name)?, text(info.share_name)?, text(info.ip_address)?) };
    let address = address.map(|text| text.parse().map_err(|_| Errno::INVAL)).transpose()?;
    Ok(RegistrationRequest {
        net_name: net_name.filter(|name| !name.is_empty()).ok_or(Errno::INVAL)?,
        share_name,
        ip_address: address,
        net_name_notify: info.net_name_req,
        share_name_notify: info.share_name_req,
        ip_notify: info.ip_address_req,
    })
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
