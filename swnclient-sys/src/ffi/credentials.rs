//! `struct cli_credentials`, and smb.conf as far as it can be read through them:
//! the library links to none of Samba's other libraries.

use super::abi::{cli_credentials, loadparm_context};
use super::bindings::{
    _talloc_free, CRED_USE_KERBEROS_DISABLED, CRED_USE_KERBEROS_REQUIRED, GetCcacheName,
    cli_credentials_get_kerberos_state, cli_credentials_get_nt_hash,
    cli_credentials_get_ntlm_username_domain, cli_credentials_get_password,
    cli_credentials_get_realm, cli_credentials_get_username, cli_credentials_get_workstation,
    cli_credentials_init, cli_credentials_set_conf, location,
};
use super::guard::argument;
use crate::errno::Errno;
use core_client::{Credentials, KerberosCredentials, NtlmCredentials, Secret, host_name};
use libc::{c_char, c_void};
use smol_str::SmolStr;
use std::ffi::CStr;
use std::ptr::{self, NonNull};
use zeroize::{Zeroize, Zeroizing};

/// The longest NetBIOS name.
const NETBIOS_NAME_MAX: usize = 15;

/// Reads what to authenticate with.
///
/// # Errors
/// [`Errno::INVAL`] for NULL, [`Errno::ACCES`] where no server could accept
/// them.
///
/// # Safety
/// `credentials` is NULL or credentials of the calling thread's.
pub(super) unsafe fn read(credentials: *mut cli_credentials) -> Result<Credentials, Errno> {
    let credentials = argument(credentials)?;
    // SAFETY: this function's contract.
    let kerberos = unsafe { cli_credentials_get_kerberos_state(credentials.as_ptr()) };
    // SAFETY: as above.
    let ntlm = (kerberos != CRED_USE_KERBEROS_REQUIRED).then(|| unsafe { ntlm(credentials) });
    match ntlm.flatten() {
        Some(ntlm) => Ok(Credentials::Ntlm(ntlm)),
        None if kerberos == CRED_USE_KERBEROS_DISABLED => {
            log::warn!("the credentials have no user name or no password; a witness wants both");
            Err(Errno::ACCES)
        }
        // SAFETY: as above.
        None => unsafe { tickets(credentials) }.map(Credentials::Kerberos),
    }
}

/// Where tickets come from: the cache that the credentials name, then the user
/// and the password; where they have neither, what the process's environment
/// names.
///
/// # Safety
/// The credentials are the calling thread's.
unsafe fn tickets(credentials: NonNull<cli_credentials>) -> Result<KerberosCredentials, Errno> {
    // SAFETY: this function's contract.
    let cache = unsafe { ccache_name(credentials)? };
    let cache = cache.map(|name| KerberosCredentials::from_cache(&name));
    // SAFETY: as above.
    let password = unsafe { user_and_password(credentials) };
    // A cache of type MEMORY may be one that only Samba's Kerberos can see.
    let sources = cache.into_iter().chain(password).reduce(KerberosCredentials::or);
    Ok(sources.unwrap_or_else(KerberosCredentials::from_environment))
}

/// # Safety
/// The credentials are the calling thread's.
unsafe fn user_and_password(credentials: NonNull<cli_credentials>) -> Option<KerberosCredentials> {
    // SAFETY: this function's contract; the strings belong to the credentials.
    let (user, realm, password) = unsafe {
        (
            text(cli_credentials_get_username(credentials.as_ptr()))?,
            text(cli_credentials_get_realm(credentials.as_ptr())).unwrap_or_default(),
            text(cli_credentials_get_password(credentials.as_ptr()))?,
        )
    };
    let password = || Secret::new(password);
    (!user.is_empty()).then(|| KerberosCredentials::from_password(user, realm, password()))
}

