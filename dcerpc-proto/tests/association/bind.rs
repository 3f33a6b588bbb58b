//! The bind: what it asks for, what it takes, and what it refuses.

use crate::support::{
    Encoder, INTERFACE, PROTECTIONS, Protection, Server, assert_alive, assert_ended, bind, bound,
    config, pair, replies, security, trailer_of,
};
use dcerpc_proto::association::{Association, AssociationError, Event, FaultStatus};
use dcerpc_proto::ndr::Endian;
use dcerpc_proto::pdu::{AuthLevel, AuthService};
use dcerpc_proto::pdu::{BindNak, NDR20, PacketType, PfcFlags, PresentationContext, RejectReason};
use dcerpc_proto::security::{Handshake, Protected, Protection as Protects, SecurityError, Step};

const NTLM: Protection = Some((AuthService::Ntlm, AuthLevel::Privacy));
const SPNEGO: Protection = Some((AuthService::Spnego, AuthLevel::Privacy));

/// Lets the server's answers to bind and alter_context be altered. `nth` counts
/// from 0.
fn bind_altered(
    protection: Protection,
    nth: usize,
    alter: impl FnOnce(&mut Vec<u8>),
) -> Result<(), AssociationError> {
    let (mut association, mut server) = pair(protection);
    let mut alter = Some(alter);
    for leg in 0.. {
        let sent = association.take_transmit();
        assert!(!sent.is_empty(), "both sides wait");
        let mut answer = server.receive(&sent);
        if leg == nth {
            alter.take().unwrap()(&mut answer);
        }
        if let Err(error) = association.receive(&mut answer) {
            assert_ended(&mut association);
            return Err(error);
        }
        if association.is_bound() {
            server.receive(&association.take_transmit());
            assert!(matches!(association.poll_event(), Some(Event::Bound)));
            assert_alive(&mut association, &mut server);
            return Ok(());
        }
    }
    unreachable!()
}

#[test]
fn every_service_and_level_binds_to_a_server_of_either_byte_order() {
    for protection in PROTECTIONS {
        for endian in [Endian::Little, Endian::Big] {
            let (mut association, mut server) = pair(protection);
            server.endian = endian;
            assert!(!association.is_bound());
            assert_eq!(bind(&mut association, &mut server), Ok(()));
            assert_alive(&mut association, &mut server);
        }
    }
}

#[test]
fn the_bind_proposes_the_interface_in_ndr_2_0() {
    let (_, server) = bound(NTLM);
    let bind = server.bind.unwrap();
    assert_eq!((bind.max_xmit_frag, bind.max_recv_frag, bind.assoc_group_id), (5840, 5840, 0));
    let context =
        PresentationContext { id: 0, abstract_syntax: INTERFACE, transfer_syntaxes: vec![NDR20] };
    assert_eq!(bind.contexts, [context]);
}

#[test]
fn multiplexing_and_header_signing_are_asked_for_in_the_bind() {
    for protection in PROTECTIONS {
        let (mut association, _) = pair(protection);
        let flags = PfcFlags::from_bits_retain(association.take_transmit()[3]);
        assert!(flags.contains(PfcFlags::WHOLE | PfcFlags::CONC_MPX));
        assert_eq!(flags.contains(PfcFlags::SUPPORT_HEADER_SIGN), protection.is_some());
    }
}

#[test]
fn auth3_and_the_first_request_leave_in_one_transmit() {
    let (mut association, mut server) = pair(NTLM);
    association.call(7, b"first".to_vec()).unwrap();
    let mut answer = server.receive(&association.take_transmit());
    association.receive(&mut answer).unwrap();
    server.receive(&association.take_transmit());
    let expected = [(PacketType::Bind, 1), (PacketType::Auth3, 1), (PacketType::Request, 2)];
    assert_eq!(server.log, expected);
    assert_eq!(server.requests[0].stub, b"first");
}

#[test]
fn spnego_ends_with_the_server_s_word_not_with_auth3() {
    let (mut association, mut server) = bound(SPNEGO);
    assert_alive(&mut association, &mut server);
    let expected = [(PacketType::Bind, 1), (PacketType::AlterContext, 1), (PacketType::Request, 2)];
    assert_eq!(server.log, expected);
}

#[test]
fn a_server_without_header_signing_is_refused_unless_the_owner_allows_it() {
    for protection in PROTECTIONS {
        let (mut association, mut server) = pair(protection);
        server.grants = PfcFlags::CONC_MPX;
        // Without authentication there is nothing to sign with.
        let expected =
            if protection.is_some() { Err(AssociationError::NoHeaderSigning) } else { Ok(()) };
        assert_eq!(bind(&mut association, &mut server), expected);

        let Some((service, _)) = protection else { continue };
        let mut config = config(protection);
        config.require_header_signing = false;
        let security = security(service, "secret");
        let mut association = Association::new(config, Some(security)).unwrap();
        let mut server = Server::new(protection);
        server.grants = PfcFlags::CONC_MPX;
        assert_eq!(bind(&mut association, &mut server), Ok(()));
        assert_alive(&mut association, &mut server);
    }
}

