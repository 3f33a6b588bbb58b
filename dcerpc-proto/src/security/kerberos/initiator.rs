//! The initiator ([MS-KILE] 3.2).

use super::KERBEROS_OIDS;
use super::credentials::{KerberosCredentials, Source};
use super::error::{Failure, KerberosError, KerberosErrorKind};
use super::files;
use super::gssapi::{Context, Cred, Name, default_cache, service_principal};
use super::krb_error;
use crate::pdu::{AuthLevel, AuthService};
use crate::security::spnego::{Mechanism, MechanismSession, Oid};
use crate::security::{Handshake, Protected, Protection, SecurityError, Step};
use smol_str::{SmolStr, format_smolstr};

/// How many machine accounts of a keytab are tried.
const MACHINE_ACCOUNTS_MAX: usize = 3;

/// A Kerberos initiator: one authentication, mutual and in DCE style (three
/// legs), then one [`KerberosSession`].
///
/// Its first step finds tickets, and so may wait for a KDC; see
/// [`Handshake::may_block`].
#[derive(Debug)]
pub struct KerberosInitiator {
    credentials: KerberosCredentials,
    service: SmolStr,
    /// The server's names, the one to try first at the front.
    hosts: Vec<SmolStr>,
}

impl KerberosInitiator {
    /// Returns an initiator for a service, for example `host`, on the first
    /// of `hosts` that the KDC knows it on.
    pub fn new(credentials: KerberosCredentials, service: &str, hosts: Vec<SmolStr>) -> Self {
        Self { credentials, service: service.into(), hosts }
    }

    /// Tries the sources in order.
    fn ask(&self, level: AuthLevel) -> Result<(Vec<u8>, Asked), KerberosError> {
        let mut failed = None;
        for source in self.credentials.sources() {
            match self.ask_as(source, level) {
                Err(error) if error.is_about_source() => failed = Some(error),
                result => return result,
            }
        }
        Err(failed
            .unwrap_or_else(|| KerberosError::new(KerberosErrorKind::NoTicket, "no credentials")))
    }

    /// Asks as the source's owner. A keytab may begin with a service, such as `host/...`, that
    /// is no client to Active Directory: then as the machine account that it has a key of.
    fn ask_as(&self, source: &Source, level: AuthLevel) -> Result<(Vec<u8>, Asked), KerberosError> {
        let first = self.ask_with(source, level);
        let (Source::Keytab { keytab, principal: None }, Err(error)) = (source, &first) else {
            return first;
        };
        if error.kind() != KerberosErrorKind::UnknownClient {
            return first;
        }
        for account in files::machine_accounts(keytab).into_iter().take(MACHINE_ACCOUNTS_MAX) {
            let (keytab, principal) = (keytab.clone(), Some(account.into()));
            match self.ask_with(&Source::Keytab { keytab, principal }, level) {
                Err(error) if error.kind() == KerberosErrorKind::UnknownClient => {}
                result => return result,
            }
        }
        first
    }

    /// Tries the names of the server in order.
    fn ask_with(
        &self,
        source: &Source,
        level: AuthLevel,
    ) -> Result<(Vec<u8>, Asked), KerberosError> {
        let explain = |failure: Failure| explain(source, failure);
        check(source)?;
        let cred = acquire(source).map_err(explain)?;
        let mut unknown = Vec::new();
        for host in &self.hosts {
            let principal = service_principal(&self.service, host).map_err(explain)?;
            let target = Name::principal(&principal).map_err(explain)?;
            let mut context = Context::new(level);
            match context.init(&cred, &target, &[]) {
                Ok(token) => {
                    let source = format_smolstr!("{source}");
                    return Ok((token.bytes, Asked { context, cred, target, source, level }));
                }
                Err(failure) if failure.kind() == KerberosErrorKind::UnknownService => {
                    unknown.push(principal.trim_end_matches('@').to_owned());
                }
                Err(failure) => return Err(explain(failure)),
            }
        }
        let what = format_smolstr!("the KDC does not know {}", unknown.join(" nor "));
        Err(KerberosError::new(KerberosErrorKind::UnknownService, what))
    }
}