/// The name of the cache that was set with `cli_credentials_set_ccache`, or that
/// `cli_credentials_guess` found. Samba tells it for as long as there is a ticket
/// in it that is valid.
///
/// # Safety
/// The credentials are the calling thread's.
unsafe fn ccache_name(credentials: NonNull<cli_credentials>) -> Result<Option<String>, Errno> {
    // SAFETY: the name is a C string.
    let symbol = unsafe {
        libc::dlsym(libc::RTLD_DEFAULT, c"cli_credentials_get_ccache_name_obtained".as_ptr())
    };
    if symbol.is_null() {
        return Ok(None);
    }
    // SAFETY: this is the type that Samba's header gives it.
    let get = unsafe { std::mem::transmute::<*mut c_void, GetCcacheName>(symbol) };
    // SAFETY: NULL is a valid parent.
    let scratch = Scratch(argument(unsafe { cli_credentials_init(ptr::null_mut()) })?);
    let (mut name, mut obtained) = (ptr::null_mut(), 0);
    // SAFETY: this function's contract; the name belongs to `scratch`.
    let name = unsafe {
        match get(credentials.as_ptr(), scratch.parent(), &raw mut name, &raw mut obtained) {
            true => text(name).map(str::to_owned),
            false => None,
        }
    };
    Ok(name)
}

/// # Safety
/// The credentials are the calling thread's.
unsafe fn ntlm(credentials: NonNull<cli_credentials>) -> Option<NtlmCredentials> {
    // SAFETY: the parent of all that Samba may allocate here.
    let scratch = unsafe { cli_credentials_init(ptr::null_mut()) };
    let scratch = Scratch(argument(scratch).ok()?);
    let (mut user, mut domain) = (ptr::null(), ptr::null());
    // SAFETY: this function's contract; the strings belong to the credentials or
    // to `scratch`, which both outlive their use.
    let (user, domain) = unsafe {
        cli_credentials_get_ntlm_username_domain(
            credentials.as_ptr(),
            scratch.parent(),
            &raw mut user,
            &raw mut domain,
        );
        (text(user)?, text(domain).unwrap_or_default())
    };
    if user.is_empty() {
        return None;
    }
    // SAFETY: as above.
    let hash = unsafe { cli_credentials_get_nt_hash(credentials.as_ptr(), scratch.parent()) };
    // SAFETY: NULL or a hash that is this function's alone.
    let hash = unsafe { hash.as_mut() }?;
    let copy = Zeroizing::new(hash.hash);
    hash.hash.zeroize();
    Some(NtlmCredentials::from_nt_hash(user, domain, *copy))
}

/// smb.conf's "netbios name", where it was set to something of its own.
///
/// # Safety
/// Each is NULL or the calling thread's.
pub(super) unsafe fn netbios_name(
    credentials: *mut cli_credentials,
    loadparm: *mut loadparm_context,
) -> Option<SmolStr> {
    // The caller's credentials may have another one, or none.
    // SAFETY: NULL is a valid parent.
    let scratch = Scratch(argument(unsafe { cli_credentials_init(ptr::null_mut()) }).ok()?);
    let credentials = match NonNull::new(loadparm) {
        Some(loadparm) => {
            // SAFETY: this function's contract.
            unsafe { cli_credentials_set_conf(scratch.0.as_ptr(), loadparm.as_ptr()) };
            scratch.0
        }
        None => argument(credentials).ok()?,
    };
    // SAFETY: as above; the string belongs to the credentials.
    let name = unsafe { text(cli_credentials_get_workstation(credentials.as_ptr())) }?;
    (!name.is_empty() && !is_samba_default(name)).then(|| name.into())
}

/// Whether it is what Samba makes of the host's name where smb.conf is silent.
fn is_samba_default(netbios_name: &str) -> bool {
    let host = host_name();
    let short = host.as_bytes().split(|byte| *byte == b'.').next().unwrap_or_default();
    let short = short.get(..NETBIOS_NAME_MAX).unwrap_or(short);
    netbios_name.as_bytes().eq_ignore_ascii_case(short)
}

/// Credentials of our own, freed at the end.
struct Scratch(NonNull<cli_credentials>);

impl Scratch {
    fn parent(&self) -> *mut c_void {
        self.0.as_ptr().cast()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: they are its own.
        unsafe { _talloc_free(self.parent(), location!()) };
    }
}

/// # Safety
/// `pointer` is NULL or a string that lives for 'a.
unsafe fn text<'a>(pointer: *const c_char) -> Option<&'a str> {
    // SAFETY: this function's contract.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) })?.to_str().ok()
}
