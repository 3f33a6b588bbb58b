//! The targets.

use crate::{association, seeds};
use dcerpc_proto::Operation;
use dcerpc_proto::epm::EptMap;
use dcerpc_proto::ndr::{Endian, Reader};
use dcerpc_proto::pdu::AuthLevel;
use dcerpc_proto::security::ntlm::{NtlmCredentials, NtlmInitiator};
use dcerpc_proto::security::spnego::SpnegoInitiator;
use dcerpc_proto::security::{Handshake, Step};
use std::time::SystemTime;
use swnclient_proto::wire;
use swnd::kernel;

/// A fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Reads the bytes. It must not panic.
    pub run: fn(&[u8]),
    /// Inputs to start from: valid ones.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "pdu_stream", run: association::pdu_stream, seeds: seeds::pdu_stream },
    Target { name: "mapper_response", run: mapper_response, seeds: seeds::mapper_response },
    Target { name: "interface_list", run: interface_list, seeds: seeds::interface_list },
    Target { name: "notify_response", run: notify_response, seeds: seeds::notify_response },
    Target { name: "ntlm_challenge", run: ntlm_challenge, seeds: seeds::ntlm_challenge },
    Target { name: "spnego_token", run: spnego_token, seeds: seeds::spnego_token },
    Target { name: "kernel_message", run: kernel_message, seeds: seeds::kernel_message },
];

/// The first byte says in which byte order the rest is.
fn response<O: Operation>(data: &[u8]) {
    let (stub, endian) = match data.split_first() {
        Some((first, stub)) if first & 1 == 1 => (stub, Endian::Big),
        Some((_, stub)) => (stub, Endian::Little),
        None => (&[][..], Endian::Little),
    };
    let _ = O::decode_response(&mut Reader::new(stub, endian));
}

/// The endpoint mapper's answer.
fn mapper_response(data: &[u8]) {
    response::<EptMap>(data);
}

/// GetInterfaceList's answer.
fn interface_list(data: &[u8]) {
    response::<wire::GetInterfaceList>(data);
}

/// AsyncNotify's answer, and those of the other calls.
fn notify_response(data: &[u8]) {
    response::<wire::AsyncNotify>(data);
    response::<wire::Register>(data);
    response::<wire::UnRegister>(data);
}

fn ntlm() -> NtlmInitiator {
    let credentials = NtlmCredentials::from_password("jane", "WORK", "secret");
    NtlmInitiator::new(credentials, &[0x5a; 24], SystemTime::UNIX_EPOCH)
        .for_service("cifs/node1.work.example")
        .from_workstation("LAPTOP")
}

/// Gives a handshake one token after the other, as long as it goes on.
fn shake(handshake: Box<dyn Handshake>, tokens: &[&[u8]]) {
    let mut step = handshake.step(&[], AuthLevel::Privacy);
    for token in tokens {
        let Ok(Step::Continue { handshake, .. }) = step else {
            return;
        };
        step = handshake.step(token, AuthLevel::Privacy);
    }
}

/// NTLM's CHALLENGE.
fn ntlm_challenge(data: &[u8]) {
    shake(Box::new(ntlm()), &[data]);
}

/// What a server says to SPNEGO: the first byte is the first token's length, in
/// units of two bytes; the rest are the others, all alike.
fn spnego_token(data: &[u8]) {
    let Some((units, tokens)) = data.split_first() else {
        return;
    };
    let (first, rest) = tokens.split_at((usize::from(*units) * 2).min(tokens.len()));
    shake(Box::new(SpnegoInitiator::new(vec![Box::new(ntlm())])), &[first, rest, rest]);
}

/// What the kernel multicasts and its controller answers: a datagram.
fn kernel_message(data: &[u8]) {
    for message in kernel::wire::Messages::new(data) {
        let Ok(message) = message else {
            return;
        };
        let _ = kernel::message::decode(message.payload);
        let _ = kernel::ctrl::decode(message.payload);
    }
}
