//! Connections to a real Samba, played back: the association must send byte for
//! byte what it sent then, and understand what Samba answered, however the
//! stream is cut. `tests/data/README.md` says how they were captured.

use crate::support::{INTERFACE, replies};
use dcerpc_proto::Operation;
use dcerpc_proto::association::{
    Association, AssociationConfig, AssociationError, Event, FaultStatus, Reply,
};
use dcerpc_proto::epm::{self, EptMap};
use dcerpc_proto::ndr::{Endian, Reader};
use dcerpc_proto::pdu::{AuthLevel, AuthService};
use dcerpc_proto::pdu::{Frame, Header, PacketType, Request};
use dcerpc_proto::security::{Handshake, Protected, Protection, SecurityError, Step};
use std::collections::VecDeque;

/// One connection.
struct Recording {
    client: &'static [u8],
    server: &'static [u8],
    security: Option<AuthService>,
}

macro_rules! recording {
    ($name:literal, $security:expr) => {
        Recording {
            client: include_bytes!(concat!("../data/", $name, ".client")),
            server: include_bytes!(concat!("../data/", $name, ".server")),
            security: $security,
        }
    };
}

/// GetInterfaceList at integrity level, with NTLM and with SPNEGO.
const LIST: [Recording; 2] = [
    recording!("list-ntlm", Some(AuthService::Ntlm)),
    recording!("list-spnego", Some(AuthService::Spnego)),
];
/// RegisterEx, AsyncNotify with news, AsyncNotify refused.
const REGISTRATION: [Recording; 2] = [
    recording!("registration-ntlm", Some(AuthService::Ntlm)),
    recording!("registration-spnego", Some(AuthService::Spnego)),
];
/// As LIST, with a wrong password.
const REFUSED: [Recording; 2] = [
    recording!("refused-ntlm", Some(AuthService::Ntlm)),
    recording!("refused-spnego", Some(AuthService::Spnego)),
];
const MAPPER: Recording = recording!("mapper", None);

