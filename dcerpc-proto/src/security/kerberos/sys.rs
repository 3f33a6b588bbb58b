//! What is used of the system's GSSAPI (RFC 2744, RFC 5588, MIT's
//! `gssapi_ext.h`) and of libkrb5, as their headers declare it.
//!
//! Written by hand: it is short, it never changes, and generating it would
//! take libclang to build.

#![allow(non_camel_case_types, reason = "the names are C's")]
#![expect(unsafe_code, reason = "the library is C's")]

use std::ffi::{c_char, c_int, c_void};

pub(super) type OM_uint32 = u32;

/// Opaque types.
pub(super) enum gss_name_struct {}
pub(super) enum gss_cred_id_struct {}
pub(super) enum gss_ctx_id_struct {}
pub(super) enum _krb5_context {}
pub(super) enum krb5_principal_data {}

pub(super) type gss_name_t = *mut gss_name_struct;
pub(super) type gss_cred_id_t = *mut gss_cred_id_struct;
pub(super) type gss_ctx_id_t = *mut gss_ctx_id_struct;
pub(super) type krb5_context = *mut _krb5_context;
pub(super) type krb5_principal = *mut krb5_principal_data;
pub(super) type krb5_error_code = i32;

#[repr(C)]
pub(super) struct gss_OID_desc {
    pub(super) length: OM_uint32,
    pub(super) elements: *const c_void,
}

// SAFETY: the library only reads what it points at, which is static.
unsafe impl Sync for gss_OID_desc {}

#[repr(C)]
pub(super) struct gss_OID_set_desc {
    pub(super) count: usize,
    pub(super) elements: *const gss_OID_desc,
}

// SAFETY: as for gss_OID_desc.
unsafe impl Sync for gss_OID_set_desc {}

#[repr(C)]
pub(super) struct gss_buffer_desc {
    pub(super) length: usize,
    pub(super) value: *mut c_void,
}

#[repr(C)]
pub(super) struct gss_iov_buffer_desc {
    pub(super) kind: OM_uint32,
    pub(super) buffer: gss_buffer_desc,
}

#[repr(C)]
pub(super) struct gss_key_value_element_desc {
    pub(super) key: *const c_char,
    pub(super) value: *const c_char,
}

#[repr(C)]
pub(super) struct gss_key_value_set_desc {
    pub(super) count: OM_uint32,
    pub(super) elements: *const gss_key_value_element_desc,
}