#[test]
fn a_bind_nak_is_refused_with_its_reason() {
    for (code, reason) in [
        (0, RejectReason::NotSpecified),
        (1, RejectReason::TemporaryCongestion),
        (2, RejectReason::LocalLimitExceeded),
        (3, RejectReason::Other(3)),
        (4, RejectReason::ProtocolVersionNotSupported),
        (8, RejectReason::AuthTypeNotRecognized),
        (9, RejectReason::InvalidChecksum),
    ] {
        for endian in [Endian::Little, Endian::Big] {
            let nak = Encoder::new(endian, PacketType::BindNak, PfcFlags::WHOLE, 1)
                .body(&BindNak { reason: code })
                .finish(0);
            assert_eq!(
                bind_altered(NTLM, 0, |answer| *answer = nak),
                Err(AssociationError::Rejected(reason))
            );
        }
    }
}

/// [C706] appendix E has the codes that begin with 0x1c: the RPC layer's own.
#[test]
fn a_fault_during_the_bind_means_the_credentials_unless_the_rpc_layer_failed() {
    let server = Server::new(None);
    for (protection, legs) in [(NTLM, 1), (SPNEGO, 2)] {
        for nth in 0..legs {
            for status in [0x5, 0x721, 0x8009_030c, 0xc000_006d] {
                assert_eq!(
                    bind_altered(protection, nth, |answer| *answer = server.fault(1, status)),
                    Err(AssociationError::AccessDenied(FaultStatus(status)))
                );
            }
            for status in [0x1c01_0014, 0x1c01_000b] {
                assert_eq!(
                    bind_altered(protection, nth, |answer| *answer = server.fault(1, status)),
                    Err(AssociationError::BindFault(FaultStatus(status)))
                );
            }
        }
    }
}

#[test]
fn a_fault_is_the_only_answer_that_auth3_can_get() {
    let (mut association, mut server) = bound(NTLM);
    crate::support::call(&mut association, &mut server, b"?");
    let mut fault = server.fault(1, 5);
    assert_eq!(
        association.receive(&mut fault),
        Err(AssociationError::AccessDenied(FaultStatus::ACCESS_DENIED))
    );
    assert_ended(&mut association);
}

#[test]
fn a_wrong_password_shows_at_the_first_request_with_ntlm_and_in_the_bind_with_spnego() {
    for (protection, service) in [(NTLM, AuthService::Ntlm), (SPNEGO, AuthService::Spnego)] {
        let security = security(service, "wrong");
        let mut association = Association::new(config(protection), Some(security)).unwrap();
        let mut server = Server::new(protection);
        let id = association.call(7, b"?".to_vec()).unwrap();
        let mut answer = server.receive(&association.take_transmit());
        association.receive(&mut answer).unwrap();
        let mut answer = server.receive(&association.take_transmit());
        let result = association.receive(&mut answer);
        if service == AuthService::Ntlm {
            assert_eq!(result, Ok(()));
            assert!(matches!(association.poll_event(), Some(Event::Bound)));
            assert_eq!(replies(&mut association), [(id, Err(FaultStatus::ACCESS_DENIED))]);
        } else {
            assert_eq!(result, Err(AssociationError::AccessDenied(FaultStatus::ACCESS_DENIED)));
        }
    }
}

#[test]
fn an_interface_that_is_not_offered_is_refused() {
    for (result, reason) in [(2, 1), (2, 2), (1, 0), (3, 0)] {
        for protection in PROTECTIONS {
            let (mut association, mut server) = pair(protection);
            (server.result.result, server.result.reason) = (result, reason);
            assert_eq!(
                bind(&mut association, &mut server),
                Err(AssociationError::ContextRejected { result, reason })
            );
            assert_ended(&mut association);
        }
    }
}

#[test]
fn another_encoding_than_the_proposed_is_refused() {
    let (mut association, mut server) = pair(None);
    server.result.transfer_syntax = INTERFACE;
    assert_eq!(
        bind(&mut association, &mut server),
        Err(AssociationError::ContextRejected { result: 0, reason: 0 })
    );
}

#[test]
fn an_answer_to_no_context_at_all_is_refused() {
    // The number of results, behind "49152\0" and its padding.
    assert_eq!(
        bind_altered(NTLM, 0, |answer| answer[32] = 0),
        Err(AssociationError::ContextRejected { result: 2, reason: 0 })
    );
}

