//! What the tests share: an encoder for either byte order, a server, and a
//! count of what is allocated.

pub(crate) mod allocations;
mod encoder;
mod server;

pub(crate) use encoder::{Encode, Encoder};
pub(crate) use server::{Server, security};

use dcerpc_proto::association::FaultStatus;
use dcerpc_proto::association::{
    Association, AssociationConfig, AssociationError, CallId, Event, Reply,
};
use dcerpc_proto::pdu::SyntaxId;
use dcerpc_proto::pdu::{AuthLevel, AuthService};

/// Some interface.
pub(crate) const INTERFACE: SyntaxId =
    SyntaxId { uuid: uuid::uuid!("ccd8c074-d0e5-4a40-92b4-d074faa6ba28"), major: 1, minor: 1 };

/// How an association is protected.
pub(crate) type Protection = Option<(AuthService, AuthLevel)>;

/// None, and both services at both levels.
pub(crate) const PROTECTIONS: [Protection; 5] = [
    None,
    Some((AuthService::Ntlm, AuthLevel::Integrity)),
    Some((AuthService::Ntlm, AuthLevel::Privacy)),
    Some((AuthService::Spnego, AuthLevel::Integrity)),
    Some((AuthService::Spnego, AuthLevel::Privacy)),
];

/// Any protection.
pub(crate) fn any_protection() -> impl proptest::strategy::Strategy<Value = Protection> {
    proptest::sample::select(&PROTECTIONS[..])
}

pub(crate) fn config(protection: Protection) -> AssociationConfig {
    let mut config = AssociationConfig::new(INTERFACE);
    if let Some((_, level)) = protection {
        config.level = level;
    }
    config
}

/// A fresh association with its server, the bind not yet answered.
pub(crate) fn pair(protection: Protection) -> (Association, Server) {
    let security = protection.map(|(service, _)| security(service, "secret"));
    let association = Association::new(config(protection), security).unwrap();
    (association, Server::new(protection))
}

/// An association that is bound.
pub(crate) fn bound(protection: Protection) -> (Association, Server) {
    let (mut association, mut server) = pair(protection);
    assert_eq!(bind(&mut association, &mut server), Ok(()));
    (association, server)
}

/// Lets both sides talk until the association is bound or ends.
pub(crate) fn bind(
    association: &mut Association,
    server: &mut Server,
) -> Result<(), AssociationError> {
    loop {
        let sent = association.take_transmit();
        assert!(!sent.is_empty(), "both sides wait");
        let mut answer = server.receive(&sent);
        association.receive(&mut answer)?;
        if association.is_bound() {
            assert!(matches!(association.poll_event(), Some(Event::Bound)));
            // auth3, where there is one.
            let sent = association.take_transmit();
            assert!(server.receive(&sent).is_empty());
            return Ok(());
        }
    }
}

/// Makes a call that the server gets to see.
pub(crate) fn call(association: &mut Association, server: &mut Server, stub: &[u8]) -> CallId {
    let call = association.call(7, stub.to_vec()).unwrap();
    let sent = association.take_transmit();
    assert!(server.receive(&sent).is_empty());
    call
}

/// The replies that have come in, in their order.
pub(crate) fn replies(association: &mut Association) -> Vec<(CallId, Result<Reply, FaultStatus>)> {
    std::iter::from_fn(|| association.poll_event())
        .map(|event| match event {
            Event::Reply { call, reply, .. } => (call, reply),
            other => panic!("{other:?} instead of a reply"),
        })
        .collect()
}

/// Proves that an association still works.
pub(crate) fn assert_alive(association: &mut Association, server: &mut Server) {
    let id = call(association, server, b"are you there");
    let request = server.requests.pop().unwrap();
    assert_eq!(request.stub, b"are you there");
    let mut answer = server.respond(request.call_id, b"yes", 1000);
    association.receive(&mut answer).unwrap();
    let replies = replies(association);
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].0, id);
    assert_eq!(replies[0].1.as_ref().unwrap().stub, b"yes");
}

/// Proves that an association has ended: nothing works any more, and nothing
/// panics.
pub(crate) fn assert_ended(association: &mut Association) {
    assert!(!association.is_bound());
    assert_eq!(association.calls_under_way(), 0);
    assert_eq!(association.call(7, Vec::new()), Err(AssociationError::Closed));
    assert_eq!(association.receive(&mut [0; 100]), Err(AssociationError::Closed));
}

/// Where the security trailer of a little-endian PDU starts.
pub(crate) fn trailer_of(pdu: &[u8]) -> usize {
    let auth_length = u16::from_le_bytes([pdu[10], pdu[11]]);
    assert_ne!(auth_length, 0);
    pdu.len() - usize::from(auth_length) - 8
}