/// 1.2.840.113554.1.2.2, the mechanism (RFC 1964 1).
pub(super) static KRB5_MECHANISM: gss_OID_desc =
    gss_OID_desc { length: 9, elements: b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02".as_ptr().cast() };
/// A set of it alone.
pub(super) static KRB5_MECHANISMS: gss_OID_set_desc =
    gss_OID_set_desc { count: 1, elements: &raw const KRB5_MECHANISM };
/// 1.2.840.113554.1.2.2.1, GSS_KRB5_NT_PRINCIPAL_NAME (RFC 1964 2.1.1).
pub(super) static KRB5_PRINCIPAL_NAME: gss_OID_desc = gss_OID_desc {
    length: 10,
    elements: b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01".as_ptr().cast(),
};

/// 1.2.752.43.13.29, GSS_KRB5_CRED_NO_CI_FLAGS_X (gssapi_krb5.h).
pub(super) static KRB5_CRED_NO_CI_FLAGS: gss_OID_desc =
    gss_OID_desc { length: 6, elements: b"\x2a\x85\x70\x2b\x0d\x1d".as_ptr().cast() };

// Flags of a context (RFC 2744 appendix A; DCE style: gssapi_ext.h).
pub(super) const GSS_C_MUTUAL_FLAG: OM_uint32 = 2;
pub(super) const GSS_C_REPLAY_FLAG: OM_uint32 = 4;
pub(super) const GSS_C_SEQUENCE_FLAG: OM_uint32 = 8;
pub(super) const GSS_C_CONF_FLAG: OM_uint32 = 16;
pub(super) const GSS_C_INTEG_FLAG: OM_uint32 = 32;
pub(super) const GSS_C_DCE_STYLE: OM_uint32 = 0x1000;

pub(super) const GSS_C_INITIATE: c_int = 1;
pub(super) const GSS_C_MECH_CODE: c_int = 2;
pub(super) const GSS_C_GSS_CODE: c_int = 1;
pub(super) const GSS_C_QOP_DEFAULT: OM_uint32 = 0;

// Status codes (RFC 2744 3.9.1): calling and routine errors in the upper half,
// supplementary information in the lower one.
pub(super) const GSS_S_COMPLETE: OM_uint32 = 0;
pub(super) const GSS_S_CONTINUE_NEEDED: OM_uint32 = 1;

// Buffers of a message that is protected in place (gssapi_ext.h).
pub(super) const GSS_IOV_BUFFER_TYPE_EMPTY: OM_uint32 = 0;
pub(super) const GSS_IOV_BUFFER_TYPE_DATA: OM_uint32 = 1;
pub(super) const GSS_IOV_BUFFER_TYPE_HEADER: OM_uint32 = 2;
pub(super) const GSS_IOV_BUFFER_TYPE_SIGN_ONLY: OM_uint32 = 11;
pub(super) const GSS_IOV_BUFFER_TYPE_MIC_TOKEN: OM_uint32 = 12;

/// KRB5_NT_UNKNOWN: the host's name is taken as it is.
pub(super) const KRB5_NT_UNKNOWN: i32 = 0;

unsafe extern "C" {
    /// Of the C library.
    pub(super) safe fn geteuid() -> u32;

    pub(super) fn gss_import_name(
        minor: *mut OM_uint32,
        text: *const gss_buffer_desc,
        kind: *const gss_OID_desc,
        name: *mut gss_name_t,
    ) -> OM_uint32;
    pub(super) fn gss_release_name(minor: *mut OM_uint32, name: *mut gss_name_t) -> OM_uint32;
    pub(super) fn gss_acquire_cred_from(
        minor: *mut OM_uint32,
        name: gss_name_t,
        lifetime: OM_uint32,
        mechanisms: *const gss_OID_set_desc,
        usage: c_int,
        store: *const gss_key_value_set_desc,
        cred: *mut gss_cred_id_t,
        actual_mechanisms: *mut *mut gss_OID_set_desc,
        actual_lifetime: *mut OM_uint32,
    ) -> OM_uint32;
    pub(super) fn gss_acquire_cred_with_password(
        minor: *mut OM_uint32,
        name: gss_name_t,
        password: *const gss_buffer_desc,
        lifetime: OM_uint32,
        mechanisms: *const gss_OID_set_desc,
        usage: c_int,
        cred: *mut gss_cred_id_t,
        actual_mechanisms: *mut *mut gss_OID_set_desc,
        actual_lifetime: *mut OM_uint32,
    ) -> OM_uint32;
    pub(super) fn gss_set_cred_option(
        minor: *mut OM_uint32,
        cred: *mut gss_cred_id_t,
        option: *const gss_OID_desc,
        value: *const gss_buffer_desc,
    ) -> OM_uint32;
    pub(super) fn gss_release_cred(minor: *mut OM_uint32, cred: *mut gss_cred_id_t) -> OM_uint32;
    pub(super) fn gss_init_sec_context(
        minor: *mut OM_uint32,
        cred: gss_cred_id_t,
        context: *mut gss_ctx_id_t,
        target: gss_name_t,
        mechanism: *const gss_OID_desc,
        flags: OM_uint32,
        lifetime: OM_uint32,
        channel_bindings: *const c_void,
        input: *const gss_buffer_desc,
        actual_mechanism: *mut *const gss_OID_desc,
        output: *mut gss_buffer_desc,
        actual_flags: *mut OM_uint32,
        actual_lifetime: *mut OM_uint32,
    ) -> OM_uint32;
    pub(super) fn gss_delete_sec_context(
        minor: *mut OM_uint32,
        context: *mut gss_ctx_id_t,
        output: *mut gss_buffer_desc,
    ) -> OM_uint32;
    pub(super) fn gss_get_mic(
        minor: *mut OM_uint32,
        context: gss_ctx_id_t,
        qop: OM_uint32,
        message: *const gss_buffer_desc,
        mic: *mut gss_buffer_desc,
    ) -> OM_uint32;
    pub(super) fn gss_verify_mic(
        minor: *mut OM_uint32,
        context: gss_ctx_id_t,
        message: *const gss_buffer_desc,
        mic: *const gss_buffer_desc,
        qop: *mut OM_uint32,
    ) -> OM_uint32;
    pub(super) fn gss_get_mic_iov_length(
        minor: *mut OM_uint32,
        context: gss_ctx_id_t,
        qop: OM_uint32,
        iov: *mut gss_iov_buffer_desc,
        count: c_int,
    ) -> OM_uint32;
    pub(super) fn gss_wrap_iov_length(
        minor: *mut OM_uint32,
        context: gss_ctx_id_t,
        confidential: c_int,
        qop: OM_uint32,
        was_confidential: *mut c_int,
        iov: *mut gss_iov_buffer_desc,
        count: c_int,
    ) -> OM_uint32;
    pub(super) fn gss_wrap_iov(
        minor: *mut OM_uint32,
        context: gss_ctx_id_t,
        confidential: c_int,
        qop: OM_uint32,
        was_confidential: *mut c_int,
        iov: *mut gss_iov_buffer_desc,
        count: c_int,
    ) -> OM_uint32;
    pub(super) fn gss_unwrap_iov(
        minor: *mut OM_uint32,
        context: gss_ctx_id_t,
        was_confidential: *mut c_int,
        qop: *mut OM_uint32,
        iov: *mut gss_iov_buffer_desc,
        count: c_int,
    ) -> OM_uint32;
    pub(super) fn gss_release_buffer(
        minor: *mut OM_uint32,
        buffer: *mut gss_buffer_desc,
    ) -> OM_uint32;
    pub(super) fn gss_display_status(
        minor: *mut OM_uint32,
        status: OM_uint32,
        kind: c_int,
        mechanism: *const gss_OID_desc,
        more: *mut OM_uint32,
        text: *mut gss_buffer_desc,
    ) -> OM_uint32;

    pub(super) fn krb5_init_context(context: *mut krb5_context) -> krb5_error_code;
    pub(super) fn krb5_cc_default_name(context: krb5_context) -> *const c_char;
    pub(super) fn krb5_free_context(context: krb5_context);
    pub(super) fn krb5_sname_to_principal(
        context: krb5_context,
        host: *const c_char,
        service: *const c_char,
        kind: i32,
        principal: *mut krb5_principal,
    ) -> krb5_error_code;
    pub(super) fn krb5_free_principal(context: krb5_context, principal: krb5_principal);
    pub(super) fn krb5_unparse_name(
        context: krb5_context,
        principal: krb5_principal,
        name: *mut *mut c_char,
    ) -> krb5_error_code;
    pub(super) fn krb5_free_unparsed_name(context: krb5_context, name: *mut c_char);
    pub(super) fn krb5_get_error_message(
        context: krb5_context,
        code: krb5_error_code,
    ) -> *const c_char;
    pub(super) fn krb5_free_error_message(context: krb5_context, message: *const c_char);
}
