//! Where tickets come from.

use crate::security::Secret;
use smol_str::{SmolStr, format_smolstr};
use std::fmt;

/// Where an initiator's tickets come from: one or several sources, tried in
/// order until one has what it takes.
#[derive(Clone, PartialEq, Eq)]
pub struct KerberosCredentials {
    sources: Vec<Source>,
}

/// One source.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// What the environment (KRB5CCNAME, KRB5_CLIENT_KTNAME) and krb5.conf name.
    Default,
    /// A credential cache, kept fresh by someone else.
    Cache(SmolStr),
    /// A keytab. Tickets are kept in memory and renewed by themselves.
    Keytab { keytab: SmolStr, principal: Option<SmolStr> },
    /// A user and their password.
    Password { principal: SmolStr, password: Secret },
}

impl KerberosCredentials {
    /// Uses the process's default credential cache, and where it has a client keytab
    /// (`KRB5_CLIENT_KTNAME`, krb5.conf's `default_client_keytab_name`) that.
    pub fn from_environment() -> Self {
        Source::Default.into()
    }

    /// Uses a credential cache, for example `FILE:/run/krb5cc_smb`, `KEYRING:...` or
    /// a path.
    pub fn from_cache(cache: &str) -> Self {
        Source::Cache(cache.into()).into()
    }

    /// Uses a keytab: a path, or a name with a type, for example `FILE:/etc/krb5.keytab`.
    /// Without a principal its first entry's is used. Tickets are kept in
    /// memory, shared by all contexts of this process, and renewed in time.
    pub fn from_keytab(keytab: &str, principal: Option<&str>) -> Self {
        Source::Keytab { keytab: keytab.into(), principal: principal.map(SmolStr::new) }.into()
    }

    /// Uses a user and their password, which is kept for as long as this value is.
    ///
    /// | user | domain | principal |
    /// | --- | --- | --- |
    /// | `jane` | | `jane` of the default realm |
    /// | `jane` | `work.example` | `jane@WORK.EXAMPLE` |
    /// | `jane` | `WORK` | `jane` of the default realm: a NetBIOS name names no realm |
    /// | `jane@work.example` | anything | `jane@WORK.EXAMPLE` |
    /// | `WORK\jane`, `WORK/jane` | | as `jane` of `WORK` |
    pub fn from_password(user: &str, domain: &str, password: Secret) -> Self {
        Source::Password { principal: principal(user, domain), password }.into()
    }

    /// Uses these, and where they have no ticket to give, `others`.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        self.sources.extend(others.sources);
        self
    }

    #[cfg(feature = "kerberos")]
    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }
}

impl From<Source> for KerberosCredentials {
    fn from(source: Source) -> Self {
        Self { sources: vec![source] }
    }
}

fn principal(user: &str, domain: &str) -> SmolStr {
    let (user, domain) = match (user.split_once(['\\', '/']), domain) {
        (Some((domain, user)), "") => (user, domain),
        _ => (user, domain),
    };
    let (user, realm) = user.split_once('@').unwrap_or((user, domain));
    if realm.contains('.') {
        format_smolstr!("{user}@{}", realm.to_uppercase())
    } else {
        user.into()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default credential cache"),
            Self::Cache(cache) => write!(f, "the credential cache {cache}"),
            Self::Keytab { keytab, principal: None } => write!(f, "the keytab {keytab}"),
            Self::Keytab { keytab, principal: Some(principal) } => {
                write!(f, "{principal} in the keytab {keytab}")
            }
            Self::Password { principal, .. } => write!(f, "{principal} with a password"),
        }
    }
}

impl fmt::Debug for KerberosCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, source) in self.sources.iter().enumerate() {
            let separator = if i == 0 { "" } else { ", else " };
            write!(f, "{separator}{source}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{KerberosCredentials, principal};
    use crate::security::Secret;

    #[test]
    fn a_users_realm_is_the_domain_where_that_is_a_dns_name() {
        for (user, domain, expected) in [
            ("jane", "", "jane"),
            ("jane", "work.example", "jane@WORK.EXAMPLE"),
            ("jane", "WORK", "jane"),
            ("jane@work.example", "", "jane@WORK.EXAMPLE"),
            ("jane@work.example", "WORK", "jane@WORK.EXAMPLE"),
            ("WORK\\jane", "", "jane"),
            ("work.example/jane", "", "jane@WORK.EXAMPLE"),
        ] {
            assert_eq!(principal(user, domain), expected, "{user} {domain}");
        }
    }

    #[test]
    fn debug_shows_the_sources_in_order_and_no_password() {
        let credentials =
            KerberosCredentials::from_password("jane", "work.example", Secret::new("hidden"))
                .or(KerberosCredentials::from_cache("FILE:/run/cc"))
                .or(KerberosCredentials::from_keytab("/etc/krb5.keytab", Some("HOST$")))
                .or(KerberosCredentials::from_environment());
        assert_eq!(
            format!("{credentials:?}"),
            "jane@WORK.EXAMPLE with a password, else the credential cache FILE:/run/cc, else \
             HOST$ in the keytab /etc/krb5.keytab, else the default credential cache"
        );
    }
}
