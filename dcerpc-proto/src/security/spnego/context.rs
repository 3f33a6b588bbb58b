//! The initiator (RFC 4178, [MS-SPNG] 3.1).

use super::mechanism::Mechanism;
use super::token::{NegState, NegTokenInit, NegTokenResp, mech_type_list};
use crate::pdu::{AuthLevel, AuthService};
use crate::security::{Protected, SecurityContext, SecurityError, Step};

/// A SPNEGO initiator: agrees with the server on one of several mechanisms,
/// runs it, and then is that mechanism.
///
/// The first mechanism's first token goes out with the list. One that can't
/// give it, for example Kerberos without a ticket, is left out, and the next
/// one is the first; so list only what is good enough.
pub struct SpnegoContext {
    mechanisms: Vec<Box<dyn Mechanism>>,
    /// The index of the mechanism in use: the first, unless the server chose
    /// another one.
    chosen: usize,
    /// MechTypeList as it was sent.
    mech_types: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    Start,
    Negotiating(Progress),
    Established,
    Failed,
}

#[derive(Debug, Default)]
struct Progress {
    /// Whether the server has answered at all, and so has chosen.
    answered: bool,
    /// Whether the mechanism needs no more tokens.
    mechanism_complete: bool,
    /// Whether RFC 4178 5 demands that the list be signed: the server didn't
    /// take the first mechanism, or asks for it.
    mic_required: bool,
    mic_sent: bool,
    mic_verified: bool,
}

impl SpnegoContext {
    /// A context that offers these mechanisms, preferred first.
    pub fn new(mechanisms: Vec<Box<dyn Mechanism>>) -> Self {
        Self { mechanisms, chosen: 0, mech_types: Vec::new(), state: State::Start }
    }

    /// NegTokenInit (RFC 4178 4.2.1).
    fn offer(&mut self) -> Result<(Step, State), SecurityError> {
        let first = loop {
            match chosen(&mut self.mechanisms, self.chosen)?.step(&[]) {
                Ok(step) => break step,
                Err(_) if self.mechanisms.len() > 1 => drop(self.mechanisms.remove(0)),
                Err(error) => return Err(error),
            }
        };
        let oids = self.mechanisms.iter().flat_map(|mechanism| mechanism.oids());
        self.mech_types = mech_type_list(oids.copied());
        let token =
            NegTokenInit { mech_types: &self.mech_types, mech_token: Some(&first.token) }.encode();
        let progress = Progress { mechanism_complete: !first.expects_reply, ..Progress::default() };
        let step = Step { token, expects_reply: true };
        Ok((step, State::Negotiating(progress)))
    }

    /// Takes the server's NegTokenResp (RFC 4178 4.2.2).
    fn proceed(
        &mut self,
        mut progress: Progress,
        token: &[u8],
    ) -> Result<(Step, State), SecurityError> {
        let reply =
            NegTokenResp::decode(token).ok_or(invalid("it is not a well-formed NegTokenResp"))?;
        if reply.state == Some(NegState::Reject) {
            return Err(SecurityError::Credentials("the server rejects the logon".into()));
        }
        self.note_choice(&mut progress, &reply)?;
        let output = self.run_mechanism(&mut progress, &reply)?;

        if let Some(mic) = reply.mech_list_mic {
            if !progress.mechanism_complete || progress.mic_verified {
                return Err(invalid("its mechListMIC comes at the wrong time"));
            }
            chosen(&mut self.mechanisms, self.chosen)?.verify_mic(&self.mech_types, mic)?;
            progress.mic_verified = true;
        }

        if reply.state == Some(NegState::AcceptCompleted) {
            self.complete(&progress, &output)
        } else {
            self.answer(progress, &output)
        }
    }

    /// Whether the server took the first mechanism (RFC 4178 4.2.2,
    /// supportedMech).
    fn note_choice(
        &mut self,
        progress: &mut Progress,
        reply: &NegTokenResp<'_>,
    ) -> Result<(), SecurityError> {
        let answered = std::mem::replace(&mut progress.answered, true);
        progress.mic_required |= reply.state == Some(NegState::RequestMic);
        let Some(oid) = reply.supported_mech else {
            return Ok(());
        };
        let index = self
            .mechanisms
            .iter()
            .position(|mechanism| mechanism.oids().contains(&oid))
            .ok_or(invalid("it chooses a mechanism that was not offered"))?;
        if index == self.chosen {
            return Ok(());
        }
        if answered {
            return Err(invalid("it changes the mechanism once chosen"));
        }
        self.chosen = index;
        progress.mechanism_complete = false;
        progress.mic_required = true;
        Ok(())
    }

