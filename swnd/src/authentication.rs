//! What a mount's credentials become at a witness.

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The mount is anonymous or a guest's.
    #[error(
        "the mount has no user name and password, and a witness wants both; \
         mount with credentials"
    )]
    NoPassword,
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
}

/// What the administrator allows.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Where tickets come from for a mount that has none to give.
    kerberos: KerberosCredentials,
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
        Self { kerberos, with_password, kerberos_allowed, clusters: Vec::new() }
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

    #[cfg(not(feature = "kerberos"))]
    #[test]
    fn a_mount_with_kerberos_is_told_that_it_is_not_built_in() {
        let credentials = policy(&[]).credentials(&KernelAuth::Kerberos);
        assert_eq!(credentials, Err(Unusable::KerberosNotBuilt));
    }
}
