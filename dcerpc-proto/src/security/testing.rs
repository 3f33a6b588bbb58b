//! What the tests of all providers share: two sides that send each other PDUs.

use super::ntlm::{NtlmAcceptor, NtlmContext, NtlmCredentials, ServerNames};
use super::{AcceptorContext, AuthLevel, Protected, SecurityContext, SecurityError};

/// Protection levels and header signing, in all combinations.
pub(super) const PROTECTIONS: [(AuthLevel, bool); 4] = [
    (AuthLevel::Integrity, false),
    (AuthLevel::Integrity, true),
    (AuthLevel::Privacy, false),
    (AuthLevel::Privacy, true),
];

/// Where the stub lies in the PDUs of these tests: a header comes before it, a
/// security trailer after it.
const STUB: std::ops::Range<usize> = 24..56;
const PDU_LEN: usize = 64;

/// A PDU on its way, and its signature.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) pdu: Vec<u8>,
    pub(super) signature: Vec<u8>,
    level: AuthLevel,
    header_signing: bool,
}

/// A side of a context, either one.
pub(super) enum Side<'a> {
    Initiator(&'a mut dyn SecurityContext),
    Acceptor(&'a mut dyn AcceptorContext),
}

/// The plain text of the PDUs sent here.
pub(super) fn plain() -> Vec<u8> {
    (0..PDU_LEN).map(|byte| u8::try_from(byte).unwrap()).collect()
}

impl Side<'_> {
    pub(super) fn send(&mut self, (level, header_signing): (AuthLevel, bool)) -> Sent {
        let mut pdu = plain();
        let mut signature = Vec::new();
        let message = Protected { pdu: &mut pdu, stub: STUB, header_signing };
        let expected_len = match self {
            Self::Initiator(context) => {
                context.protect(level, message, &mut signature).unwrap();
                context.signature_len(level)
            }
            Self::Acceptor(context) => {
                context.protect(level, message, &mut signature).unwrap();
                context.signature_len(level)
            }
        };
        assert_eq!(signature.len(), expected_len);
        let sealed = pdu[STUB] != plain()[STUB];
        assert_eq!(sealed, level == AuthLevel::Privacy);
        assert_eq!(pdu[..STUB.start], plain()[..STUB.start]);
        assert_eq!(pdu[STUB.end..], plain()[STUB.end..]);
        Sent { pdu, signature, level, header_signing }
    }

    pub(super) fn receive(&mut self, sent: &Sent) -> Result<(), SecurityError> {
        let mut pdu = sent.pdu.clone();
        let message = Protected { pdu: &mut pdu, stub: STUB, header_signing: sent.header_signing };
        match self {
            Self::Initiator(context) => context.unprotect(sent.level, message, &sent.signature)?,
            Self::Acceptor(context) => context.unprotect(sent.level, message, &sent.signature)?,
        }
        assert_eq!(pdu, plain());
        Ok(())
    }
}

/// Sends PDUs both ways, several in a row and at all levels.
pub(super) fn converse(initiator: &mut dyn SecurityContext, acceptor: &mut dyn AcceptorContext) {
    for protection in PROTECTIONS {
        for _ in 0..3 {
            let sent = Side::Initiator(initiator).send(protection);
            Side::Acceptor(acceptor).receive(&sent).unwrap();
        }
        for _ in 0..2 {
            let sent = Side::Acceptor(acceptor).send(protection);
            Side::Initiator(initiator).receive(&sent).unwrap();
        }
    }
}

pub(super) fn jane() -> NtlmCredentials {
    NtlmCredentials::from_password("jane", "WORK", "secret")
}

pub(super) fn initiator(credentials: NtlmCredentials) -> NtlmContext {
    NtlmContext::new(credentials, Some("cifs/node1.work.example"), "LAPTOP")
}

/// A server that knows [`jane`].
pub(super) fn acceptor() -> NtlmAcceptor {
    let names = ServerNames {
        netbios_domain: "WORK".into(),
        netbios_computer: "NODE1".into(),
        dns_domain: "work.example".into(),
        dns_computer: "node1.work.example".into(),
    };
    NtlmAcceptor::new(vec![jane()], names)
}
