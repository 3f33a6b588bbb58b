//! The server's side of a logon and of protected PDUs.

use super::{Hangup, Refusal};
use dcerpc_proto::association::FaultStatus;
use dcerpc_proto::pdu::AuthService;
use dcerpc_proto::pdu::{Frame, RejectReason, SecurityTrailer, TRAILER_LEN};
use dcerpc_proto::security::ntlm::{NtlmAcceptor, NtlmCredentials, ServerNames};
use dcerpc_proto::security::spnego::SpnegoAcceptor;
use dcerpc_proto::security::{Accepted, Handshake, Protected, Step as HandshakeStep};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

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

/// A logon and its result.
#[derive(Debug)]
pub(super) struct Security {
    logons: Option<Arc<Logons>>,
    anonymous: bool,
    state: State,
    pub(super) header_signing: bool,
}

#[derive(Debug)]
enum State {
    /// No client has tried to log on.
    Anonymous,
    LogonRunning(Box<dyn Handshake<Accepted>>, SecurityTrailer),
    Established(Accepted, SecurityTrailer),
    Refused(FaultStatus),
}

impl Logons {
    /// Returns the acceptor for an authentication service; `None` where it is not
    /// offered.
    fn acceptor(&self, service: AuthService) -> Option<Box<dyn Handshake<Accepted>>> {
        let mut challenge = [0; 8];
        getrandom::fill(&mut challenge).ok()?;
        let offset = Duration::from_secs(self.clock_ahead.unsigned_abs());
        let now = match self.clock_ahead {
            0.. => SystemTime::now() + offset,
            _ => SystemTime::now() - offset,
        };
        let ntlm = NtlmAcceptor::new(self.accounts.clone(), self.names.clone(), challenge, now);
        match service {
            AuthService::Ntlm => Some(Box::new(ntlm)),
            AuthService::Spnego => Some(Box::new(SpnegoAcceptor::new(ntlm))),
            AuthService::Kerberos => None,
        }
    }
}

impl Security {
    pub(super) fn new(logons: Option<Arc<Logons>>, anonymous: bool) -> Self {
        Self { logons, anonymous, state: State::Anonymous, header_signing: false }
    }

    pub(super) fn user(&self) -> Option<String> {
        let State::Established(Accepted { logon, .. }, _) = &self.state else {
            return None;
        };
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
        let acceptor = self.logons.as_deref().and_then(|logons| logons.acceptor(trailer.service));
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
        let State::LogonRunning(acceptor, trailer) =
            std::mem::replace(&mut self.state, State::Refused(FaultStatus::ACCESS_DENIED))
        else {
            return Err(Hangup::Unexpected(frame.header.packet_type));
        };
        if !frame.trailer.is_some_and(|it| it.agrees_with(&trailer)) {
            return Err(Hangup::Unprotected);
        }
        match acceptor.step(frame.auth_value, trailer.level) {
            Ok(HandshakeStep::Continue { token, handshake }) => {
                self.state = State::LogonRunning(handshake, trailer);
                Ok(Ok(token))
            }
            Ok(HandshakeStep::Done { token, session }) => {
                self.state = State::Established(session, trailer);
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

    pub(super) fn signature_len(&self) -> usize {
        match &self.state {
            State::Established(accepted, _) => accepted.protection.signature_len(),
            _ => 0,
        }
    }

    /// Protects a PDU that ends with its trailer, the stub starting at `stub`.
    pub(super) fn protect(&mut self, pdu: &mut Vec<u8>, stub: usize) {
        let State::Established(accepted, _) = &mut self.state else {
            return;
        };
        let message = Protected {
            stub: stub..pdu.len() - TRAILER_LEN,
            pdu,
            header_signing: self.header_signing,
        };
        let mut signature = Vec::new();
        if let Err(error) = accepted.protection.protect(message, &mut signature) {
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
            State::Anonymous if self.anonymous || self.logons.is_none() => Ok(None),
            // [MS-SWN] 7: less than integrity is refused.
            State::Anonymous => Ok(Some(Refusal::new(FaultStatus::ACCESS_DENIED, false))),
            State::Refused(status) => Ok(Some(Refusal::new(*status, true))),
            State::LogonRunning(..) => Err(Hangup::Unexpected(frame.header.packet_type)),
            State::Established(accepted, trailer) => {
                if !frame.trailer.is_some_and(|it| it.agrees_with(trailer)) {
                    return Err(Hangup::Unprotected);
                }
                let stub = frame.sealed_range(fixed)?;
                let message =
                    Protected { pdu: frame.pdu, stub, header_signing: self.header_signing };
                accepted.protection.unprotect(message, frame.auth_value)?;
                Ok(None)
            }
        }
    }
}
