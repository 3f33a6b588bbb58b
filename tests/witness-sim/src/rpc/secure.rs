//! The server's side of a logon and of protected PDUs.

use super::{Hangup, Refusal};
use dcerpc_proto::association::FaultStatus;
use dcerpc_proto::pdu::AuthService;
use dcerpc_proto::pdu::{Frame, RejectReason, SecurityTrailer, TRAILER_LEN};
use dcerpc_proto::security::ntlm::{NtlmAcceptor, NtlmCredentials, ServerNames};
use dcerpc_proto::security::spnego::SpnegoAcceptor;
use dcerpc_proto::security::{AcceptorContext, Protected};
use std::sync::Arc;

/// Who may log on, and what the server calls itself meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct Logons {
    /// The users.
    pub(crate) accounts: Vec<NtlmCredentials>,
    /// The server's names.
    pub(crate) names: ServerNames,
    /// How far its clock is ahead of this machine's, in seconds.
    pub(crate) clock_ahead: i64,
}

/// A logon and what came of it.
#[derive(Debug)]
pub(super) struct Security {
    logons: Option<Arc<Logons>>,
    state: State,
    pub(super) header_signing: bool,
}

#[derive(Debug)]
enum State {
    /// Nobody tried to log on.
    Anonymous,
    LogonRunning(Acceptor, SecurityTrailer),
    Established(Acceptor, SecurityTrailer),
    Refused(FaultStatus),
}

#[derive(Debug)]
enum Acceptor {
    Ntlm(NtlmAcceptor),
    Spnego(SpnegoAcceptor),
}

impl Acceptor {
    fn new(service: AuthService, logons: &Logons) -> Option<Self> {
        let ntlm = NtlmAcceptor::new(logons.accounts.clone(), logons.names.clone())
            .with_clock_ahead(logons.clock_ahead);
        match service {
            AuthService::Ntlm => Some(Self::Ntlm(ntlm)),
            AuthService::Spnego => Some(Self::Spnego(SpnegoAcceptor::new(ntlm))),
            AuthService::Kerberos => None,
        }
    }

    fn context(&mut self) -> &mut dyn AcceptorContext {
        match self {
            Self::Ntlm(ntlm) => ntlm,
            Self::Spnego(spnego) => spnego,
        }
    }

    fn ntlm(&self) -> &NtlmAcceptor {
        match self {
            Self::Ntlm(ntlm) => ntlm,
            Self::Spnego(spnego) => spnego.ntlm(),
        }
    }
}

impl Security {
    pub(super) fn new(logons: Option<Arc<Logons>>) -> Self {
        Self { logons, state: State::Anonymous, header_signing: false }
    }

    pub(super) fn user(&self) -> Option<String> {
        let State::Established(acceptor, _) = &self.state else {
            return None;
        };
        let logon = acceptor.ntlm().logon()?;
        Some(format!("{}\\{}", logon.domain, logon.user))
    }

    /// Takes the token of a bind, if it has one, and gives the answer's.
    pub(super) fn begin(
        &mut self,
        frame: &Frame<'_>,
    ) -> Result<Option<Result<Vec<u8>, RejectReason>>, Hangup> {
        let Some(trailer) = frame.trailer else {
            return Ok(None);
        };
        let acceptor =
            self.logons.as_deref().and_then(|logons| Acceptor::new(trailer.service, logons));
        let Some(acceptor) = acceptor else {
            return Ok(Some(Err(RejectReason::AuthTypeNotRecognized)));
        };
        self.state = State::LogonRunning(acceptor, trailer);
        let token = self.step(frame)?;
        Ok(Some(token.map_err(|_| RejectReason::InvalidChecksum)))
    }

    /// Takes the token of alter_context or auth3 and gives the answer's.
    pub(super) fn step(
        &mut self,
        frame: &Frame<'_>,
    ) -> Result<Result<Vec<u8>, FaultStatus>, Hangup> {
        let State::LogonRunning(mut acceptor, trailer) =
            std::mem::replace(&mut self.state, State::Refused(FaultStatus::ACCESS_DENIED))
        else {
            return Err(Hangup::Unexpected(frame.header.packet_type));
        };
        if !frame.trailer.is_some_and(|it| it.agrees_with(&trailer)) {
            return Err(Hangup::Unprotected);
        }
        match acceptor.context().step(frame.auth_value) {
            Ok(token) => {
                self.state = if acceptor.context().is_established() {
                    State::Established(acceptor, trailer)
                } else {
                    State::LogonRunning(acceptor, trailer)
                };
                Ok(Ok(token))
            }
            Err(error) => {
                log::info!("logon refused: {error}");
                Ok(Err(FaultStatus::ACCESS_DENIED))
            }
        }
    }

    /// The trailer of what the server sends.
    pub(super) fn trailer(&self) -> Option<SecurityTrailer> {
        match self.state {
            State::LogonRunning(_, trailer) | State::Established(_, trailer) => Some(trailer),
            State::Anonymous | State::Refused(_) => None,
        }
    }

    pub(super) fn is_established(&self) -> bool {
        matches!(self.state, State::Established(..))
    }

    pub(super) fn signature_len(&mut self) -> usize {
        match &mut self.state {
            State::Established(acceptor, trailer) => {
                acceptor.context().signature_len(trailer.level)
            }
            _ => 0,
        }
    }

    /// Protects a PDU that ends with its trailer, the stub starting at `stub`.
    pub(super) fn protect(&mut self, pdu: &mut Vec<u8>, stub: usize) {
        let State::Established(acceptor, trailer) = &mut self.state else {
            return;
        };
        let message = Protected {
            stub: stub..pdu.len() - TRAILER_LEN,
            pdu,
            header_signing: self.header_signing,
        };
        let mut signature = Vec::new();
        let context = acceptor.context();
        if let Err(error) = context.protect(trailer.level, message, &mut signature) {
            // The client will refuse the PDU, which is right.
            log::error!("cannot protect an answer: {error}");
        }
        pdu.extend_from_slice(&signature);
    }

    /// Unseals and verifies a request; says whether it is refused for who
    /// makes it.
    pub(super) fn unprotect(
        &mut self,
        frame: &mut Frame<'_>,
        fixed: usize,
    ) -> Result<Option<Refusal>, Hangup> {
        match &mut self.state {
            State::Anonymous if self.logons.is_none() => Ok(None),
            // [MS-SWN] 7: less than integrity is refused.
            State::Anonymous => Ok(Some(Refusal::new(FaultStatus::ACCESS_DENIED, false))),
            State::Refused(status) => Ok(Some(Refusal::new(*status, true))),
            State::LogonRunning(..) => Err(Hangup::Unexpected(frame.header.packet_type)),
            State::Established(acceptor, trailer) => {
                if !frame.trailer.is_some_and(|it| it.agrees_with(trailer)) {
                    return Err(Hangup::Unprotected);
                }
                let stub = frame.sealed_range(fixed)?;
                let message =
                    Protected { pdu: frame.pdu, stub, header_signing: self.header_signing };
                acceptor.context().unprotect(trailer.level, message, frame.auth_value)?;
                Ok(None)
            }
        }
    }
}
