//! The acceptor (RFC 4178, [MS-SPNG] 3.2), for tests and simulators.

use super::token::{NegState, NegTokenInit, NegTokenResp};
use super::{NTLM_OID, invalid};
use crate::pdu::{AuthLevel, AuthService};
use crate::security::ntlm::{NtlmAcceptor, NtlmLogon};
use crate::security::{Accepted, Handshake, SecurityError, Step};

/// A SPNEGO acceptor that knows NTLM alone.
#[derive(Debug)]
pub struct SpnegoAcceptor {
    ntlm: NtlmAcceptor,
}

impl SpnegoAcceptor {
    /// Returns an acceptor that authenticates with `ntlm`.
    pub fn new(ntlm: NtlmAcceptor) -> Self {
        Self { ntlm }
    }
}

impl Handshake<Accepted> for SpnegoAcceptor {
    fn service(&self) -> AuthService {
        AuthService::Spnego
    }

    /// Answers NegTokenInit.
    fn step(
        self: Box<Self>,
        token: &[u8],
        level: AuthLevel,
    ) -> Result<Step<Accepted>, SecurityError> {
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
        let mut ntlm: Box<dyn Handshake<NtlmLogon>> = Box::new(self.ntlm);
        let mut challenge = None;
        if let (Some(token), false) = (init.mech_token, mic_required) {
            let Step::Continue { token, handshake } = ntlm.step(token, level)? else {
                return Err(SecurityError::Misuse("NTLM ended after one token"));
            };
            (challenge, ntlm) = (Some(token), handshake);
        }
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
        let token = reply.encode();
        let mech_types = init.mech_types.to_vec();
        Ok(Step::Continue {
            token,
            handshake: Box::new(Negotiation { ntlm, mech_types, mic_required }),
        })
    }
}

/// The acceptor that awaits a NegTokenResp.
#[derive(Debug)]
struct Negotiation {
    ntlm: Box<dyn Handshake<NtlmLogon>>,
    /// The client's MechTypeList.
    mech_types: Vec<u8>,
    /// Whether the client must sign it.
    mic_required: bool,
}

impl Handshake<Accepted> for Negotiation {
    fn service(&self) -> AuthService {
        AuthService::Spnego
    }

    fn step(
        self: Box<Self>,
        token: &[u8],
        level: AuthLevel,
    ) -> Result<Step<Accepted>, SecurityError> {
        let Self { ntlm, mech_types, mic_required } = *self;
        let message =
            NegTokenResp::decode(token).ok_or(invalid("it is not a well-formed NegTokenResp"))?;
        let token = message.response_token.ok_or(invalid("it has no token for the mechanism"))?;
        let NtlmLogon { mut session, logon } = match ntlm.step(token, level)? {
            Step::Done { session, .. } => session,
            Step::Continue { token, handshake } => {
                let reply = NegTokenResp {
                    state: Some(NegState::AcceptIncomplete),
                    response_token: Some(&token),
                    ..NegTokenResp::default()
                };
                let token = reply.encode();
                let next = Self { ntlm: handshake, mech_types, mic_required };
                return Ok(Step::Continue { token, handshake: Box::new(next) });
            }
        };

        let mic = match message.mech_list_mic {
            Some(mic) => {
                session.verify(&mech_types, mic)?;
                Some(session.sign(&mech_types))
            }
            None if mic_required || logon.mic => {
                return Err(SecurityError::Downgrade {
                    missing: "a signature of the list of mechanisms",
                });
            }
            None => None,
        };
        session.restart_ciphers();
        let reply = NegTokenResp {
            state: Some(NegState::AcceptCompleted),
            mech_list_mic: mic.as_ref().map(<[u8; 16]>::as_slice),
            ..NegTokenResp::default()
        };
        let token = reply.encode();
        Ok(Step::Done { token, session: NtlmLogon { session, logon }.into() })
    }
}
