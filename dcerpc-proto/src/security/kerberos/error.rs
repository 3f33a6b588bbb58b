//! What can be wrong with Kerberos on this side, and what to do about it.

use smol_str::SmolStr;

/// Kerberos gives no ticket, or refuses the server's answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Kerberos: {what}; {}", kind.advice())]
pub struct KerberosError {
    kind: KerberosErrorKind,
    what: SmolStr,
}

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KerberosErrorKind {
    /// This program was built without Kerberos.
    NotBuilt,
    /// There is no credential cache, or no ticket in it.
    NoTicket,
    /// The credential cache or the keytab is no regular file, or another user's.
    File,
    /// The cache's tickets have expired.
    TicketExpired,
    /// The keytab can't be read, or has no key of the principal.
    Keytab,
    /// No KDC answers.
    KdcUnreachable,
    /// krb5.conf does not say which realm, or not where it is.
    Realm,
    /// The KDC does not know who asks.
    UnknownClient,
    /// The KDC does not know the server by any name that was tried.
    UnknownService,
    /// The KDC refuses the password or the account.
    Refused,
    /// The keytab's key is not the one that the KDC has.
    OldKey,
    /// The clocks of this machine, the KDC and the server differ too much.
    ClockSkew,
    /// The server can't read the ticket.
    ServerKey,
    /// The library says something else.
    Other,
}

impl KerberosErrorKind {
    /// Returns what to do about it.
    fn advice(self) -> &'static str {
        match self {
            Self::NotBuilt => "use a build with the feature kerberos, or another mechanism",
            Self::NoTicket => "get a ticket for that cache with kinit, or use a keytab",
            Self::File => "let root own a regular file in that place, or name another one",
            Self::TicketExpired => "renew the tickets with kinit, or use a keytab",
            Self::Keytab => "check the keytab with klist -k, or name its principal",
            Self::KdcUnreachable => {
                "check the network to the KDC (port 88), and DNS or the realm's kdc in krb5.conf"
            }
            Self::Realm => "check default_realm, [realms] and [domain_realm] in krb5.conf",
            Self::UnknownClient => "check the user's or the machine account's name and realm",
            Self::UnknownService => {
                "register it as the server's service principal, connect by a name that is \
                 registered, or check [domain_realm] in krb5.conf"
            }
            Self::Refused => "check the password and whether the account is locked or expired",
            Self::OldKey => "get a new keytab: the account's password has changed since",
            Self::ClockSkew => "synchronise this machine's clock, for example with chrony",
            Self::ServerKey => "give the server a keytab with the current key of its service",
            Self::Other => "check krb5.conf; KRB5_TRACE=/dev/stderr shows what the library does",
        }
    }
}

impl KerberosError {
    pub(super) fn new(kind: KerberosErrorKind, what: impl Into<SmolStr>) -> Self {
        Self { kind, what: what.into() }
    }

    /// Returns what kind of thing is wrong.
    pub fn kind(&self) -> KerberosErrorKind {
        self.kind
    }

    /// Returns whether another source of tickets may have what this one lacks.
    #[cfg(feature = "kerberos")]
    pub(super) fn is_about_source(&self) -> bool {
        use KerberosErrorKind::{File, Keytab, NoTicket, OldKey, TicketExpired};
        matches!(self.kind, File | NoTicket | TicketExpired | Keytab | OldKey)
    }

    /// Returns whether trying again with the same credentials may lock the account: to
    /// the KDC an old key is a wrong password.
    pub fn may_lock_account(&self) -> bool {
        matches!(self.kind, KerberosErrorKind::Refused | KerberosErrorKind::OldKey)
    }
}

/// ERROR_TABLE_BASE_krb5 of krb5.h: where the codes of RFC 4120 7.5.9 start.
/// Those from 128 on are the library's own.
#[cfg(feature = "kerberos")]
const ERROR_TABLE_BASE: i32 = -1_765_328_384;

/// What a call of the library failed with.
#[cfg(feature = "kerberos")]
#[derive(Debug)]
pub(super) struct Failure {
    /// RFC 2744's major status; 0 where it isn't GSSAPI's.
    pub(super) major: u32,
    /// The error code of libkrb5; 0 where there is none.
    pub(super) code: i32,
    /// The library's text.
    pub(super) text: String,
}

#[cfg(feature = "kerberos")]
impl Failure {
    /// Returns a failure on this side of the library.
    pub(super) fn new(text: &str) -> Self {
        Self { major: 0, code: 0, text: text.into() }
    }

    /// Returns a server's error, by its code of RFC 4120 7.5.9.
    pub(super) fn from_server(code: i32) -> Self {
        let text = format!("the server refuses the ticket with error {code} of RFC 4120");
        Self { major: 0, code: ERROR_TABLE_BASE + code, text }
    }