impl<S: From<KerberosSession>> Handshake<S> for KerberosInitiator {
    fn service(&self) -> AuthService {
        AuthService::Kerberos
    }

    /// Asks the KDC.
    fn may_block(&self) -> bool {
        true
    }

    fn step(self: Box<Self>, token: &[u8], level: AuthLevel) -> Result<Step<S>, SecurityError> {
        if !token.is_empty() {
            return Err(invalid("the client speaks first"));
        }
        let (token, asked) = self.ask(level)?;
        Ok(Step::Continue { token, handshake: Box::new(asked) })
    }
}

impl Mechanism for KerberosInitiator {
    fn oids(&self) -> &'static [Oid] {
        KERBEROS_OIDS
    }
}

/// The initiator that has sent the AP-REQ and awaits the AP-REP.
struct Asked {
    context: Context,
    cred: Cred,
    target: Name,
    /// For messages.
    source: SmolStr,
    level: AuthLevel,
}

impl<S: From<KerberosSession>> Handshake<S> for Asked {
    fn service(&self) -> AuthService {
        AuthService::Kerberos
    }

    fn step(self: Box<Self>, token: &[u8], _: AuthLevel) -> Result<Step<S>, SecurityError> {
        let (token, session) = self.proceed(token)?;
        Ok(Step::Done { token, session: session.into() })
    }
}

impl Asked {
    /// Handles the AP-REP; the reply to it is the third leg.
    fn proceed(mut self, token: &[u8]) -> Result<(Vec<u8>, KerberosSession), SecurityError> {
        let level = self.level;
        let answer = self.context.init(&self.cred, &self.target, token);
        let reply = answer.map_err(|failure| {
            let failure = krb_error::code(token).map_or(failure, Failure::from_server);
            let what = format_smolstr!("{}: {}", self.source, failure.text);
            KerberosError::new(failure.kind(), what)
        })?;
        if !reply.complete {
            return Err(invalid("it asks for a fourth leg"));
        }
        if !self.context.has_all_flags() {
            return Err(SecurityError::Downgrade {
                missing: "mutual authentication and the level of protection asked for",
            });
        }
        let signature_len = match level {
            AuthLevel::Integrity => self.context.sign_len(),
            AuthLevel::Privacy => self.context.seal_len(),
        };
        let signature_len = signature_len.map_err(failed)?;
        Ok((reply.bytes, KerberosSession { context: self.context, level, signature_len }))
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("source", &self.source).finish_non_exhaustive()
    }
}

/// An established context, which protects PDUs at one level.
pub struct KerberosSession {
    context: Context,
    level: AuthLevel,
    signature_len: usize,
}

impl Protection for KerberosSession {
    fn signature_len(&self) -> usize {
        self.signature_len
    }

