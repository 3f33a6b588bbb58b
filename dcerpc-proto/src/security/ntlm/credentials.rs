//! Who logs on, and the hash that proves it.

use ctutils::CtEq;
use smol_str::SmolStr;
use std::sync::Arc;
use zeroize::Zeroizing;

use super::keys::{self, Key};
use super::uppercase::Uppercase;
use super::wire::utf16le;

/// A user and the NT hash of their password.
///
/// The hash is as good as the password: it is in memory once, however often
/// the value is cloned, wiped when the last clone is dropped, never shown by
/// `Debug`, and compared in constant time.
#[derive(Clone)]
pub struct NtlmCredentials {
    user: SmolStr,
    domain: SmolStr,
    nt_hash: Arc<Key>,
    uppercase: Uppercase,
}

impl NtlmCredentials {
    /// Takes what a person types. The password itself is not kept.
    ///
    /// Where `domain` is empty, `user` may name it:
    ///
    /// | user | domain | logs on as |
    /// | --- | --- | --- |
    /// | `WORK\jane` or `WORK/jane` | | `jane` of `WORK` |
    /// | `jane@work.example` | | `jane@work.example` of no domain: a user principal name, which the server resolves |
    /// | `jane` | | `jane` of no domain: the server takes its own |
    /// | anything | `WORK` | that user of `WORK` |
    pub fn from_password(user: &str, domain: &str, password: &str) -> Self {
        let password = Zeroizing::new(utf16le(password));
        Self::new(user, domain, &keys::nt_hash(&password))
    }

    /// Takes the NT hash, MD4 of the password in UTF-16LE ([MS-NLMP] 3.3.1), in
    /// place of the password. For `user` and `domain` see
    /// [`NtlmCredentials::from_password`].
    pub fn from_nt_hash(user: &str, domain: &str, nt_hash: [u8; 16]) -> Self {
        Self::new(user, domain, &Zeroizing::new(nt_hash))
    }

    fn new(user: &str, domain: &str, nt_hash: &Key) -> Self {
        let (user, domain) = split_user(user, domain);
        // Written in its place: a value that moves leaves copies behind.
        let mut place = Arc::new(Key::default());
        if let Some(place) = Arc::get_mut(&mut place) {
            place.copy_from_slice(nt_hash.as_slice());
        }
        Self {
            user: user.into(),
            domain: domain.into(),
            nt_hash: place,
            uppercase: Uppercase::default(),
        }
    }

    /// With another table of capital letters than Samba's.
    #[must_use]
    pub fn with_uppercase(self, uppercase: Uppercase) -> Self {
        Self { uppercase, ..self }
    }

    pub(super) fn uppercase(&self) -> Uppercase {
        self.uppercase
    }

    /// Returns the user's name, without a domain in front.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the domain; empty where the server has to find it.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    pub(super) fn nt_hash(&self) -> &[u8; 16] {
        &self.nt_hash
    }
}

/// The one place that knows how a user's name can carry the domain; the rule is
/// in the table of [`NtlmCredentials::from_password`].
fn split_user<'a>(user: &'a str, domain: &'a str) -> (&'a str, &'a str) {
    if !domain.is_empty() {
        return (user, domain);
    }
    match user.split_once(['\\', '/']) {
        Some((domain, user)) => (user, domain),
        None => (user, ""),
    }
}

impl PartialEq for NtlmCredentials {
    fn eq(&self, other: &Self) -> bool {
        let hash = self.nt_hash.as_slice().ct_eq(other.nt_hash.as_slice()).to_bool();
        let same = (&self.user, &self.domain, self.uppercase)
            == (&other.user, &other.domain, other.uppercase);
        hash & same
    }
}

impl Eq for NtlmCredentials {}

impl std::fmt::Debug for NtlmCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\\{}", self.domain, self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::NtlmCredentials;

    #[test]
    fn a_user_may_name_the_domain_where_none_is_given() {
        for (user, domain, expected) in [
            ("WORK\\jane", "", ("jane", "WORK")),
            ("WORK/jane", "", ("jane", "WORK")),
            ("jane@work.example", "", ("jane@work.example", "")),
            ("jane", "", ("jane", "")),
            ("jane", "WORK", ("jane", "WORK")),
            ("OTHER\\jane", "WORK", ("OTHER\\jane", "WORK")),
        ] {
            let credentials = NtlmCredentials::from_password(user, domain, "secret");
            assert_eq!((credentials.user(), credentials.domain()), expected);
        }
    }

    #[test]
    fn debug_shows_domain_and_user_only() {
        let credentials = NtlmCredentials::from_password("jane", "WORK", "secret");
        assert_eq!(format!("{credentials:?}"), "WORK\\jane");
    }

    #[test]
    fn credentials_are_equal_when_user_domain_and_password_are() {
        let credentials = NtlmCredentials::from_password("jane", "WORK", "secret");
        let same = NtlmCredentials::from_password("WORK\\jane", "", "secret");
        assert_eq!(credentials, same);
        for (user, domain, password) in
            [("jane", "WORK", "Secret"), ("joan", "WORK", "secret"), ("jane", "HOME", "secret")]
        {
            assert_ne!(credentials, NtlmCredentials::from_password(user, domain, password));
        }
    }
}
