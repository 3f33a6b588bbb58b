//! The initiator (RFC 4178, [MS-SPNG] 3.1).

use super::invalid;
use super::mechanism::{Mechanism, MechanismSession, Oid};
use super::token::{NegState, NegTokenInit, NegTokenResp, mech_type_list};
use crate::pdu::{AuthLevel, AuthService};
use crate::security::{Handshake, SecurityError, Step};

/// A SPNEGO initiator: agrees with the server on one of several mechanisms, runs
/// it, and ends in what that mechanism ends in.
///
/// The first mechanism's first token goes out with the list. One that can't
/// give it, for example Kerberos without a ticket, is left out, and the next
/// one is the first; so list only what is good enough. Where the KDC refuses the
/// password, no other mechanism presents it again.
#[derive(Debug)]
pub struct SpnegoInitiator {
    mechanisms: Vec<Box<dyn Mechanism>>,
}

impl SpnegoInitiator {
    /// Returns an initiator that offers these mechanisms, preferred first.
    pub fn new(mechanisms: Vec<Box<dyn Mechanism>>) -> Self {
        Self { mechanisms }
    }
}

impl Handshake for SpnegoInitiator {
    fn service(&self) -> AuthService {
        AuthService::Spnego
    }

    fn may_block(&self) -> bool {
        self.mechanisms.iter().any(|mechanism| mechanism.may_block())
    }

    /// Sends NegTokenInit (RFC 4178 4.2.1).
    fn step(self: Box<Self>, token: &[u8], level: AuthLevel) -> Result<Step, SecurityError> {
        if !token.is_empty() {
            return Err(invalid("the client speaks first"));
        }
        let mut mechanisms = self.mechanisms.into_iter();
        let (oids, first) = loop {
            let mechanism =
                mechanisms.next().ok_or(SecurityError::Misuse("SPNEGO has no mechanism"))?;
            let oids = mechanism.oids();
            match mechanism.step(&[], level) {
                Ok(step) => break (oids, step),
                Err(error) if mechanisms.len() == 0 || error.may_lock_account() => {
                    return Err(error);
                }
                Err(_) => {}
            }
        };
        let others: Vec<_> = mechanisms.collect();
        let offered: Vec<_> =
            std::iter::once(oids).chain(others.iter().map(|other| other.oids())).collect();
        let mech_types = mech_type_list(offered.iter().copied().flatten().copied());
        let (mech_token, running) = Running::after(first);
        let token =
            NegTokenInit { mech_types: &mech_types, mech_token: Some(&mech_token) }.encode();
        let handshake = Box::new(Negotiation {
            mech_types,
            offered,
            others,
            chosen: 0,
            running,
            answered: false,
            mic_required: false,
            mic_sent: false,
            mic_verified: false,
        });
        Ok(Step::Continue { token, handshake })
    }
}

/// The mechanism in use.
#[derive(Debug)]
enum Running {
    Handshake(Box<dyn Handshake<Box<dyn MechanismSession>>>),
    Done(Box<dyn MechanismSession>),
}

impl Running {
    /// Returns the mechanism's token, which may be empty, and the mechanism after
    /// a step.
    fn after(step: Step<Box<dyn MechanismSession>>) -> (Vec<u8>, Self) {
        match step {
            Step::Continue { token, handshake } => (token, Self::Handshake(handshake)),
            Step::Done { token, session } => (token, Self::Done(session)),
        }
    }

    /// Gives the mechanism its token; what it has to say to it may be empty.
    fn step(
        self,
        token: Option<&[u8]>,
        level: AuthLevel,
    ) -> Result<(Vec<u8>, Self), SecurityError> {
        match (self, token) {
            (Self::Handshake(handshake), Some(token)) => {
                Ok(Self::after(handshake.step(token, level)?))
            }
            (Self::Handshake(_), None) => Err(invalid("it has no token for the mechanism")),
            (done @ Self::Done(_), None | Some([])) => Ok((Vec::new(), done)),
            (Self::Done(_), Some(_)) => Err(invalid("it has a token for a complete mechanism")),
        }
    }
}

/// The initiator that awaits a NegTokenResp.
#[derive(Debug)]
struct Negotiation {
    /// MechTypeList as it was sent.
    mech_types: Vec<u8>,
    /// The names of each mechanism of the list.
    offered: Vec<&'static [Oid]>,
    /// The mechanisms but for the first, until the server has chosen.
    others: Vec<Box<dyn Mechanism>>,
    /// The index in `offered` of the mechanism in use: the first, unless the
    /// server chose another one.
    chosen: usize,
    running: Running,
    /// Whether the server has answered at all, and so has chosen.
    answered: bool,
    /// Whether RFC 4178 5 demands that the list be signed: the server didn't
    /// take the first mechanism, or asks for it.
    mic_required: bool,
    mic_sent: bool,
    mic_verified: bool,
}

