//! The acceptor (RFC 4178, [MS-SPNG] 3.2), for tests and simulators.

use super::NTLM_OID;
use super::context::invalid;
use super::token::{NegState, NegTokenInit, NegTokenResp};
use crate::pdu::{AuthLevel, AuthService};
use crate::security::ntlm::NtlmAcceptor;
use crate::security::{AcceptorContext, Protected, SecurityError};

/// A SPNEGO acceptor that knows NTLM alone.
#[derive(Debug)]
pub struct SpnegoAcceptor {
    ntlm: NtlmAcceptor,
    state: State,
}

#[derive(Debug)]
enum State {
    /// NegTokenInit awaited.
    Start,
    /// The client's MechTypeList, and whether it must be signed.
    Negotiating {
        mech_types: Vec<u8>,
        mic_required: bool,
    },
    Established,
    Failed,
}

impl SpnegoAcceptor {
    /// An acceptor that authenticates with `ntlm`, which must be fresh.
    pub fn new(ntlm: NtlmAcceptor) -> Self {
        Self { ntlm, state: State::Start }
    }

    /// The mechanism, which knows who has logged on.
    pub fn ntlm(&self) -> &NtlmAcceptor {
        &self.ntlm
    }

    fn choose(&mut self, token: &[u8]) -> Result<(Vec<u8>, State), SecurityError> {
        let init =
            NegTokenInit::decode(token).ok_or(invalid("it is not a well-formed NegTokenInit"))?;
        let preference = init
            .mechanisms()
            .ok_or(invalid("it is not a well-formed NegTokenInit"))?
            .iter()
            .position(|&mechanism| mechanism == NTLM_OID)
            .ok_or(invalid("it does not offer NTLM"))?;
        // The optimistic token is of the first mechanism only.
        let mic_required = preference != 0;
        let challenge = match init.mech_token {
            Some(token) if !mic_required => Some(self.ntlm.step(token)?),
            _ => None,
        };
        let reply = NegTokenResp {
            state: Some(if mic_required {
                NegState::RequestMic
            } else {
                NegState::AcceptIncomplete
            }),
            supported_mech: Some(NTLM_OID),
            response_token: challenge.as_deref(),
            mech_list_mic: None,
        };
        let state = State::Negotiating { mech_types: init.mech_types.to_vec(), mic_required };
        Ok((reply.encode(), state))
    }

    fn proceed(
        &mut self,
        mech_types: Vec<u8>,
        mic_required: bool,
        token: &[u8],
    ) -> Result<(Vec<u8>, State), SecurityError> {
        let message =
            NegTokenResp::decode(token).ok_or(invalid("it is not a well-formed NegTokenResp"))?;
        let token = message.response_token.ok_or(invalid("it has no token for the mechanism"))?;
        let challenge = self.ntlm.step(token)?;
        let Some(logon) = self.ntlm.logon() else {
            let reply = NegTokenResp {
                state: Some(NegState::AcceptIncomplete),
                response_token: Some(&challenge),
                ..NegTokenResp::default()
            };
            let state = State::Negotiating { mech_types, mic_required };
            return Ok((reply.encode(), state));
        };

        let mic = match message.mech_list_mic {
            Some(mic) => {
                self.ntlm.verify_mic(&mech_types, mic)?;
                Some(self.ntlm.get_mic(&mech_types)?)
            }
            None if mic_required || logon.mic => {
                return Err(SecurityError::Downgrade {
                    missing: "a signature of the list of mechanisms",
                });
            }
            None => None,
        };
        self.ntlm.restart_ciphers()?;
        let reply = NegTokenResp {
            state: Some(NegState::AcceptCompleted),
            mech_list_mic: mic.as_ref().map(<[u8; 16]>::as_slice),
            ..NegTokenResp::default()
        };
        Ok((reply.encode(), State::Established))
    }

    fn established(&mut self) -> Result<&mut NtlmAcceptor, SecurityError> {
        match self.state {
            State::Established => Ok(&mut self.ntlm),
            _ => Err(SecurityError::Misuse("SPNEGO is not established")),
        }
    }
}

impl AcceptorContext for SpnegoAcceptor {
    fn service(&self) -> AuthService {
        AuthService::Spnego
    }

    fn step(&mut self, token: &[u8]) -> Result<Vec<u8>, SecurityError> {
        let (reply, state) = match std::mem::replace(&mut self.state, State::Failed) {
            State::Start => self.choose(token)?,
            State::Negotiating { mech_types, mic_required } => {
                self.proceed(mech_types, mic_required, token)?
            }
            State::Established => {
                self.state = State::Established;
                return Err(SecurityError::Misuse("SPNEGO is established already"));
            }
            State::Failed => return Err(SecurityError::Misuse("SPNEGO has failed before")),
        };
        self.state = state;
        Ok(reply)
    }

    fn is_established(&self) -> bool {
        matches!(self.state, State::Established)
    }

    fn signature_len(&self, level: AuthLevel) -> usize {
        self.ntlm.signature_len(level)
    }

    fn protect(
        &mut self,
        level: AuthLevel,
        message: Protected<'_>,
        signature: &mut Vec<u8>,
    ) -> Result<(), SecurityError> {
        self.established()?.protect(level, message, signature)
    }

    fn unprotect(
        &mut self,
        level: AuthLevel,
        message: Protected<'_>,
        signature: &[u8],
    ) -> Result<(), SecurityError> {
        self.established()?.unprotect(level, message, signature)
    }
}
