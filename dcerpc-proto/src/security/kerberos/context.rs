//! The initiator ([MS-KILE] 3.2).

use super::KERBEROS_OIDS;
use super::credentials::{KerberosCredentials, Source};
use super::error::{Failure, KerberosError, KerberosErrorKind};
use super::gssapi::{Context, Cred, Name, cifs_service};
use super::krb_error;
use crate::pdu::{AuthLevel, AuthService};
use crate::security::spnego::{Mechanism, Oid};
use crate::security::{Protected, SecurityContext, SecurityError, Step};
use smol_str::{SmolStr, ToSmolStr, format_smolstr};

/// A Kerberos initiator: one authentication, mutual and in DCE style (three
/// legs), then one session.
///
/// Its first step finds tickets, and so may wait for a KDC; see
/// [`SecurityContext::may_block`].
pub struct KerberosContext {
    /// The server's names, the one to try first at the front.
    hosts: Vec<SmolStr>,
    level: AuthLevel,
    state: State,
}

/// Where the authentication stands. What a state no longer needs is dropped
/// with it.
enum State {
    Start(KerberosCredentials),
    /// AP-REQ sent, AP-REP awaited.
    Asked(Asked),
    Established(Established),
    Failed,
}

struct Asked {
    context: Context,
    cred: Cred,
    target: Name,
    /// For messages.
    source: SmolStr,
}

struct Established {
    context: Context,
    level: AuthLevel,
    signature_len: usize,
}

impl KerberosContext {
    /// A context for the service `cifs` of the first of `hosts` that the KDC
    /// knows, and for PDUs at `level` alone.
    pub fn new(credentials: KerberosCredentials, hosts: Vec<SmolStr>, level: AuthLevel) -> Self {
        Self { hosts, level, state: State::Start(credentials) }
    }

    /// Tries the sources in order.
    fn ask(&self, credentials: &KerberosCredentials) -> Result<(Vec<u8>, Asked), KerberosError> {
        let mut failed = None;
        for source in credentials.sources() {
            match self.ask_with(source) {
                Err(error) if error.is_about_source() => failed = Some(error),
                result => return result,
            }
        }
        Err(failed
            .unwrap_or_else(|| KerberosError::new(KerberosErrorKind::NoTicket, "no credentials")))
    }