impl Handshake for Negotiation {
    fn service(&self) -> AuthService {
        AuthService::Spnego
    }

    fn may_block(&self) -> bool {
        let running = match &self.running {
            Running::Handshake(handshake) => handshake.may_block(),
            Running::Done(_) => false,
        };
        running || self.others.iter().any(|mechanism| mechanism.may_block())
    }

    /// Handles the server's NegTokenResp (RFC 4178 4.2.2).
    fn step(self: Box<Self>, token: &[u8], level: AuthLevel) -> Result<Step, SecurityError> {
        let mut this = *self;
        let reply =
            NegTokenResp::decode(token).ok_or(invalid("it is not a well-formed NegTokenResp"))?;
        if reply.state == Some(NegState::Reject) {
            return Err(SecurityError::Credentials("the server rejects the logon".into()));
        }
        let (output, running) = match this.note_choice(&reply)? {
            Some(other) => {
                Running::after(other.step(reply.response_token.unwrap_or_default(), level)?)
            }
            None => this.running.step(reply.response_token, level)?,
        };
        let mut this = Self { running, ..this };

        if let Some(mic) = reply.mech_list_mic {
            match &mut this.running {
                Running::Done(session) if !this.mic_verified => {
                    session.verify_mic(&this.mech_types, mic)?;
                }
                _ => return Err(invalid("its mechListMIC comes at the wrong time")),
            }
            this.mic_verified = true;
        }

        if reply.state == Some(NegState::AcceptCompleted) {
            this.complete(&output)
        } else {
            this.answer(&output)
        }
    }
}

impl Negotiation {
    /// Looks whether the server took the first mechanism (RFC 4178 4.2.2,
    /// supportedMech). Where it chose another one, that is returned: it speaks
    /// first, unless the server has a token for it already.
    fn note_choice(
        &mut self,
        reply: &NegTokenResp<'_>,
    ) -> Result<Option<Box<dyn Mechanism>>, SecurityError> {
        let answered = std::mem::replace(&mut self.answered, true);
        let mut others = std::mem::take(&mut self.others);
        self.mic_required |= reply.state == Some(NegState::RequestMic);
        let Some(oid) = reply.supported_mech else {
            return Ok(None);
        };
        let index = self
            .offered
            .iter()
            .position(|oids| oids.contains(&oid))
            .ok_or(invalid("it chooses a mechanism that was not offered"))?;
        if index == self.chosen {
            return Ok(None);
        }
        if answered {
            return Err(invalid("it changes the mechanism once chosen"));
        }
        self.chosen = index;
        self.mic_required = true;
        // `others` lacks the first.
        Ok((1..=others.len()).contains(&index).then(|| others.swap_remove(index - 1)))
    }

    /// Handles accept-completed (RFC 4178 5); our side must be complete too.
    fn complete(self, output: &[u8]) -> Result<Step, SecurityError> {
        let Running::Done(session) = self.running else {
            return Err(invalid("it accepts before the mechanism is complete"));
        };
        if !output.is_empty() {
            return Err(invalid("it accepts before the mechanism is complete"));
        }
        if (self.mic_sent || self.mic_required) && !self.mic_verified {
            return Err(SecurityError::Downgrade {
                missing: "a signature of the list of mechanisms",
            });
        }
        Ok(Step::Done { token: Vec::new(), session: session.into_protection() })
    }

    /// Sends the client's NegTokenResp, with mechListMIC as soon as the mechanism
    /// is complete (RFC 4178 5).
    fn answer(mut self, output: &[u8]) -> Result<Step, SecurityError> {
        let mut mic = None;
        if let (Running::Done(session), false) = (&mut self.running, self.mic_sent) {
            if self.mic_required || self.mic_verified || session.wants_mic() {
                mic = Some(session.get_mic(&self.mech_types)?);
                self.mic_sent = true;
            }
        }
        if output.is_empty() && mic.is_none() {
            return Err(invalid(
                "the server expects another token although negotiation is complete",
            ));
        }
        let token = NegTokenResp {
            response_token: (!output.is_empty()).then_some(output),
            mech_list_mic: mic.as_deref(),
            ..NegTokenResp::default()
        }
        .encode();
        Ok(Step::Continue { token, handshake: Box::new(self) })
    }
}