    fn protect(
        &mut self,
        Protected { pdu, stub, header_signing }: Protected<'_>,
        signature: &mut Vec<u8>,
    ) -> Result<(), SecurityError> {
        match self.level {
            AuthLevel::Integrity => {
                let mic = self.context.sign(signed(pdu, stub, header_signing)?).map_err(failed)?;
                if mic.len() != self.signature_len {
                    return Err(SecurityError::Misuse("a signature has an unexpected length"));
                }
                signature.extend_from_slice(&mic);
            }
            AuthLevel::Privacy => {
                let start = signature.len();
                signature.resize(start + self.signature_len, 0);
                let place = signature.get_mut(start..).unwrap_or_default();
                self.context.seal(pdu, stub, header_signing, place).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn unprotect(
        &mut self,
        Protected { pdu, stub, header_signing }: Protected<'_>,
        signature: &[u8],
    ) -> Result<(), SecurityError> {
        let valid = match self.level {
            AuthLevel::Integrity => {
                self.context.verify(signed(pdu, stub, header_signing)?, signature)
            }
            AuthLevel::Privacy => self.context.unseal(pdu, stub, header_signing, signature),
        };
        if valid { Ok(()) } else { Err(SecurityError::BadSignature) }
    }
}

impl MechanismSession for KerberosSession {
    /// What RFC 4178 5 leaves open is done: an altered list is noticed.
    fn wants_mic(&self) -> bool {
        true
    }

    fn get_mic(&mut self, mech_types: &[u8]) -> Result<Vec<u8>, SecurityError> {
        self.context.sign(mech_types).map_err(failed)
    }

    fn verify_mic(&mut self, mech_types: &[u8], mic: &[u8]) -> Result<(), SecurityError> {
        match self.context.verify(mech_types, mic) {
            true => Ok(()),
            false => Err(SecurityError::BadSignature),
        }
    }

    fn into_protection(self: Box<Self>) -> Box<dyn Protection> {
        self
    }
}

impl From<KerberosSession> for Box<dyn Protection> {
    fn from(session: KerberosSession) -> Self {
        Box::new(session)
    }
}

impl From<KerberosSession> for Box<dyn MechanismSession> {
    fn from(session: KerberosSession) -> Self {
        Box::new(session)
    }
}

impl std::fmt::Debug for KerberosSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KerberosSession").field("level", &self.level).finish_non_exhaustive()
    }
}

/// Checks that the library can be let at a source's file.
fn check(source: &Source) -> Result<(), KerberosError> {
    match source {
        Source::Default => {
            // What it fails with shows when the tickets are asked for.
            default_cache().ok().map_or(Ok(()), |name| files::check_cache(&name))
        }
        Source::Cache(cache) => files::check_cache(cache),
        Source::Keytab { keytab, .. } => files::check_keytab(keytab),
        Source::Password { .. } => Ok(()),
    }
}

/// Gets hold of a source's credentials. May ask the KDC.
fn acquire(source: &Source) -> Result<Cred, Failure> {
    match source {
        Source::Default => Cred::acquire(None, &[]),
        Source::Cache(cache) => Cred::acquire(None, &[(c"ccache", cache)]),
        Source::Keytab { keytab, principal } => {
            let name = principal.as_deref().map(Name::principal).transpose()?;
            // One cache for each keytab and principal: all contexts share the
            // tickets, and the library renews them.
            let owner = principal.as_deref().unwrap_or_default();
            let cache = format!("MEMORY:dcerpc/{owner}/{keytab}");
            let store = [(c"ccache", cache.as_str()), (c"client_keytab", keytab)];
            Cred::acquire(name.as_ref(), &store)
        }
        Source::Password { principal, password } => {
            Cred::acquire_with_password(&Name::principal(principal)?, password.expose())
        }
    }
}

fn explain(source: &Source, failure: Failure) -> KerberosError {
    use KerberosErrorKind::{Keytab, NoTicket, OldKey, Refused};
    let (kind, reason) = match (source, failure.kind()) {
        // The library only misses the cache that the keytab was to fill.
        (Source::Keytab { keytab, .. }, NoTicket) => (Keytab, files::keytab_problem(keytab)),
        (Source::Keytab { .. }, Refused) => (OldKey, failure.text.into()),
        (_, kind) => (kind, failure.text.into()),
    };
    KerberosError::new(kind, format_smolstr!("{source}: {reason}"))
}

/// Returns what a signature covers at integrity level ([MS-RPCE] 3.3.1.5.2.2).
fn signed(
    pdu: &[u8],
    stub: std::ops::Range<usize>,
    header_signing: bool,
) -> Result<&[u8], SecurityError> {
    match header_signing {
        true => Ok(pdu),
        false => pdu.get(stub).ok_or(SecurityError::Misuse("the stub lies outside of the PDU")),
    }
}

fn failed(failure: Failure) -> SecurityError {
    KerberosError::new(failure.kind(), failure.text).into()
}

fn invalid(reason: &'static str) -> SecurityError {
    SecurityError::InvalidToken { mechanism: "Kerberos", reason }
}