    /// Tries the names of the server in order.
    fn ask_with(&self, source: &Source) -> Result<(Vec<u8>, Asked), KerberosError> {
        let explain = |failure: Failure| explain(source, failure);
        let cred = acquire(source).map_err(explain)?;
        let mut unknown = Vec::new();
        for host in &self.hosts {
            let principal = cifs_service(host).map_err(explain)?;
            let target = Name::principal(&principal).map_err(explain)?;
            let mut context = Context::new(self.level);
            match context.init(&cred, &target, &[]) {
                Ok(token) => {
                    let source = format_smolstr!("{source}");
                    return Ok((token.bytes, Asked { context, cred, target, source }));
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

    fn established(&mut self) -> Result<&mut Established, SecurityError> {
        match &mut self.state {
            State::Established(established) => Ok(established),
            _ => Err(SecurityError::Misuse("Kerberos is not established")),
        }
    }

    fn established_at(&mut self, level: AuthLevel) -> Result<&mut Established, SecurityError> {
        let established = self.established()?;
        match established.level == level {
            true => Ok(established),
            false => Err(SecurityError::Misuse("Kerberos was established for another level")),
        }
    }
}

impl Asked {
    /// Takes the AP-REP; the reply to it is the third leg.
    fn proceed(
        mut self,
        token: &[u8],
        level: AuthLevel,
    ) -> Result<(Vec<u8>, Established), SecurityError> {
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
        Ok((reply.bytes, Established { context: self.context, level, signature_len }))
    }
}

impl SecurityContext for KerberosContext {
    fn service(&self) -> AuthService {
        AuthService::Kerberos
    }

    fn step(&mut self, token: &[u8]) -> Result<Step, SecurityError> {
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Start(credentials) => {
                if !token.is_empty() {
                    return Err(invalid("the client speaks first"));
                }
                let (token, asked) = self.ask(&credentials)?;
                self.state = State::Asked(asked);
                Ok(Step { token, expects_reply: true })
            }
            State::Asked(asked) => {
                let (token, established) = asked.proceed(token, self.level)?;
                self.state = State::Established(established);
                Ok(Step { token, expects_reply: false })
            }
            established @ State::Established(_) => {
                self.state = established;
                Err(SecurityError::Misuse("Kerberos is established already"))
            }
            State::Failed => Err(SecurityError::Misuse("Kerberos has failed before")),
        }
    }

    /// The first step asks the KDC; the second only computes.
    fn may_block(&self) -> bool {
        matches!(self.state, State::Start(_))
    }

    fn signature_len(&self, _level: AuthLevel) -> usize {
        match &self.state {
            State::Established(established) => established.signature_len,
            _ => 0,
        }
    }

    fn protect(
        &mut self,
        level: AuthLevel,
        Protected { pdu, stub, header_signing }: Protected<'_>,
        signature: &mut Vec<u8>,
    ) -> Result<(), SecurityError> {
        let Established { context, signature_len, .. } = self.established_at(level)?;
        match level {
            AuthLevel::Integrity => {
                let mic = context.sign(signed(pdu, stub, header_signing)?).map_err(failed)?;
                if mic.len() != *signature_len {
                    return Err(SecurityError::Misuse("a signature has an unexpected length"));
                }
                signature.extend_from_slice(&mic);
            }
            AuthLevel::Privacy => {
                let start = signature.len();
                signature.resize(start + *signature_len, 0);
                let place = signature.get_mut(start..).unwrap_or_default();
                context.seal(pdu, stub, header_signing, place).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn unprotect(
        &mut self,
        level: AuthLevel,
        Protected { pdu, stub, header_signing }: Protected<'_>,
        signature: &[u8],
    ) -> Result<(), SecurityError> {
        let context = &mut self.established_at(level)?.context;
        let valid = match level {
            AuthLevel::Integrity => context.verify(signed(pdu, stub, header_signing)?, signature),
            AuthLevel::Privacy => context.unseal(pdu, stub, header_signing, signature),
        };
        if valid { Ok(()) } else { Err(SecurityError::BadSignature) }
    }
}

impl Mechanism for KerberosContext {
    fn oids(&self) -> &'static [Oid] {
        KERBEROS_OIDS
    }

    /// What RFC 4178 5 leaves open is done: whoever alters the list is noticed.
    fn wants_mic(&self) -> bool {
        true
    }

    fn get_mic(&mut self, mech_types: &[u8]) -> Result<Vec<u8>, SecurityError> {
        self.established()?.context.sign(mech_types).map_err(failed)
    }

    fn verify_mic(&mut self, mech_types: &[u8], mic: &[u8]) -> Result<(), SecurityError> {
        match self.established()?.context.verify(mech_types, mic) {
            true => Ok(()),
            false => Err(SecurityError::BadSignature),
        }
    }
}

impl std::fmt::Debug for KerberosContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.state {
            State::Start(_) => "start",
            State::Asked(_) => "asked",
            State::Established(_) => "established",
            State::Failed => "failed",
        };
        f.debug_struct("KerberosContext")
            .field("state", &state)
            .field("hosts", &self.hosts)
            .finish_non_exhaustive()
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
        (Source::Keytab { keytab, .. }, NoTicket) => {
            let path = keytab.strip_prefix("FILE:").unwrap_or(keytab);
            match std::fs::File::open(path) {
                Ok(_) => (Keytab, "it has no such key".to_smolstr()),
                Err(error) => (Keytab, error.to_smolstr()),
            }
        }
        (Source::Keytab { .. }, Refused) => (OldKey, failure.text.into()),
        (_, kind) => (kind, failure.text.into()),
    };
    KerberosError::new(kind, format_smolstr!("{source}: {reason}"))
}

/// What a signature covers at integrity level ([MS-RPCE] 3.3.1.5.2.2).
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
