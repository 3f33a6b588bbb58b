//! A security context, from its first token to the PDUs that it protects.

use super::super::error::Failure;
use super::super::sys::*;
use super::{Cred, Name, OutBuffer, check, in_buffer};
use crate::pdu::AuthLevel;
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::ptr;
use zeroize::Zeroizing;

/// What [`Context::init`] gives.
pub(in crate::security::kerberos) struct Token {
    pub(in crate::security::kerberos) bytes: Vec<u8>,
    pub(in crate::security::kerberos) complete: bool,
}

/// What is asked of every context, and must be granted.
const FLAGS: OM_uint32 = GSS_C_MUTUAL_FLAG
    | GSS_C_REPLAY_FLAG
    | GSS_C_SEQUENCE_FLAG
    | GSS_C_INTEG_FLAG
    | GSS_C_DCE_STYLE;

/// An initiator's context, in DCE style ([MS-KILE] 3.4.5): three legs, and
/// signatures apart from the message.
pub(in crate::security::kerberos) struct Context {
    handle: gss_ctx_id_t,
    asked: OM_uint32,
    granted: OM_uint32,
}

// SAFETY: the library lets any thread use a context, one at a time, and
// `&mut self` sees to that.
unsafe impl Send for Context {}

impl Context {
    /// Returns a context for messages at `level`, which asks for no more than that.
    pub(in crate::security::kerberos) fn new(level: AuthLevel) -> Self {
        let asked = match level {
            AuthLevel::Integrity => FLAGS,
            AuthLevel::Privacy => FLAGS | GSS_C_CONF_FLAG,
        };
        Self { handle: ptr::null_mut(), asked, granted: 0 }
    }

    /// Returns whether everything that was asked for is granted.
    pub(in crate::security::kerberos) fn has_all_flags(&self) -> bool {
        self.granted & self.asked == self.asked
    }

    /// Takes the next step: GSS_Init_sec_context. The first call may wait for a KDC.
    pub(in crate::security::kerberos) fn init(
        &mut self,
        cred: &Cred,
        target: &Name,
        input: &[u8],
    ) -> Result<Token, Failure> {
        let input = in_buffer(input);
        let mut output = OutBuffer::default();
        let mut minor = 0;
        // SAFETY: the pointers are to live locals, statics and the library's
        // own objects, or null where it allows that.
        let major = unsafe {
            gss_init_sec_context(
                &raw mut minor,
                cred.0,
                &raw mut self.handle,
                target.0,
                &raw const KRB5_MECHANISM,
                self.asked,
                0,
                ptr::null(),
                &raw const input,
                ptr::null_mut(),
                &raw mut output.0,
                &raw mut self.granted,
                ptr::null_mut(),
            )
        };
        check(major, minor)?;
        let complete = major & GSS_S_CONTINUE_NEEDED == 0;
        Ok(Token { bytes: output.bytes().to_vec(), complete })
    }

    /// Returns the length of a signature of a message that is sealed.
    pub(in crate::security::kerberos) fn seal_len(&mut self) -> Result<usize, Failure> {
        // The stub's length does not matter as long as it is padded.
        let mut stub = [0; 16];
        let mut header = [0; 0];
        let mut iov = [
            iov(GSS_IOV_BUFFER_TYPE_HEADER, &mut header),
            iov(GSS_IOV_BUFFER_TYPE_DATA, &mut stub),
        ];
        let (mut minor, mut sealed) = (0, 0);
        // SAFETY: the pointers are to live locals; only lengths are written.
        let major = unsafe {
            gss_wrap_iov_length(
                &raw mut minor,
                self.handle,
                1,
                GSS_C_QOP_DEFAULT,
                &raw mut sealed,
                iov.as_mut_ptr(),
                count(&iov),
            )
        };
        check(major, minor)?;
        let [header, _] = iov;
        Ok(header.buffer.length)
    }

    /// Returns the length of a signature of a message that is only signed.
    pub(in crate::security::kerberos) fn sign_len(&mut self) -> Result<usize, Failure> {
        let (mut message, mut mic) = ([0; 16], [0; 0]);
        let mut iov = [
            iov(GSS_IOV_BUFFER_TYPE_DATA, &mut message),
            iov(GSS_IOV_BUFFER_TYPE_MIC_TOKEN, &mut mic),
        ];
        let mut minor = 0;
        // SAFETY: as in `seal_len`.
        let major = unsafe {
            gss_get_mic_iov_length(
                &raw mut minor,
                self.handle,
                GSS_C_QOP_DEFAULT,
                iov.as_mut_ptr(),
                count(&iov),
            )
        };
        check(major, minor)?;
        let [_, mic] = iov;
        Ok(mic.buffer.length)
    }

