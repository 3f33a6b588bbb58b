//! A sealed call: the request of AsyncNotify, and its response down to the
//! notification.

use criterion::Criterion;
use dcerpc_proto::association::{Association, AssociationConfig, Event, MAX_FRAGMENT};
use dcerpc_proto::ndr::{Endian, Reader};
use dcerpc_proto::pdu::{
    BindAck, ContextResult, Frame, HEADER_LEN, Header, NDR20, PacketType, PduWriter, PfcFlags,
    Response, SecurityTrailer, TRAILER_LEN,
};
use dcerpc_proto::security::ntlm::{NtlmAcceptor, NtlmCredentials, NtlmInitiator, ServerNames};
use dcerpc_proto::security::{Accepted, Handshake, Protected, Protection, Step};
use std::time::{Duration, Instant, SystemTime};
use swnclient_proto::wire::{
    AddressInfo, AsyncNotify, INTERFACE, NotifyMessages, encode_notify_response,
};

/// Where a response's stub starts, in bytes.
const STUB: usize = HEADER_LEN + Response::LEN;
/// What a stub is padded to before the trailer, in bytes.
const PAD_ALIGN: usize = 16;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("AsyncNotify");
    group.bench_function("encode and seal the request", |bencher| {
        bencher.iter_custom(|times| calls(times).0);
    });
    group.bench_function("unseal, verify and decode the response", |bencher| {
        bencher.iter_custom(|times| calls(times).1);
    });
}

/// Makes so many calls, one after the other; how long all requests took the
/// client, and how long all responses.
fn calls(times: u64) -> (Duration, Duration) {
    let (mut client, mut server) = bound();
    let handle = Reader::new(&[7; 20], Endian::Little).context_handle().expect("a handle");
    let address = AddressInfo::new([10, 0, 0, 1].into(), true);
    let stub = encode_notify_response(Ok(Some(&NotifyMessages::ClientMove(vec![address]))));
    let (mut requests, mut responses) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..times {
        let started = Instant::now();
        client.invoke(&AsyncNotify(handle)).expect("a call");
        let request = client.take_transmit();
        requests += started.elapsed();

        let mut response = server.respond(header(&request).call_id, &stub);
        let started = Instant::now();
        client.receive(&mut response).expect("what the server has sealed");
        let Some(Event::Reply { reply: Ok(reply), .. }) = client.poll_event() else {
            panic!("the call has ended");
        };
        assert!(matches!(reply.decode::<AsyncNotify>(), Ok(Some(_))));
        responses += started.elapsed();
    }
    (requests, responses)
}

fn alice() -> NtlmCredentials {
    NtlmCredentials::from_password("alice", "EXAMPLE", "secret")
}

pub(crate) fn ntlm_client() -> NtlmInitiator {
    NtlmInitiator::new(alice(), &[0x5a; 24], SystemTime::UNIX_EPOCH)
        .for_service("cifs/node1.example.test")
        .from_workstation("BENCH")
}

pub(crate) fn ntlm_server() -> NtlmAcceptor {
    let names = ServerNames {
        netbios_domain: "EXAMPLE".into(),
        netbios_computer: "NODE1".into(),
        dns_domain: "example.test".into(),
        dns_computer: "node1.example.test".into(),
    };
    NtlmAcceptor::new(vec![alice()], names, [0xc3; 8], SystemTime::UNIX_EPOCH)
}

/// An association with NTLM and privacy, and the server's side of it.
fn bound() -> (Association, Server) {
    let config = AssociationConfig::new(INTERFACE);
    let mut client = Association::new(config, Some(Box::new(ntlm_client()))).expect("bind");
    let (mut answer, challenged) = bind(&mut client.take_transmit());
    client.receive(&mut answer).expect("bind_ack");
    let server = auth3(challenged, &mut client.take_transmit());
    assert!(client.is_bound());
    while client.poll_event().is_some() {}
    (client, server)
}

type Challenged = (Box<dyn Handshake<Accepted>>, SecurityTrailer);

/// Answers a bind by a CHALLENGE.
fn bind(bytes: &mut [u8]) -> (Vec<u8>, Challenged) {
    let frame = Frame::split(header(bytes), bytes).expect("a bind");
    let trailer = frame.trailer.expect("a logon");
    let server: Box<dyn Handshake<Accepted>> = Box::new(ntlm_server());
    let Ok(Step::Continue { token, handshake }) = server.step(frame.auth_value, trailer.level)
    else {
        panic!("a CHALLENGE");
    };
    let flags = PfcFlags::WHOLE | PfcFlags::SUPPORT_HEADER_SIGN | PfcFlags::CONC_MPX;
    let mut pdu = PduWriter::new(PacketType::BindAck, flags, frame.header.call_id);
    let accepted = ContextResult { result: 0, reason: 0, transfer_syntax: NDR20 };
    let ack = BindAck {
        max_xmit_frag: MAX_FRAGMENT,
        max_recv_frag: MAX_FRAGMENT,
        assoc_group_id: 1,
        secondary_address: Vec::new(),
        results: vec![accepted],
    };
    ack.write(pdu.body());
    pdu.trailer(trailer, 0, 4);
    (pdu.finish(token.len(), &token), (handshake, trailer))
}

/// Takes the AUTHENTICATE.
fn auth3((handshake, trailer): Challenged, bytes: &mut [u8]) -> Server {
    let frame = Frame::split(header(bytes), bytes).expect("auth3");
    match handshake.step(frame.auth_value, trailer.level) {
        Ok(Step::Done { session, .. }) => Server { protection: session.protection, trailer },
        _ => panic!("AUTHENTICATE"),
    }
}

struct Server {
    protection: Box<dyn Protection>,
    trailer: SecurityTrailer,
}

impl Server {
    fn respond(&mut self, call_id: u32, stub: &[u8]) -> Vec<u8> {
        let mut pdu = PduWriter::new(PacketType::Response, PfcFlags::WHOLE, call_id);
        let alloc_hint = u32::try_from(stub.len()).expect("short");
        Response { alloc_hint, context_id: 0 }.write(pdu.body());
        pdu.body().bytes(stub);
        pdu.trailer(self.trailer, STUB, PAD_ALIGN);
        let mut pdu = pdu.finish(self.protection.signature_len(), &[]);
        let stub = STUB..pdu.len() - TRAILER_LEN;
        let message = Protected { pdu: &mut pdu, stub, header_signing: true };
        let mut signature = Vec::new();
        self.protection.protect(message, &mut signature).expect("a signature");
        pdu.append(&mut signature);
        pdu
    }
}

fn header(bytes: &[u8]) -> Header {
    Header::read(bytes, MAX_FRAGMENT).expect("a PDU").expect("a whole header")
}