    /// Gives the mechanism its token; what it has to say to it may be empty.
    fn run_mechanism(
        &mut self,
        progress: &mut Progress,
        reply: &NegTokenResp<'_>,
    ) -> Result<Vec<u8>, SecurityError> {
        if progress.mechanism_complete {
            return match reply.response_token {
                None | Some([]) => Ok(Vec::new()),
                Some(_) => Err(invalid("it has a token for a complete mechanism")),
            };
        }
        // Where the server chose another mechanism it has no token for it yet:
        // the mechanism speaks first.
        let token = match reply.response_token {
            Some(token) => token,
            None if self.chosen != 0 => &[],
            None => return Err(invalid("it has no token for the mechanism")),
        };
        let step = chosen(&mut self.mechanisms, self.chosen)?.step(token)?;
        progress.mechanism_complete = !step.expects_reply;
        Ok(step.token)
    }

    /// The server is content (RFC 4178 5): so must be this side.
    fn complete(
        &mut self,
        progress: &Progress,
        output: &[u8],
    ) -> Result<(Step, State), SecurityError> {
        if !progress.mechanism_complete || !output.is_empty() {
            return Err(invalid("it accepts before the mechanism is complete"));
        }
        if (progress.mic_sent || progress.mic_required) && !progress.mic_verified {
            return Err(SecurityError::Downgrade {
                missing: "a signature of the list of mechanisms",
            });
        }
        chosen(&mut self.mechanisms, self.chosen)?.negotiated()?;
        let step = Step { token: Vec::new(), expects_reply: false };
        Ok((step, State::Established))
    }

    /// The client's NegTokenResp, with mechListMIC as soon as the mechanism is
    /// complete (RFC 4178 5).
    fn answer(
        &mut self,
        mut progress: Progress,
        output: &[u8],
    ) -> Result<(Step, State), SecurityError> {
        let mut mic = None;
        if progress.mechanism_complete && !progress.mic_sent {
            let mechanism = chosen(&mut self.mechanisms, self.chosen)?;
            if progress.mic_required || progress.mic_verified || mechanism.wants_mic() {
                mic = Some(mechanism.get_mic(&self.mech_types)?);
                progress.mic_sent = true;
            }
        }
        if output.is_empty() && mic.is_none() {
            return Err(invalid("it waits though everything is said"));
        }
        let token = NegTokenResp {
            response_token: (!output.is_empty()).then_some(output),
            mech_list_mic: mic.as_deref(),
            ..NegTokenResp::default()
        }
        .encode();
        let step = Step { token, expects_reply: true };
        Ok((step, State::Negotiating(progress)))
    }

    fn established(&mut self) -> Result<&mut dyn Mechanism, SecurityError> {
        match self.state {
            State::Established => chosen(&mut self.mechanisms, self.chosen),
            _ => Err(SecurityError::Misuse("SPNEGO is not established")),
        }
    }
}

impl SecurityContext for SpnegoContext {
    fn service(&self) -> AuthService {
        AuthService::Spnego
    }

    fn step(&mut self, token: &[u8]) -> Result<Step, SecurityError> {
        let (step, state) = match std::mem::replace(&mut self.state, State::Failed) {
            State::Start if token.is_empty() => self.offer()?,
            State::Start => return Err(invalid("the client speaks first")),
            State::Negotiating(progress) => self.proceed(progress, token)?,
            State::Established => {
                self.state = State::Established;
                return Err(SecurityError::Misuse("SPNEGO is established already"));
            }
            State::Failed => return Err(SecurityError::Misuse("SPNEGO has failed before")),
        };
        self.state = state;
        Ok(step)
    }

    fn may_block(&self) -> bool {
        self.mechanisms.iter().any(|mechanism| mechanism.may_block())
    }

    fn signature_len(&self, level: AuthLevel) -> usize {
        self.mechanisms.get(self.chosen).map_or(0, |mechanism| mechanism.signature_len(level))
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

impl std::fmt::Debug for SpnegoContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SpnegoContext")
            .field("mechanisms", &self.mechanisms)
            .field("chosen", &self.chosen)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The mechanism in use.
fn chosen(
    mechanisms: &mut [Box<dyn Mechanism>],
    index: usize,
) -> Result<&mut dyn Mechanism, SecurityError> {
    match mechanisms.get_mut(index) {
        Some(mechanism) => Ok(mechanism.as_mut()),
        None => Err(SecurityError::Misuse("SPNEGO has no mechanism to offer")),
    }
}

pub(super) fn invalid(reason: &'static str) -> SecurityError {
    SecurityError::InvalidToken { mechanism: "SPNEGO", reason }
}
