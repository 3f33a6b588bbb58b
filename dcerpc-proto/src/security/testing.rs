//! What the tests of all providers share: two sides that send each other PDUs.

use super::ntlm::{NtlmAcceptor, NtlmCredentials, NtlmInitiator, ServerNames};
use super::{Handshake, Protected, Protection, SecurityError, Step};
use crate::pdu::AuthLevel;
use std::time::{Duration, SystemTime};

/// Protection levels and header signing, in all combinations.
pub(super) const PROTECTIONS: [(AuthLevel, bool); 4] = [
    (AuthLevel::Integrity, false),
    (AuthLevel::Integrity, true),
    (AuthLevel::Privacy, false),
    (AuthLevel::Privacy, true),
];
pub(super) const LEVELS: [AuthLevel; 2] = [AuthLevel::Integrity, AuthLevel::Privacy];

/// Where the stub lies in the PDUs of these tests: a header comes before it, a
/// security trailer after it.
const STUB: std::ops::Range<usize> = 24..56;
const PDU_LEN: usize = 64;

/// A PDU on its way, and its signature.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) pdu: Vec<u8>,
    pub(super) signature: Vec<u8>,
    header_signing: bool,
}

impl Sent {
    /// Whether its stub can't be read.
    pub(super) fn is_sealed(&self) -> bool {
        self.pdu[STUB] != plain()[STUB]
    }
}

/// The plain text of the PDUs sent here.
pub(super) fn plain() -> Vec<u8> {
    (0..PDU_LEN).map(|byte| u8::try_from(byte).unwrap()).collect()
}

pub(super) fn send(side: &mut dyn Protection, header_signing: bool) -> Sent {
    let mut pdu = plain();
    let mut signature = Vec::new();
    let message = Protected { pdu: &mut pdu, stub: STUB, header_signing };
    side.protect(message, &mut signature).unwrap();
    assert_eq!(signature.len(), side.signature_len());
    assert_eq!(pdu[..STUB.start], plain()[..STUB.start]);
    assert_eq!(pdu[STUB.end..], plain()[STUB.end..]);
    Sent { pdu, signature, header_signing }
}

pub(super) fn receive(side: &mut dyn Protection, sent: &Sent) -> Result<(), SecurityError> {
    let mut pdu = sent.pdu.clone();
    let message = Protected { pdu: &mut pdu, stub: STUB, header_signing: sent.header_signing };
    side.unprotect(message, &sent.signature)?;
    assert_eq!(pdu, plain());
    Ok(())
}

/// Sends PDUs both ways, several in a row, with and without header signing.
pub(super) fn converse(
    initiator: &mut dyn Protection,
    acceptor: &mut dyn Protection,
    level: AuthLevel,
) {
    for header_signing in [false, true] {
        for _ in 0..3 {
            let sent = send(initiator, header_signing);
            assert_eq!(sent.is_sealed(), level == AuthLevel::Privacy);
            receive(acceptor, &sent).unwrap();
        }
        for _ in 0..2 {
            let sent = send(acceptor, header_signing);
            assert_eq!(sent.is_sealed(), level == AuthLevel::Privacy);
            receive(initiator, &sent).unwrap();
        }
    }
}

/// A step that is not the last.
pub(super) fn goes_on<S: std::fmt::Debug>(step: Step<S>) -> (Vec<u8>, Box<dyn Handshake<S>>) {
    match step {
        Step::Continue { token, handshake } => (token, handshake),
        done @ Step::Done { .. } => panic!("{done:?} too early"),
    }
}

/// The last step.
pub(super) fn is_done<S: std::fmt::Debug>(step: Step<S>) -> (Vec<u8>, S) {
    match step {
        Step::Done { token, session } => (token, session),
        more @ Step::Continue { .. } => panic!("{more:?} instead of the end"),
    }
}

pub(super) fn jane() -> NtlmCredentials {
    NtlmCredentials::from_password("jane", "WORK", "secret")
}

/// Some time, the same for both sides.
pub(super) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

pub(super) fn initiator(credentials: NtlmCredentials) -> NtlmInitiator {
    NtlmInitiator::new(credentials, &[0x5a; 24], now())
        .for_service("cifs/node1.work.example")
        .from_workstation("LAPTOP")
}

/// A server that knows [`jane`].
pub(super) fn acceptor() -> NtlmAcceptor {
    acceptor_at(now())
}

/// The same, by whose clock it is `now`.
pub(super) fn acceptor_at(now: SystemTime) -> NtlmAcceptor {
    let names = ServerNames {
        netbios_domain: "WORK".into(),
        netbios_computer: "NODE1".into(),
        dns_domain: "work.example".into(),
        dns_computer: "node1.work.example".into(),
    };
    NtlmAcceptor::new(vec![jane()], names, [0xc3; 8], now)
}
