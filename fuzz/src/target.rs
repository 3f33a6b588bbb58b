//! The targets.

use crate::{association, c_library, client, control, files, handshake, kernel, script, seeds};
use dcerpc_proto::Operation;
use dcerpc_proto::epm::EptMap;
use dcerpc_proto::ndr::{Endian, Reader};
use swnclient_proto::wire;

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
    Target { name: "ntlm_challenge", run: handshake::ntlm_challenge, seeds: seeds::ntlm_challenge },
    Target { name: "spnego_token", run: handshake::spnego_token, seeds: seeds::spnego_token },
    Target { name: "kernel_message", run: kernel::kernel_message, seeds: seeds::kernel_message },
    Target { name: "kernel_link", run: kernel::kernel_link, seeds: kernel::link_seeds },
    Target { name: "control", run: control::control, seeds: control::seeds },
    Target { name: "client", run: client::client, seeds: client::seeds },
    Target { name: "c_inbox", run: c_library::c_inbox, seeds: c_library::seeds },
    Target { name: "settings", run: files::settings, seeds: files::settings_seeds },
    Target { name: "tables", run: files::tables, seeds: files::tables_seeds },
    Target { name: "script", run: script::script, seeds: script::seeds },
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
