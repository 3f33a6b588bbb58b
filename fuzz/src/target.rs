//! The targets.

use crate::{association, seeds};
use dcerpc_proto::epm;
use dcerpc_proto::ndr::Endian;
use dcerpc_proto::security::SecurityContext;
use dcerpc_proto::security::ntlm::{NtlmContext, NtlmCredentials};
use dcerpc_proto::security::spnego::SpnegoContext;
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
fn stub(data: &[u8]) -> (&[u8], Endian) {
    match data.split_first() {
        Some((first, stub)) if first & 1 == 1 => (stub, Endian::Big),
        Some((_, stub)) => (stub, Endian::Little),
        None => (&[], Endian::Little),
    }
}

/// The endpoint mapper's answer.
fn mapper_response(data: &[u8]) {
    let (stub, endian) = stub(data);
    let _ = epm::decode_response(stub, endian);
}

/// GetInterfaceList's answer.
fn interface_list(data: &[u8]) {
    let (stub, endian) = stub(data);
    let _ = wire::decode_interface_list(stub, endian);
}

/// AsyncNotify's answer, and those of the other calls.
fn notify_response(data: &[u8]) {
    let (stub, endian) = stub(data);
    let _ = wire::decode_notify_response(stub, endian);
    let _ = wire::decode_register_response(stub, endian);
    let _ = wire::decode_status(stub, endian);
}

fn ntlm() -> NtlmContext {
    let credentials = NtlmCredentials::from_password("jane", "WORK", "secret");
    NtlmContext::new(credentials, Some("cifs/node1.work.example"), "LAPTOP")
}

/// NTLM's CHALLENGE.
fn ntlm_challenge(data: &[u8]) {
    let mut context = ntlm();
    if context.step(&[]).is_ok() {
        let _ = context.step(data);
    }
}

/// What a server says to SPNEGO: the first byte is the first token's length, in
/// units of two bytes; the rest are the others, all alike.
fn spnego_token(data: &[u8]) {
    let mut context = SpnegoContext::new(vec![Box::new(ntlm())]);
    let _ = context.step(&[]);
    let Some((units, tokens)) = data.split_first() else {
        return;
    };
    let (first, rest) = tokens.split_at((usize::from(*units) * 2).min(tokens.len()));
    let _ = context.step(first);
    let _ = context.step(rest);
    let _ = context.step(rest);
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
