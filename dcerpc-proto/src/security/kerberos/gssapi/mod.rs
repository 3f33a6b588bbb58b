//! GSSAPI and libkrb5, safely: every `unsafe` of Kerberos is here or in `sys`.

#![expect(unsafe_code, reason = "the library is C's")]

mod context;

pub(super) use context::Context;

use super::error::Failure;
use super::sys::*;
use std::ffi::{CStr, CString, c_int};
use std::ptr;

/// Checks the library's verdict (RFC 2744 3.9.1), with its text. The text may be had
/// only on the thread that got the verdict, so it is fetched at once.
fn check(major: OM_uint32, minor: OM_uint32) -> Result<(), Failure> {
    // The upper half holds the errors.
    if major & 0xffff_0000 == 0 {
        return Ok(());
    }
    let code = i32::from_ne_bytes(minor.to_ne_bytes());
    let text = match status_text(minor, GSS_C_MECH_CODE) {
        text if minor == 0 || text.is_empty() => status_text(major, GSS_C_GSS_CODE),
        text => text,
    };
    Err(Failure { major, code, text })
}

fn status_text(status: OM_uint32, kind: c_int) -> String {
    let (mut minor, mut more) = (0, 0);
    let mut text = OutBuffer::default();
    // SAFETY: the pointers are to live locals, and `text` releases what the
    // library allocates for it.
    let major = unsafe {
        gss_display_status(
            &raw mut minor,
            status,
            kind,
            &raw const KRB5_MECHANISM,
            &raw mut more,
            &raw mut text.0,
        )
    };
    match major {
        GSS_S_COMPLETE => String::from_utf8_lossy(text.bytes()).into_owned(),
        _ => String::new(),
    }
}

/// A buffer that the library fills and allocates.
struct OutBuffer(gss_buffer_desc);

impl Default for OutBuffer {
    fn default() -> Self {
        Self(gss_buffer_desc { length: 0, value: ptr::null_mut() })
    }
}

impl OutBuffer {
    fn bytes(&self) -> &[u8] {
        if self.0.value.is_null() || self.0.length == 0 {
            return &[];
        }
        // SAFETY: the library has set both fields, and what they describe lives
        // until it is released, when this is dropped.
        unsafe { std::slice::from_raw_parts(self.0.value.cast(), self.0.length) }
    }
}

impl Drop for OutBuffer {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the buffer is empty or the library's own.
        unsafe { gss_release_buffer(&raw mut minor, &raw mut self.0) };
    }
}

/// Describes a buffer that the library only reads, whatever its type says.
fn in_buffer(bytes: &[u8]) -> gss_buffer_desc {
    gss_buffer_desc { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast() }
}

/// A principal's name.
pub(super) struct Name(gss_name_t);

// SAFETY: the library lets any thread use a name, one at a time.
unsafe impl Send for Name {}

impl Name {
    /// Returns a principal as krb5.conf's users write it, `user@REALM`; without a realm
    /// it is of the default one.
    pub(super) fn principal(principal: &str) -> Result<Self, Failure> {
        let text = in_buffer(principal.as_bytes());
        let (mut minor, mut name) = (0, ptr::null_mut());
        // SAFETY: the pointers are to live locals and statics; the library
        // copies the text.
        let major = unsafe {
            gss_import_name(
                &raw mut minor,
                &raw const text,
                &raw const KRB5_PRINCIPAL_NAME,
                &raw mut name,
            )
        };
        check(major, minor)?;
        Ok(Self(name))
    }
}

/// Returns the principal of a service on a host, in the realm that krb5.conf has
/// for the host, without asking DNS. Where krb5.conf has none it ends with `@`:
/// the KDC has to find out.
pub(super) fn service_principal(service: &str, host: &str) -> Result<String, Failure> {
    Krb5::new()?.service_principal(service, host)
}

/// Returns the name of the process's default credential cache.
pub(super) fn default_cache() -> Result<String, Failure> {
    let krb5 = Krb5::new()?;
    // SAFETY: the text is null-terminated, the context's, and copied while that lives.
    let name = unsafe {
        let name = krb5_cc_default_name(krb5.0);
        (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned())
    };
    name.ok_or_else(|| Failure::new("there is no default credential cache"))
}

impl Drop for Name {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the name is the library's own and used no more.
        unsafe { gss_release_name(&raw mut minor, &raw mut self.0) };
    }
}

/// libkrb5, for what GSSAPI has no word for.
struct Krb5(krb5_context);

impl Krb5 {
    fn new() -> Result<Self, Failure> {
        let mut context = ptr::null_mut();
        // SAFETY: the pointer is to a live local.
        let code = unsafe { krb5_init_context(&raw mut context) };
        let this = Self(context);
        this.check(code)?;
        Ok(this)
    }