/// Calls `each` with every PDU of a stream.
fn each_pdu(stream: &[u8], mut each: impl FnMut(Frame<'_>)) {
    let mut stream = stream.to_vec();
    let mut rest = stream.as_mut_slice();
    while !rest.is_empty() {
        let header = Header::read(rest, u16::MAX).unwrap().unwrap();
        let (pdu, after) = rest.split_at_mut(header.frag_length.into());
        each(Frame::split(header, pdu).unwrap());
        rest = after;
    }
}

/// A provider that says again what it said when the connection was captured. At
/// integrity level nothing is encrypted, so that its keys aren't needed.
#[derive(Debug)]
struct Playback {
    service: AuthService,
    /// Its tokens, and whether the server answered.
    tokens: VecDeque<(Vec<u8>, bool)>,
    signatures: VecDeque<Vec<u8>>,
}

impl Handshake for Playback {
    fn service(&self) -> AuthService {
        self.service
    }

    fn step(mut self: Box<Self>, _: &[u8], _: AuthLevel) -> Result<Step, SecurityError> {
        Ok(match self.tokens.pop_front() {
            Some((token, true)) => Step::Continue { token, handshake: self },
            last => {
                let token = last.unwrap_or_default().0;
                Step::Done { token, session: Box::new(Signatures(self.signatures)) }
            }
        })
    }
}

#[derive(Debug)]
struct Signatures(VecDeque<Vec<u8>>);

impl Protection for Signatures {
    fn signature_len(&self) -> usize {
        16
    }

    fn protect(&mut self, _: Protected<'_>, signature: &mut Vec<u8>) -> Result<(), SecurityError> {
        signature.extend(self.0.pop_front().unwrap());
        Ok(())
    }

    fn unprotect(&mut self, message: Protected<'_>, signature: &[u8]) -> Result<(), SecurityError> {
        assert!(message.header_signing);
        assert_eq!(message.stub.len() % 16, 0);
        assert_eq!(signature.len(), 16);
        Ok(())
    }
}

impl Recording {
    fn security(&self) -> Option<Box<dyn Handshake>> {
        let mut playback = Playback {
            service: self.security?,
            tokens: VecDeque::new(),
            signatures: VecDeque::new(),
        };
        each_pdu(self.client, |frame| {
            let auth_value = frame.auth_value.to_vec();
            match frame.header.packet_type {
                PacketType::Bind | PacketType::AlterContext => {
                    playback.tokens.push_back((auth_value, true));
                }
                PacketType::Auth3 => playback.tokens.push_back((auth_value, false)),
                _ => playback.signatures.push_back(auth_value),
            }
        });
        Some(Box::new(playback))
    }

    /// The calls' operations and stubs.
    fn calls(&self) -> Vec<(u16, Vec<u8>)> {
        let mut calls = Vec::new();
        each_pdu(self.client, |frame| {
            if frame.header.packet_type == PacketType::Request {
                let mut body = frame.body().unwrap();
                let request = Request::read(&mut body).unwrap();
                calls.push((request.opnum, body.rest().to_vec()));
            }
        });
        calls
    }

    /// Plays it, the server's stream cut into parts of `part` bytes, up to an
    /// error; gives the replies.
    fn play(&self, part: usize) -> (Vec<Result<Reply, FaultStatus>>, Result<(), AssociationError>) {
        let interface = if self.security.is_some() { INTERFACE } else { epm::INTERFACE };
        let mut config = AssociationConfig::new(interface);
        config.level = AuthLevel::Integrity;
        let mut association = Association::new(config, self.security()).unwrap();
        for (opnum, stub) in self.calls() {
            association.call(opnum, stub).unwrap();
        }
        let mut sent = association.take_transmit();
        let mut stream = self.server.to_vec();
        let result = stream.chunks_mut(part).try_for_each(|part| {
            association.receive(part)?;
            sent.extend(association.take_transmit());
            Ok(())
        });
        if result.is_ok() {
            assert!(association.is_multiplexed());
            assert!(matches!(association.poll_event(), Some(Event::Bound)));
            assert_eq!(association.calls_under_way(), 0);
            assert_eq!(sent, self.client, "what is sent has changed");
        }
        let replies = replies(&mut association).into_iter().map(|(_, reply)| reply);
        (replies.collect(), result)
    }
}

/// Cuts at every place that could matter.
const PARTS: [usize; 6] = [usize::MAX, 1, 7, 16, 100, 1460];

#[test]
fn samba_s_endpoint_mapper_is_understood() {
    for part in PARTS {
        let (replies, result) = MAPPER.play(part);
        assert_eq!(result, Ok(()));
        let [Ok(reply)] = &replies[..] else { panic!("{replies:?}") };
        assert_eq!(reply.decode::<EptMap>(), Ok(49_153));
    }
    let calls = MAPPER.calls();
    assert_eq!(calls, [(EptMap::OPNUM, EptMap::new(INTERFACE).stub())]);
}

/// Samba's own client asks for one tower and names its referents differently;
/// everything else is the same.
#[test]
fn the_endpoint_mapper_is_asked_as_samba_s_client_asks() {
    let samba = recording!("mapper-samba", None);
    let [(EptMap::OPNUM, theirs)] = &samba.calls()[..] else { panic!() };
    let call = EptMap { interface: INTERFACE, max_towers: 1 };
    assert_eq!(EptMap::decode(&mut Reader::new(theirs, Endian::Little)), Ok(call));
    let mut ours = EptMap::new(INTERFACE).stub();
    assert_eq!(ours.len(), theirs.len());
    for range in [0..4, 20..24, ours.len() - 4..ours.len()] {
        ours[range.clone()].copy_from_slice(&theirs[range]);
    }
    // The tower's address, in which Samba's client repeats where it is.
    let address = ours.len() - 4 - 20 - 1 - 4;
    ours[address..address + 4].copy_from_slice(&[10, 77, 0, 12]);
    assert_eq!(&ours, theirs);
}

#[test]
fn samba_s_lists_are_received_whole() {
    for recording in LIST {
        for part in PARTS {
            let (replies, result) = recording.play(part);
            assert_eq!(result, Ok(()));
            let [Ok(list)] = &replies[..] else { panic!("{replies:?}") };
            // Three interfaces of 552 bytes between 16 and 4.
            assert_eq!(list.stub.len(), 16 + 3 * 552 + 4);
        }
    }
}

#[test]
fn samba_s_answers_to_a_registration_are_received_whole() {
    for recording in REGISTRATION {
        for part in PARTS {
            let (replies, result) = recording.play(part);
            assert_eq!(result, Ok(()));
            let [Ok(handle), Ok(news), Ok(gone)] = &replies[..] else { panic!("{replies:?}") };
            assert_eq!(handle.stub.len(), 24);
            assert_eq!(news.stub.len(), 64);
            // A null pointer, and ERROR_NOT_FOUND.
            assert_eq!(gone.stub, [0, 0, 0, 0, 0x90, 4, 0, 0]);
        }
    }
}

#[test]
fn samba_s_refusal_of_a_password_is_understood() {
    let [ntlm, spnego] = REFUSED;
    for part in PARTS {
        let (replies, result) = ntlm.play(part);
        assert_eq!(result, Ok(()));
        assert_eq!(replies, [Err(FaultStatus::ACCESS_DENIED)]);

        let (_, result) = spnego.play(part);
        assert_eq!(result, Err(AssociationError::AccessDenied(FaultStatus::ACCESS_DENIED)));
    }
}
