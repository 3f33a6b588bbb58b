//! Kerberos ([MS-KILE], RFC 4121) by the system's GSSAPI, so that krb5.conf,
//! credential caches and keytabs work as everywhere else on the machine.
//!
//! Built with the feature `kerberos`. Without it [`KerberosInitiator`] is there
//! too, and says at its first step that it can't.

mod credentials;
mod error;
#[cfg(feature = "kerberos")]
mod files;
#[cfg(feature = "kerberos")]
mod gssapi;
#[cfg(feature = "kerberos")]
mod initiator;
#[cfg(feature = "kerberos")]
mod keytab;
#[cfg(feature = "kerberos")]
mod krb_error;
#[cfg(not(feature = "kerberos"))]
mod missing;
#[cfg(feature = "kerberos")]
mod sys;

pub use credentials::KerberosCredentials;
pub use error::{KerberosError, KerberosErrorKind};
#[cfg(feature = "kerberos")]
pub use initiator::{KerberosInitiator, KerberosSession};
#[cfg(not(feature = "kerberos"))]
pub use missing::KerberosInitiator;

use crate::security::spnego::Oid;

/// The two names of the mechanism ([MS-SPNG] 1.9): 1.2.840.48018.1.2.2, which
/// Windows sends first for the sake of its oldest versions, and the right one,
/// 1.2.840.113554.1.2.2 (RFC 1964 1).
pub const KERBEROS_OIDS: &[Oid] = &[
    &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02],
];