    pub(super) fn kind(&self) -> KerberosErrorKind {
        use KerberosErrorKind::*;
        /// GSS_S_NO_CRED and GSS_S_CREDENTIALS_EXPIRED (RFC 2744 3.9.1), as the
        /// upper half of a status has them.
        const NO_CRED: u32 = 7;
        const CREDENTIALS_EXPIRED: u32 = 11;
        match self.code.wrapping_sub(ERROR_TABLE_BASE) {
            6 => UnknownClient,                // KDC_ERR_C_PRINCIPAL_UNKNOWN
            7 => UnknownService,               // KDC_ERR_S_PRINCIPAL_UNKNOWN
            1 | 18 | 21 | 23 => Refused, // KDC_ERR_NAME_EXP, CLIENT_REVOKED, CLIENT_NOTYET, KEY_EXP
            24 | 31 | 210 => Refused,    // KDC_ERR_PREAUTH_FAILED, AP_ERR_BAD_INTEGRITY
            32 => TicketExpired,         // KRB_AP_ERR_TKT_EXPIRED
            33 | 37 | 148 => ClockSkew,  // KRB_AP_ERR_TKT_NYV, SKEW, KRB5_KDCREP_SKEW
            41 | 44 | 45 => ServerKey,   // KRB_AP_ERR_MODIFIED, BADKEYVER, NOKEY
            68 | 154 | 220 | 224 => Realm, // WRONG_REALM, REALM_UNKNOWN, CANT_RESOLVE, NODEFREALM
            156 => KdcUnreachable,       // KRB5_KDC_UNREACH
            139..=142 | 194 | 195 => NoTicket, // KRB5_CC_BADNAME to CC_END, FCC_PERM, FCC_NOFILE
            179..=181 | 213 => Keytab,   // KRB5_KT_BADNAME to KT_NOTFOUND, KEYTAB_BADVNO
            _ => match self.major >> 16 {
                NO_CRED => NoTicket,
                CREDENTIALS_EXPIRED => TicketExpired,
                _ => Other,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KerberosError, KerberosErrorKind};

    #[test]
    fn only_a_password_or_a_key_that_the_kdc_refused_may_lock_the_account() {
        use KerberosErrorKind::*;
        for (kind, expected) in [
            (Refused, true),
            (OldKey, true),
            (NoTicket, false),
            (TicketExpired, false),
            (Keytab, false),
            (KdcUnreachable, false),
            (UnknownClient, false),
            (ClockSkew, false),
        ] {
            let error = KerberosError::new(kind, "what is wrong");
            assert_eq!(error.may_lock_account(), expected, "{kind:?}");
        }
    }

    #[cfg(feature = "kerberos")]
    #[test]
    fn the_codes_of_rfc_4120_and_of_the_library_tell_what_to_do() {
        use super::{ERROR_TABLE_BASE, Failure};
        use KerberosErrorKind::*;
        // The codes' values in krb5.h.
        for (code, expected) in [
            (-1_765_328_378, UnknownClient),  // KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN
            (-1_765_328_377, UnknownService), // KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN
            (-1_765_328_366, Refused),        // KRB5KDC_ERR_CLIENT_REVOKED
            (-1_765_328_361, Refused),        // KRB5KDC_ERR_KEY_EXP
            (-1_765_328_360, Refused),        // KRB5KDC_ERR_PREAUTH_FAILED
            (-1_765_328_353, Refused),        // KRB5KRB_AP_ERR_BAD_INTEGRITY
            (-1_765_328_352, TicketExpired),  // KRB5KRB_AP_ERR_TKT_EXPIRED
            (-1_765_328_347, ClockSkew),      // KRB5KRB_AP_ERR_SKEW
            (-1_765_328_340, ServerKey),      // KRB5KRB_AP_ERR_BADKEYVER
            (-1_765_328_339, ServerKey),      // KRB5KRB_AP_ERR_NOKEY
            (-1_765_328_316, Realm),          // KRB5KDC_ERR_WRONG_REALM
            (-1_765_328_230, Realm),          // KRB5_REALM_UNKNOWN
            (-1_765_328_228, KdcUnreachable), // KRB5_KDC_UNREACH
            (-1_765_328_243, NoTicket),       // KRB5_CC_NOTFOUND
            (-1_765_328_189, NoTicket),       // KRB5_FCC_NOFILE
            (-1_765_328_203, Keytab),         // KRB5_KT_NOTFOUND
            (-1_765_328_160, Realm),          // KRB5_CONFIG_NODEFREALM
            (ERROR_TABLE_BASE + 60, Other),   // KRB5KRB_ERR_GENERIC
        ] {
            let failure = Failure { major: 0, code, text: String::new() };
            assert_eq!(failure.kind(), expected, "{code}");
        }
    }
}
