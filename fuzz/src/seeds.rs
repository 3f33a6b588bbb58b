//! What fuzzing starts from: captured connections and messages as the kernel
//! sends them.

use crate::handshake;
use dcerpc_proto::Operation;
use dcerpc_proto::pdu::{Frame, Header, PacketType, Request, Response};
use kernel_sim::encode_registration;
use std::collections::BTreeMap;
use swnclient_proto::RegistrationRequest;
use swnclient_proto::wire::{AsyncNotify, GetInterfaceList, RegisterEx, UnRegister};
use swnd::kernel::message::{KernelAuth, encode_notify};

macro_rules! captured {
    ($name:literal) => {
        include_bytes!(concat!("../../dcerpc-proto/tests/data/", $name, ".server")).as_slice()
    };
}

macro_rules! packed {
    ($name:literal) => {{
        let little =
            include_bytes!(concat!("../../swnclient-proto/tests/data/packed-", $name, ".little"));
        let big =
            include_bytes!(concat!("../../swnclient-proto/tests/data/packed-", $name, ".big"));
        [with(0, little), with(1, big)]
    }};
}

const CLIENT: &[u8] = include_bytes!("../../swnclient-proto/tests/data/samba.client");
const SERVER: &[u8] = include_bytes!("../../swnclient-proto/tests/data/samba.server");

/// With the byte in front by which a target makes a choice.
fn with(first: u8, data: &[u8]) -> Vec<u8> {
    [&[first], data].concat()
}

fn each_pdu(stream: &[u8], mut each: impl FnMut(Frame<'_>)) {
    let mut stream = stream.to_vec();
    let mut rest = stream.as_mut_slice();
    while let Ok(Some(header)) = Header::read(rest, u16::MAX) {
        let (pdu, after) = rest.split_at_mut(header.frag_length.into());
        if let Ok(frame) = Frame::split(header, pdu) {
            each(frame);
        }
        rest = after;
    }
}

/// The responses of the captured session to one operation.
fn responses(wanted: u16) -> Vec<Vec<u8>> {
    let mut opnums = BTreeMap::new();
    each_pdu(CLIENT, |frame| {
        if let (PacketType::Request, Ok(mut body)) = (frame.header.packet_type, frame.body()) {
            opnums.extend(Request::read(&mut body).map(|r| (frame.header.call_id, r.opnum)));
        }
    });
    let mut stubs = Vec::new();
    each_pdu(SERVER, |frame| {
        if opnums.get(&frame.header.call_id) == Some(&wanted) {
            stubs.extend(stub(&frame));
        }
    });
    stubs
}

/// A response's stub, for a target that reads either byte order.
fn stub(frame: &Frame<'_>) -> Option<Vec<u8>> {
    let mut body = frame.body().ok()?;
    Response::read(&mut body).ok()?;
    Some(with(0, body.rest()))
}

/// The server's tokens of a connection.
fn tokens(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut tokens = Vec::new();
    each_pdu(stream, |frame| {
        if matches!(
            frame.header.packet_type,
            PacketType::BindAck | PacketType::AlterContextResponse
        ) {
            tokens.push(frame.auth_value.to_vec());
        }
    });
    tokens
}

/// See [`crate::association::pdu_stream`] for the first byte.
pub(crate) fn pdu_stream() -> Vec<Vec<u8>> {
    let streams = [
        (0, captured!("mapper")),
        (1, captured!("list-ntlm")),
        (2, captured!("list-spnego")),
        (1, captured!("registration-ntlm")),
        (3, captured!("registration-spnego")),
        (1, captured!("refused-ntlm")),
        (2, captured!("refused-spnego")),
    ];
    // In one part, and in small ones.
    [0xfc, 0].iter().flat_map(|part| streams.map(|(kind, s)| with(kind | part, s))).collect()
}

pub(crate) fn mapper_response() -> Vec<Vec<u8>> {
    let mut stubs = Vec::new();
    each_pdu(captured!("mapper"), |frame| {
        if frame.header.packet_type == PacketType::Response {
            stubs.extend(stub(&frame));
        }
    });
    stubs
}

pub(crate) fn interface_list() -> Vec<Vec<u8>> {
    let mut stubs = responses(GetInterfaceList::OPNUM);
    stubs.extend(packed!("interfaces"));
    stubs
}

pub(crate) fn notify_response() -> Vec<Vec<u8>> {
    let mut stubs = responses(AsyncNotify::OPNUM);
    stubs.extend(responses(RegisterEx::OPNUM));
    stubs.extend(responses(UnRegister::OPNUM));
    stubs.extend(packed!("resource-change"));
    stubs.extend(packed!("client-move"));
    stubs.extend(packed!("handle"));
    stubs
}

pub(crate) fn ntlm_challenge() -> Vec<Vec<u8>> {
    tokens(captured!("list-ntlm"))
}

/// A captured server's, and those of one that this client convinces.
pub(crate) fn spnego_token() -> Vec<Vec<u8>> {
    [tokens(captured!("list-spnego")), handshake::accepted()]
        .map(|tokens| handshake::pack(&tokens))
        .into()
}

pub(crate) fn kernel_message() -> Vec<Vec<u8>> {
    let text = |text: &str| Some(text.into());
    let ntlm = KernelAuth::Ntlm {
        user: text("jane"),
        domain: text("WORK"),
        password: Some(swnd::kernel::Secret::new("secret")),
    };
    let mut messages = Vec::new();
    for address in ["192.0.2.1", "2001:db8::1"] {
        let request = RegistrationRequest {
            net_name: "cluster".into(),
            share_name: text("data"),
            ip_address: address.parse().ok(),
            scope_id: 0,
            net_name_notify: true,
            share_name_notify: true,
            ip_notify: true,
        };
        for auth in [Some(&ntlm), Some(&KernelAuth::Kerberos), None] {
            messages.extend(encode_registration(27, 1, &request, auth));
        }
        if let Ok(address) = address.parse() {
            let moved = swnclient_proto::Notification::ClientMove { address };
            let mut bytes = Vec::new();
            messages.extend(encode_notify(&mut bytes, 27, 1, 1, &moved, 0).map(|()| bytes));
        }
    }
    messages
}