#[test]
fn a_context_that_is_refused_after_all_is_refused() {
    // p_result of the alter_context_resp.
    assert_eq!(
        bind_altered(SPNEGO, 1, |answer| answer[36] = 2),
        Err(AssociationError::ContextRejected { result: 2, reason: 0 })
    );
}

#[test]
fn a_server_that_takes_too_short_fragments_is_refused() {
    for (max_recv_frag, expected) in [
        (0, Err(AssociationError::FragmentTooShort(0))),
        (1431, Err(AssociationError::FragmentTooShort(1431))),
        (1432, Ok(())),
    ] {
        let (mut association, mut server) = pair(NTLM);
        server.max_recv_frag = max_recv_frag;
        assert_eq!(bind(&mut association, &mut server), expected);
    }
}

#[test]
fn an_answer_without_the_agreed_security_trailer_is_refused() {
    for (protection, legs) in [(NTLM, 1), (SPNEGO, 2)] {
        for nth in 0..legs {
            assert_eq!(bind_altered(protection, nth, |_| {}), Ok(()));
            let without = |answer: &mut Vec<u8>| {
                answer.truncate(trailer_of(answer));
                let length = u16::try_from(answer.len()).unwrap().to_le_bytes();
                answer[8..12].copy_from_slice(&[length[0], length[1], 0, 0]);
            };
            let expected = Err(AssociationError::Unprotected);
            assert_eq!(bind_altered(protection, nth, without), expected);
            // Service, level, context identifier.
            for (at, value) in [(0, 16), (1, 5), (4, 0), (7, 1)] {
                assert_eq!(
                    bind_altered(protection, nth, |answer| {
                        let at = trailer_of(answer) + at;
                        answer[at] = value;
                    }),
                    expected
                );
            }
        }
    }
}

#[test]
fn a_token_that_is_none_is_refused() {
    for (protection, legs) in [(NTLM, 1), (SPNEGO, 2)] {
        for nth in 0..legs {
            let garbled = |answer: &mut Vec<u8>| {
                let at = trailer_of(answer) + 8;
                answer[at] ^= 0xff;
            };
            assert!(matches!(
                bind_altered(protection, nth, garbled),
                Err(AssociationError::Security(SecurityError::InvalidToken { .. }))
            ));
        }
    }
}

#[test]
fn an_answer_to_another_call_or_in_fragments_is_refused() {
    for (at, value, expected) in [
        (12, 2, AssociationError::UnknownCall(2)),
        (15, 1, AssociationError::UnknownCall(0x0100_0001)),
        (3, 1, AssociationError::FragmentOrder(1)),
        (3, 2, AssociationError::FragmentOrder(1)),
    ] {
        assert_eq!(bind_altered(NTLM, 0, |answer| answer[at] = value), Err(expected));
    }
}

#[test]
fn each_leg_has_its_own_answer() {
    for (protection, nth, packet_type) in [
        (NTLM, 0, PacketType::AlterContextResponse),
        (SPNEGO, 1, PacketType::BindAck),
        (NTLM, 0, PacketType::Response),
        (SPNEGO, 0, PacketType::Request),
    ] {
        assert_eq!(
            bind_altered(protection, nth, |answer| answer[2] = packet_type as u8),
            Err(AssociationError::Unexpected(packet_type))
        );
    }
}

/// A handshake that another one hides in.
#[derive(Debug)]
struct Wrapped {
    inner: Box<dyn Handshake>,
    blocks: bool,
    padding: usize,
    broken: bool,
}

impl Handshake for Wrapped {
    fn service(&self) -> AuthService {
        self.inner.service()
    }

    fn step(mut self: Box<Self>, token: &[u8], level: AuthLevel) -> Result<Step, SecurityError> {
        Ok(match self.inner.step(token, level)? {
            Step::Continue { mut token, handshake } => {
                token.resize(token.len() + self.padding, 0);
                self.inner = handshake;
                Step::Continue { token, handshake: self }
            }
            Step::Done { token, session } if self.broken => {
                Step::Done { token, session: Box::new(Broken(session.signature_len())) }
            }
            done => done,
        })
    }

    fn may_block(&self) -> bool {
        self.blocks
    }
}

/// A session that can't protect.
#[derive(Debug)]
struct Broken(usize);

impl Protects for Broken {
    fn signature_len(&self) -> usize {
        self.0
    }

    fn protect(&mut self, _: Protected<'_>, _: &mut Vec<u8>) -> Result<(), SecurityError> {
        Err(SecurityError::Misuse("broken"))
    }

