//! What stands in for Kerberos where it isn't built in.

use super::KERBEROS_OIDS;
use super::credentials::KerberosCredentials;
use super::error::{KerberosError, KerberosErrorKind};
use crate::pdu::{AuthLevel, AuthService};
use crate::security::spnego::{Mechanism, Oid};
use crate::security::{Handshake, SecurityError, Step};
use smol_str::SmolStr;

/// A Kerberos initiator that can't: this build has no Kerberos.
#[derive(Debug)]
pub struct KerberosInitiator(());

impl KerberosInitiator {
    /// Returns an initiator whose first step fails.
    pub fn new(_: KerberosCredentials, _: &str, _: Vec<SmolStr>) -> Self {
        Self(())
    }
}

impl<S> Handshake<S> for KerberosInitiator {
    fn service(&self) -> AuthService {
        AuthService::Kerberos
    }

    fn step(self: Box<Self>, _: &[u8], _: AuthLevel) -> Result<Step<S>, SecurityError> {
        let what = "this program was built without it";
        Err(KerberosError::new(KerberosErrorKind::NotBuilt, what).into())
    }
}

impl Mechanism for KerberosInitiator {
    fn oids(&self) -> &'static [Oid] {
        KERBEROS_OIDS
    }
}
