//! What a mount's credentials become at a witness.

use crate::account::Account;
use crate::kernel::KernelAuth;
use clap::ValueEnum;
use smol_str::SmolStr;
use swnclient::{Credentials, KerberosCredentials, NtlmCredentials, Secret, Uppercase};

/// A way to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mechanism {
    /// Kerberos.
    Kerberos,
    /// NTLM version 2.
    Ntlm,
}

/// Why a mount's credentials are of no use at a witness.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The mount is anonymous or a guest's.
    #[error(
        "the mount has no user name and password, and a witness wants both; \
         mount with credentials"
    )]
    NoPassword,
    /// The kernel passes bytes on, which another character set gives their meaning.
    #[error("the mount's {0} is not UTF-8; mount with iocharset=utf8 and write it in UTF-8")]
    NotUtf8(&'static str),
    /// The mount uses Kerberos, which the administrator has ruled out.
    #[error(
        "the mount uses Kerberos, and swnd may not (auth is ntlm); mount with sec=ntlmssp, or set \
         auth otherwise, see swnd.conf(5)"
    )]
    KerberosRuledOut,
    /// The mount uses Kerberos, which is not built in.
    #[error(
        "the mount uses Kerberos, and this swnd was built without it; mount with sec=ntlmssp, or \
         install a swnd with Kerberos"
    )]
    KerberosNotBuilt,
    /// The mount is adopted, and swnd has nothing of its own to authenticate with.
    #[error(
        "swnd has no account for it: Kerberos is ruled out (auth is ntlm) or not built in; set auth \
         otherwise, see swnd.conf(5)"
    )]
    NoAccount,
    /// The mount is adopted, and the file with its credentials can't be used.
    #[error("its credentials can't be used: {0}")]
    Account(SmolStr),
}

/// An account that was to be read from a file; `Err`: why it can't be used.
pub type Read = Result<Account, SmolStr>;

/// What the administrator allows.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Where tickets come from for a mount that has none to give.
    kerberos: KerberosCredentials,
    /// Where tickets come from for a mount that is adopted.
    machine: KerberosCredentials,
    /// How a mount with a user and a password authenticates.
    with_password: Allowed,
    /// Whether a mount with Kerberos may use it.
    kerberos_allowed: bool,
    /// What is allowed otherwise for single clusters, by the names in mounts.
    clusters: Vec<(SmolStr, Policy)>,
}

#[derive(Debug, Clone, Copy)]
enum Allowed {
    Ntlm,
    Kerberos,
    Both,
}

impl Default for Policy {
    fn default() -> Self {
        Self::new(&[], KerberosCredentials::from_environment())
    }
}

impl Policy {
    /// The mechanisms that are allowed, or none: then each mount uses its own.
    pub fn new(mechanisms: &[Mechanism], kerberos: KerberosCredentials) -> Self {
        let allows = |mechanism| mechanisms.contains(&mechanism);
        let with_password = match (allows(Mechanism::Kerberos), allows(Mechanism::Ntlm)) {
            (true, true) => Allowed::Both,
            (true, false) => Allowed::Kerberos,
            (false, _) => Allowed::Ntlm,
        };
        let kerberos_allowed = mechanisms.is_empty() || allows(Mechanism::Kerberos);
        let machine = kerberos.clone();
        Self { kerberos, machine, with_password, kerberos_allowed, clusters: Vec::new() }
    }

    /// Lets mounts that are adopted use other tickets than those whose owner asks for them.
    #[must_use]
    pub fn with_machine(self, machine: KerberosCredentials) -> Self {
        Self { machine, ..self }
    }

    /// Allows something else for single clusters.
    #[must_use]
    pub fn with_clusters(self, clusters: Vec<(SmolStr, Self)>) -> Self {
        Self { clusters, ..self }
    }

    /// Returns what is allowed for mounts by a server's name.
    pub fn of(&self, net_name: &str) -> &Self {
        let own = self.clusters.iter().find(|(name, _)| name.eq_ignore_ascii_case(net_name));
        own.map_or(self, |(_, policy)| policy)
    }

    /// What a mount authenticates with at its witness. One with Kerberos never
    /// comes down to NTLM.
    pub fn credentials(&self, auth: &KernelAuth) -> Result<Credentials, Unusable> {
        match auth {
            KernelAuth::Kerberos if !self.kerberos_allowed => Err(Unusable::KerberosRuledOut),
            KernelAuth::Kerberos if !cfg!(feature = "kerberos") => Err(Unusable::KerberosNotBuilt),
            KernelAuth::Kerberos => Ok(Credentials::Kerberos(self.kerberos.clone())),
            KernelAuth::Ntlm { user: Some(user), domain, password: Some(password) } => {
                let domain = domain.as_deref().unwrap_or_default();
                Ok(self.with_password(user, domain, password))
            }
            KernelAuth::Ntlm { .. } => Err(Unusable::NoPassword),
            KernelAuth::NotUtf8 { what } => Err(Unusable::NotUtf8(what)),
        }
    }