    fn unprotect(&mut self, _: Protected<'_>, _: &[u8]) -> Result<(), SecurityError> {
        Err(SecurityError::Misuse("broken"))
    }
}

/// A handshake that wants no answer.
#[derive(Debug)]
struct OneSided;

impl Handshake for OneSided {
    fn service(&self) -> AuthService {
        AuthService::Kerberos
    }

    fn step(self: Box<Self>, _: &[u8], _: AuthLevel) -> Result<Step, SecurityError> {
        Ok(Step::Done { token: b"token".to_vec(), session: Box::new(Broken(16)) })
    }
}

#[test]
fn a_handshake_without_the_server_is_refused() {
    let result = <Association>::new(config(NTLM), Some(Box::new(OneSided)));
    let error = AssociationError::Security(SecurityError::Misuse(
        "the server has no part in the handshake",
    ));
    assert_eq!(result.unwrap_err(), error);
}

fn wrapped(protection: Protection, blocks: bool, padding: usize) -> Box<Wrapped> {
    let inner = security(protection.unwrap().0, "secret");
    Box::new(Wrapped { inner, blocks, padding, broken: false })
}

#[test]
fn a_provider_that_cannot_protect_ends_the_association() {
    let security = Wrapped { broken: true, ..*wrapped(NTLM, false, 0) };
    let mut association = Association::new(config(NTLM), Some(Box::new(security))).unwrap();
    let mut server = Server::new(NTLM);
    assert_eq!(bind(&mut association, &mut server), Ok(()));
    assert_eq!(
        association.call(7, b"?".to_vec()),
        Err(AssociationError::Security(SecurityError::Misuse("broken")))
    );
    assert_ended(&mut association);
}

#[test]
fn a_provider_that_may_block_runs_outside() {
    for protection in [NTLM, SPNEGO] {
        let security = wrapped(protection, true, 0);
        let mut association = Association::new(config(protection), Some(security)).unwrap();
        let mut server = Server::new(protection);
        association.call(7, b"first".to_vec()).unwrap();
        while !association.is_bound() {
            assert_eq!(association.take_transmit(), [], "the provider has the token");
            let Some(Event::Authenticate(job)) = association.poll_event() else {
                panic!("a job is due");
            };
            association.authenticated(job.run()).unwrap();
            let mut answer = server.receive(&association.take_transmit());
            association.receive(&mut answer).unwrap();
        }
        assert_eq!(server.requests.pop().unwrap().stub, b"first");
    }
}

#[test]
fn a_job_that_outlives_its_association_is_no_harm() {
    let mut association = Association::new(config(NTLM), Some(wrapped(NTLM, true, 0))).unwrap();
    let Some(Event::Authenticate(job)) = association.poll_event() else {
        panic!("a job is due");
    };
    // The server speaks first.
    let mut shutdown =
        Encoder::new(Endian::Little, PacketType::Shutdown, PfcFlags::WHOLE, 0).finish(0);
    assert_eq!(association.receive(&mut shutdown), Err(AssociationError::Shutdown));
    assert_eq!(association.authenticated(job.run()), Err(AssociationError::Closed));
    assert_ended(&mut association);
}

#[test]
fn a_job_s_failure_ends_the_association() {
    let mut association = Association::new(config(NTLM), Some(wrapped(NTLM, true, 0))).unwrap();
    let mut server = Server::new(NTLM);
    let Some(Event::Authenticate(job)) = association.poll_event() else {
        panic!("a job is due");
    };
    association.authenticated(job.run()).unwrap();
    let mut answer = server.receive(&association.take_transmit());
    let at = trailer_of(&answer) + 8;
    answer[at] ^= 0xff;
    association.receive(&mut answer).unwrap();
    let Some(Event::Authenticate(job)) = association.poll_event() else {
        panic!("a job is due");
    };
    assert!(matches!(association.authenticated(job.run()), Err(AssociationError::Security(_))));
    assert_ended(&mut association);
}

#[test]
fn a_token_that_no_pdu_holds_is_refused() {
    let start = |padding| <Association>::new(config(NTLM), Some(wrapped(NTLM, false, padding)));
    let first = security(AuthService::Ntlm, "secret").step(&[], AuthLevel::Privacy);
    let Ok(Step::Continue { token, .. }) = first else { panic!("{first:?}") };
    let token = token.len();
    // bind, with one context, and trailer take 80 bytes.
    let fits = usize::from(u16::MAX) - 80 - token;
    let pdu = start(fits).unwrap().take_transmit();
    assert_eq!(pdu.len(), usize::from(u16::MAX));
    assert_eq!(pdu[8..10], [0xff, 0xff]);
    assert_eq!(start(fits + 1).unwrap_err(), AssociationError::TokenTooLong(token + fits + 1));
}
