//! A server's byte stream into an association.

use dcerpc_proto::association::{Association, AssociationConfig, Event};
use dcerpc_proto::epm;
use dcerpc_proto::pdu::{AuthLevel, AuthService};
use dcerpc_proto::security::{Handshake, Protected, Protection, SecurityError, Step};
use std::ops::RangeInclusive;

/// The server's stream follows the first byte, which says with which provider
/// the association binds (0: none, 1: one like NTLM, 2: one like SPNEGO, 3: as
/// 2, but run as a job) and into how long parts the stream is cut.
pub(crate) fn pdu_stream(data: &[u8]) {
    play(data);
}

/// How many replies came.
fn play(data: &[u8]) -> usize {
    let Some((&first, stream)) = data.split_first() else {
        return 0;
    };
    let security = match first & 3 {
        0 => None,
        1 => Some(Gullible::new(AuthService::Ntlm, 1)),
        kind => Some(Gullible { blocks: kind == 3, ..Gullible::new(AuthService::Spnego, 2) }),
    };
    let mut config = AssociationConfig::new(epm::INTERFACE);
    config.level = AuthLevel::Integrity;
    config.max_response = 1 << 16;
    let security = security.map(|context| Box::new(context) as Box<dyn Handshake>);
    let Ok(mut association) = Association::new(config, security) else {
        return 0;
    };
    let mut replies = drain(&mut association);
    for opnum in CALLS {
        let Ok(call) = association.call(opnum, vec![0; 2000]) else {
            return 0;
        };
        if opnum == *CALLS.end() {
            association.orphan(call);
        }
    }
    let part = usize::from(first >> 2).max(1) * 32;
    for part in stream.to_vec().chunks_mut(part) {
        let result = association.receive(part);
        replies += drain(&mut association);
        if result.is_err() {
            break;
        }
    }
    // Ended or not, it can be asked for anything.
    let _ = association.call(0, Vec::new());
    let _ = association.receive(&mut [0; 16]);
    let _ = association.take_transmit();
    replies
}

/// The calls that are under way, so that captured responses find theirs.
const CALLS: RangeInclusive<u16> = 0..=4;

/// Plays the owner's part; how many replies there were.
fn drain(association: &mut Association) -> usize {
    let mut replies = 0;
    while let Some(event) = association.poll_event() {
        match event {
            Event::Authenticate(job) => drop(association.authenticated(job.run())),
            Event::Reply { .. } => replies += 1,
            Event::Bound => {}
        }
    }
    let _ = association.take_transmit();
    replies
}

/// A provider that believes everything, so that the fuzzer gets behind the
/// signatures.
#[derive(Debug)]
struct Gullible {
    service: AuthService,
    /// How often the server still has to answer.
    legs: u32,
    blocks: bool,
}

impl Gullible {
    fn new(service: AuthService, legs: u32) -> Self {
        Self { service, legs, blocks: false }
    }
}

impl Handshake for Gullible {
    fn service(&self) -> AuthService {
        self.service
    }

    fn step(mut self: Box<Self>, _: &[u8], _: AuthLevel) -> Result<Step, SecurityError> {
        let token = vec![0; 40];
        if self.legs == 0 {
            return Ok(Step::Done { token, session: Box::new(Believer) });
        }
        self.legs -= 1;
        Ok(Step::Continue { token, handshake: self })
    }

    fn may_block(&self) -> bool {
        self.blocks
    }
}

/// What believing everything ends in.
#[derive(Debug)]
struct Believer;

impl Protection for Believer {
    fn signature_len(&self) -> usize {
        16
    }

    fn protect(&mut self, _: Protected<'_>, signature: &mut Vec<u8>) -> Result<(), SecurityError> {
        signature.extend([0; 16]);
        Ok(())
    }

    fn unprotect(&mut self, message: Protected<'_>, _: &[u8]) -> Result<(), SecurityError> {
        // As every provider does, and as must not fail.
        message
            .pdu
            .get_mut(message.stub)
            .map(|stub| stub.reverse())
            .ok_or(SecurityError::Misuse("the stub lies outside of the PDU"))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_get_as_far_as_to_their_replies() {
        let replies: Vec<_> =
            crate::seeds::pdu_stream().iter().map(|seed| super::play(seed)).collect();
        // Of the registration with SPNEGO nothing in one part: its job is not run
        // before more arrives. The password that SPNEGO refuses ends the bind.
        assert_eq!(replies, [1, 1, 1, 3, 0, 1, 0, 1, 1, 1, 3, 3, 1, 0]);
    }
}