    /// Signs a message: GSS_GetMIC.
    pub(in crate::security::kerberos) fn sign(
        &mut self,
        message: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let message = in_buffer(message);
        let mut mic = OutBuffer::default();
        let mut minor = 0;
        // SAFETY: the pointers are to live locals.
        let major = unsafe {
            gss_get_mic(
                &raw mut minor,
                self.handle,
                GSS_C_QOP_DEFAULT,
                &raw const message,
                &raw mut mic.0,
            )
        };
        check(major, minor)?;
        Ok(mic.bytes().to_vec())
    }

    /// Verifies a message: GSS_VerifyMIC. False: it does not verify, or not in this place.
    pub(in crate::security::kerberos) fn verify(&mut self, message: &[u8], mic: &[u8]) -> bool {
        let (message, mic) = (in_buffer(message), in_buffer(mic));
        let (mut minor, mut qop) = (0, 0);
        // SAFETY: the pointers are to live locals.
        let major = unsafe {
            gss_verify_mic(
                &raw mut minor,
                self.handle,
                &raw const message,
                &raw const mic,
                &raw mut qop,
            )
        };
        // Anything but COMPLETE: also a replayed or a missing message, which
        // the library reports as supplementary information.
        major == GSS_S_COMPLETE
    }

    /// Seals a stub: GSS_WrapEx ([MS-KILE] 3.4.5.4), of the stub in place; the rest of the PDU
    /// is only signed, with header signing, or not covered at all.
    pub(in crate::security::kerberos) fn seal(
        &mut self,
        pdu: &mut [u8],
        stub: Range<usize>,
        header_signing: bool,
        signature: &mut [u8],
    ) -> Result<(), Failure> {
        let expected_len = signature.len();
        let mut iov = pdu_iov(pdu, stub, header_signing, signature)?;
        let (mut minor, mut sealed) = (0, 0);
        // SAFETY: the buffers are disjoint, alive and of the lengths given; in
        // DCE style the library writes within them only.
        let major = unsafe {
            gss_wrap_iov(
                &raw mut minor,
                self.handle,
                1,
                GSS_C_QOP_DEFAULT,
                &raw mut sealed,
                iov.as_mut_ptr(),
                count(&iov),
            )
        };
        check(major, minor)?;
        let [header, ..] = iov;
        if sealed == 0 || header.buffer.length != expected_len {
            return Err(Failure::new("the message was not sealed"));
        }
        Ok(())
    }

    /// Unseals a stub: GSS_UnwrapEx, in place. False: it does not verify, or not in this place,
    /// or was not sealed.
    pub(in crate::security::kerberos) fn unseal(
        &mut self,
        pdu: &mut [u8],
        stub: Range<usize>,
        header_signing: bool,
        signature: &[u8],
    ) -> bool {
        // The library decrypts part of it in place.
        let mut signature = Zeroizing::new(signature.to_vec());
        let Ok(mut iov) = pdu_iov(pdu, stub, header_signing, &mut signature) else {
            return false;
        };
        let (mut minor, mut sealed, mut qop) = (0, 0, 0);
        // SAFETY: as in `seal`.
        let major = unsafe {
            gss_unwrap_iov(
                &raw mut minor,
                self.handle,
                &raw mut sealed,
                &raw mut qop,
                iov.as_mut_ptr(),
                count(&iov),
            )
        };
        major == GSS_S_COMPLETE && sealed != 0
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: the context is null or the library's own, and used no more.
        unsafe { gss_delete_sec_context(&raw mut minor, &raw mut self.handle, ptr::null_mut()) };
    }
}

fn iov(kind: OM_uint32, bytes: &mut [u8]) -> gss_iov_buffer_desc {
    let value: *mut c_void = bytes.as_mut_ptr().cast();
    gss_iov_buffer_desc { kind, buffer: gss_buffer_desc { length: bytes.len(), value } }
}

/// Describes a PDU and its signature as [MS-RPCE] 2.2.2.11 has them: signature, what
/// comes before the stub, the stub, what comes after it.
fn pdu_iov(
    pdu: &mut [u8],
    stub: Range<usize>,
    header_signing: bool,
    signature: &mut [u8],
) -> Result<[gss_iov_buffer_desc; 4], Failure> {
    let outside = || Failure::new("the stub lies outside of the PDU");
    let (head, after) = pdu.split_at_mut_checked(stub.end).ok_or_else(outside)?;
    let (before, stub) = head.split_at_mut_checked(stub.start).ok_or_else(outside)?;
    let around = match header_signing {
        true => GSS_IOV_BUFFER_TYPE_SIGN_ONLY,
        false => GSS_IOV_BUFFER_TYPE_EMPTY,
    };
    Ok([
        iov(GSS_IOV_BUFFER_TYPE_HEADER, signature),
        iov(around, before),
        iov(GSS_IOV_BUFFER_TYPE_DATA, stub),
        iov(around, after),
    ])
}

fn count(iov: &[gss_iov_buffer_desc]) -> c_int {
    c_int::try_from(iov.len()).unwrap_or(0)
}