    /// What a mount authenticates with that is adopted: the account that was read for it, or
    /// else the machine's tickets.
    pub fn adopted(&self, account: Option<Read>) -> Result<Credentials, Unusable> {
        if let Some(account) = account {
            let Account { user, domain, password } = account.map_err(Unusable::Account)?;
            let (Some(user), Some(password)) = (user, password) else {
                return Err(Unusable::NoPassword);
            };
            let (of_user, name) = match user.split_once(['\\', '/']) {
                Some((domain, name)) => (domain, name),
                None => ("", user.as_str()),
            };
            let domain = domain.as_deref().unwrap_or(of_user);
            return Ok(self.with_password(name, domain, &Secret::new(&password)));
        }
        match self.kerberos_allowed && cfg!(feature = "kerberos") {
            true => Ok(Credentials::Kerberos(self.machine.clone())),
            false => Err(Unusable::NoAccount),
        }
    }

    fn with_password(&self, user: &str, domain: &str, password: &Secret) -> Credentials {
        let kerberos = || KerberosCredentials::from_password(user, domain, password.clone());
        // With the kernel's letters the mount was authenticated.
        let ntlm = || {
            NtlmCredentials::from_password(user, domain, password.expose())
                .with_uppercase(Uppercase::Linux)
        };
        match self.with_password {
            Allowed::Ntlm => Credentials::Ntlm(ntlm()),
            Allowed::Kerberos => Credentials::Kerberos(kerberos()),
            Allowed::Both => Credentials::Negotiate(kerberos(), ntlm()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Mechanism::{Kerberos, Ntlm};

    fn jane() -> KernelAuth {
        KernelAuth::Ntlm {
            user: Some("jane".into()),
            domain: Some("WORK".into()),
            password: Some(Secret::new("hidden")),
        }
    }

    fn policy(mechanisms: &[Mechanism]) -> Policy {
        Policy::new(mechanisms, KerberosCredentials::from_cache("FILE:/run/cc"))
    }

    #[test]
    fn a_mount_with_a_password_uses_ntlm_unless_kerberos_is_asked_for() {
        let ntlm = || {
            NtlmCredentials::from_password("jane", "WORK", "hidden")
                .with_uppercase(Uppercase::Linux)
        };
        let kerberos = || KerberosCredentials::from_password("jane", "WORK", Secret::new("hidden"));
        for (mechanisms, expected) in [
            (&[][..], Credentials::Ntlm(ntlm())),
            (&[Ntlm], Credentials::Ntlm(ntlm())),
            (&[Kerberos], Credentials::Kerberos(kerberos())),
            (&[Kerberos, Ntlm], Credentials::Negotiate(kerberos(), ntlm())),
            (&[Ntlm, Kerberos], Credentials::Negotiate(kerberos(), ntlm())),
        ] {
            assert_eq!(policy(mechanisms).credentials(&jane()), Ok(expected), "{mechanisms:?}");
        }
    }

    #[cfg(feature = "kerberos")]
    #[test]
    fn a_mount_with_kerberos_uses_nothing_else() {
        let tickets = Credentials::Kerberos(KerberosCredentials::from_cache("FILE:/run/cc"));
        for mechanisms in [&[][..], &[Kerberos], &[Kerberos, Ntlm]] {
            let credentials = policy(mechanisms).credentials(&KernelAuth::Kerberos);
            assert_eq!(credentials, Ok(tickets.clone()), "{mechanisms:?}");
        }
        assert_eq!(
            policy(&[Ntlm]).credentials(&KernelAuth::Kerberos),
            Err(Unusable::KerberosRuledOut)
        );
    }

    #[test]
    fn an_adopted_mount_uses_the_machines_tickets_where_kerberos_is_allowed() {
        let machine = KerberosCredentials::from_keytab("/etc/krb5.keytab", Some("HOST$"));
        let of = |mechanisms| policy(mechanisms).with_machine(machine.clone()).adopted(None);
        for mechanisms in [&[][..], &[Kerberos], &[Kerberos, Ntlm]] {
            let expected = match cfg!(feature = "kerberos") {
                true => Ok(Credentials::Kerberos(machine.clone())),
                false => Err(Unusable::NoAccount),
            };
            assert_eq!(of(mechanisms), expected, "{mechanisms:?}");
        }
        assert_eq!(of(&[Ntlm]), Err(Unusable::NoAccount));
    }

    #[test]
    fn an_adopted_mount_with_an_account_uses_it() {
        let account = |text: &str| Some(Ok(Account::parse(text)));
        let ntlm = NtlmCredentials::from_password("jane", "WORK", "hidden")
            .with_uppercase(Uppercase::Linux);
        for text in [
            "username=jane\ndomain=WORK\npassword=hidden\n",
            "username=WORK\\jane\npassword=hidden\n",
            "username=OTHER/jane\npassword=hidden\ndomain=WORK\n",
        ] {
            let expected = Ok(Credentials::Ntlm(ntlm.clone()));
            assert_eq!(policy(&[Ntlm]).adopted(account(text)), expected, "{text}");
        }
        let unreadable = Err("/x: No such file".into());
        let expected = Unusable::Account("/x: No such file".into());
        assert_eq!(policy(&[]).adopted(Some(unreadable)), Err(expected));
    }

    #[cfg(not(feature = "kerberos"))]
    #[test]
    fn a_mount_with_kerberos_is_told_that_it_is_not_built_in() {
        let credentials = policy(&[]).credentials(&KernelAuth::Kerberos);
        assert_eq!(credentials, Err(Unusable::KerberosNotBuilt));
    }
}
