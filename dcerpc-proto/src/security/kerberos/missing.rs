//! What stands in for Kerberos where it isn't built in.

use super::KERBEROS_OIDS;
use super::credentials::KerberosCredentials;
use super::error::{KerberosError, KerberosErrorKind};
use crate::pdu::{AuthLevel, AuthService};
use crate::security::spnego::{Mechanism, Oid};
use crate::security::{Protected, SecurityContext, SecurityError, Step};
use smol_str::SmolStr;

/// A Kerberos initiator that can't: this build has no Kerberos.
#[derive(Debug)]
pub struct KerberosContext(());

const MISUSE: SecurityError = SecurityError::Misuse("Kerberos is not built in");

impl KerberosContext {
    /// A context whose first step fails.
    pub fn new(_: KerberosCredentials, _: Vec<SmolStr>, _: AuthLevel) -> Self {
        Self(())
    }
}

impl SecurityContext for KerberosContext {
    fn service(&self) -> AuthService {
        AuthService::Kerberos
    }

    fn step(&mut self, _: &[u8]) -> Result<Step, SecurityError> {
        let what = "this program was built without it";
        Err(KerberosError::new(KerberosErrorKind::NotBuilt, what).into())
    }

    fn signature_len(&self, _: AuthLevel) -> usize {
        0
    }

    fn protect(
        &mut self,
        _: AuthLevel,
        _: Protected<'_>,
        _: &mut Vec<u8>,
    ) -> Result<(), SecurityError> {
        Err(MISUSE)
    }

    fn unprotect(&mut self, _: AuthLevel, _: Protected<'_>, _: &[u8]) -> Result<(), SecurityError> {
        Err(MISUSE)
    }
}

impl Mechanism for KerberosContext {
    fn oids(&self) -> &'static [Oid] {
        KERBEROS_OIDS
    }

    fn wants_mic(&self) -> bool {
        false
    }

    fn get_mic(&mut self, _: &[u8]) -> Result<Vec<u8>, SecurityError> {
        Err(MISUSE)
    }

    fn verify_mic(&mut self, _: &[u8], _: &[u8]) -> Result<(), SecurityError> {
        Err(MISUSE)
    }
}
