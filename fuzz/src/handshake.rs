//! A server's authentication tokens, and a server that gives valid ones to start from.

use dcerpc_proto::pdu::AuthLevel;
use dcerpc_proto::security::ntlm::{NtlmAcceptor, NtlmCredentials, NtlmInitiator, ServerNames};
use dcerpc_proto::security::spnego::{SpnegoAcceptor, SpnegoInitiator};
use dcerpc_proto::security::{Accepted, Handshake, Step};
use std::time::SystemTime;

const LEVEL: AuthLevel = AuthLevel::Privacy;

fn credentials() -> NtlmCredentials {
    NtlmCredentials::from_password("jane", "WORK", "secret")
}

fn ntlm() -> NtlmInitiator {
    NtlmInitiator::new(credentials(), &[0x5a; 24], SystemTime::UNIX_EPOCH)
        .for_service("cifs/node1.work.example")
        .from_workstation("LAPTOP")
}

fn spnego() -> Box<dyn Handshake> {
    Box::new(SpnegoInitiator::new(vec![Box::new(ntlm())]))
}

fn acceptor() -> NtlmAcceptor {
    let names = ServerNames {
        netbios_domain: "WORK".into(),
        netbios_computer: "NODE1".into(),
        dns_domain: "work.example".into(),
        dns_computer: "node1.work.example".into(),
    };
    NtlmAcceptor::new(vec![credentials()], names, [0x3c; 8], SystemTime::UNIX_EPOCH)
}

/// Gives a handshake one token after the other, as long as it goes on; whether it came
/// to a session.
fn shake<'a>(handshake: Box<dyn Handshake>, tokens: impl IntoIterator<Item = &'a [u8]>) -> bool {
    let mut step = handshake.step(&[], LEVEL);
    for token in tokens {
        let Ok(Step::Continue { handshake, .. }) = step else { break };
        step = handshake.step(token, LEVEL);
    }
    matches!(step, Ok(Step::Done { .. }))
}

/// NTLM's CHALLENGE.
pub(crate) fn ntlm_challenge(data: &[u8]) {
    shake(Box::new(ntlm()), [data]);
}

/// What a server says to SPNEGO: tokens, each after its length in two bytes.
pub(crate) fn spnego_token(data: &[u8]) {
    negotiate(data);
}

fn negotiate(mut data: &[u8]) -> bool {
    let tokens = std::iter::from_fn(|| {
        let (length, rest) = data.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (token, rest) = rest.split_at(length);
        data = rest;
        Some(token)
    });
    // It ends by itself after three.
    shake(spnego(), tokens.take(8))
}

/// A server's tokens as [`spnego_token`] reads them.
pub(crate) fn pack(tokens: &[Vec<u8>]) -> Vec<u8> {
    let mut packed = Vec::new();
    for token in tokens {
        packed.extend(u16::try_from(token.len()).unwrap_or(u16::MAX).to_le_bytes());
        packed.extend_from_slice(token);
    }
    packed
}

/// The tokens of a server that accepts, up to the last one.
pub(crate) fn accepted() -> Vec<Vec<u8>> {
    let mut tokens = Vec::new();
    let mut client = spnego().step(&[], LEVEL);
    let mut server: Box<dyn Handshake<Accepted>> = Box::new(SpnegoAcceptor::new(acceptor()));
    while let Ok(Step::Continue { token, handshake }) = client {
        let (answer, next) = match server.step(&token, LEVEL) {
            Ok(Step::Continue { token, handshake }) => (token, Some(handshake)),
            Ok(Step::Done { token, .. }) => (token, None),
            Err(_) => break,
        };
        client = handshake.step(&answer, LEVEL);
        tokens.push(answer);
        match next {
            Some(next) => server = next,
            None => break,
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_seed_gets_as_far_as_to_a_session() {
        let reached: Vec<bool> =
            crate::seeds::spnego_token().iter().map(|seed| super::negotiate(seed)).collect();
        // The captured one was for another client's challenge.
        assert_eq!(reached, [false, true]);
    }
}