    fn check(&self, code: krb5_error_code) -> Result<(), Failure> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: a null context is allowed here; the text is the library's,
        // null-terminated, and freed after it has been copied.
        let text = unsafe {
            let message = krb5_get_error_message(self.0, code);
            let text = CStr::from_ptr(message).to_string_lossy().into_owned();
            krb5_free_error_message(self.0, message);
            text
        };
        Err(Failure { major: 0, code, text })
    }

    fn service_principal(&self, service: &str, host: &str) -> Result<String, Failure> {
        let (service, host) = (c_string(service)?, c_string(host)?);
        let (mut principal, mut name) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the strings live until the call returns; what the library
        // gives is freed once, after its last use.
        unsafe {
            let code = krb5_sname_to_principal(
                self.0,
                host.as_ptr(),
                service.as_ptr(),
                KRB5_NT_UNKNOWN,
                &raw mut principal,
            );
            self.check(code)?;
            let code = krb5_unparse_name(self.0, principal, &raw mut name);
            krb5_free_principal(self.0, principal);
            self.check(code)?;
            let text = CStr::from_ptr(name).to_string_lossy().into_owned();
            krb5_free_unparsed_name(self.0, name);
            Ok(text)
        }
    }
}

impl Drop for Krb5 {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the context is the library's own and used no more.
            unsafe { krb5_free_context(self.0) };
        }
    }
}

fn c_string(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure::new("a name contains a NUL"))
}

/// Credentials of an initiator.
pub(super) struct Cred(gss_cred_id_t);

// SAFETY: the library lets any thread use credentials; it locks them itself.
unsafe impl Send for Cred {}

impl Cred {
    /// Acquires the credentials of `name`, or of the owner of the store. `store`
    /// has pairs of a key and a value as gss_acquire_cred_from knows them:
    /// "ccache", "client_keytab". Empty: what the process's environment and
    /// krb5.conf name.
    pub(super) fn acquire(name: Option<&Name>, store: &[(&CStr, &str)]) -> Result<Self, Failure> {
        let values: Vec<CString> =
            store.iter().map(|(_, value)| c_string(value)).collect::<Result<_, _>>()?;
        let elements: Vec<gss_key_value_element_desc> = store
            .iter()
            .zip(&values)
            .map(|((key, _), value)| gss_key_value_element_desc {
                key: key.as_ptr(),
                value: value.as_ptr(),
            })
            .collect();
        let set = gss_key_value_set_desc {
            count: OM_uint32::try_from(elements.len()).unwrap_or(0),
            elements: elements.as_ptr(),
        };
        let store = if elements.is_empty() { ptr::null() } else { &raw const set };
        let (mut minor, mut cred) = (0, ptr::null_mut());
        // SAFETY: the pointers are to live locals and statics, or null where
        // the library allows it; it copies what it keeps.
        let major = unsafe {
            gss_acquire_cred_from(
                &raw mut minor,
                name.map_or(ptr::null_mut(), |name| name.0),
                0,
                &raw const KRB5_MECHANISMS,
                GSS_C_INITIATE,
                store,
                &raw mut cred,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        check(major, minor)?;
        Ok(Self(cred).without_unasked_flags())
    }

    /// Acquires the credentials that `name` gets for a password, in a cache that lives
    /// and dies with them.
    pub(super) fn acquire_with_password(name: &Name, password: &str) -> Result<Self, Failure> {
        let password = in_buffer(password.as_bytes());
        let (mut minor, mut cred) = (0, ptr::null_mut());
        // SAFETY: as in `acquire`.
        let major = unsafe {
            gss_acquire_cred_with_password(
                &raw mut minor,
                name.0,
                &raw const password,
                0,
                &raw const KRB5_MECHANISMS,
                GSS_C_INITIATE,
                &raw mut cred,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        check(major, minor)?;
        Ok(Self(cred).without_unasked_flags())
    }
}

impl Cred {
    /// Asks for no more than is wanted. The library would ask each server for confidentiality, wanted or not,
    /// which makes Samba expect signatures of another length at integrity
    /// level. Versions that always ask refuse this option; all else works with
    /// them.
    fn without_unasked_flags(mut self) -> Self {
        let empty = in_buffer(&[]);
        let mut minor = 0;
        // SAFETY: the pointers are to live locals, statics and the library's
        // own object.
        unsafe {
            gss_set_cred_option(
                &raw mut minor,
                &raw mut self.0,
                &raw const KRB5_CRED_NO_CI_FLAGS,
                &raw const empty,
            )
        };
        self
    }
}

impl Drop for Cred {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the credentials are the library's own and used no more.
        unsafe { gss_release_cred(&raw mut minor, &raw mut self.0) };
    }
}
