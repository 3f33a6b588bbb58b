//! What the client writes at once, on the way to a registration.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;
use swnclient_proto::{Action, Client, Config, ConnectionId};
use swnclient_proto::{Credentials, NtlmCredentials, RegistrationId, RegistrationRequest};
use witness_sim::{Cluster, ClusterConfig, ConnId, Connect, Output, Profile, Time};

const REQUEST: u8 = 0;
const BIND: u8 = 11;
const AUTH3: u8 = 16;

/// The types of the PDUs of one write (C706 12.6.3.1).
fn packet_types(mut write: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [_, _, packet_type, _, _, _, _, _, low, high, ..] = *write {
        types.push(packet_type);
        write = &write[usize::from(u16::from_le_bytes([low, high]))..];
    }
    types
}

/// Registers over a network that takes no time; each write on the way.
fn writes_of_a_registration() -> Vec<Vec<u8>> {
    let mut cluster = Cluster::new(ClusterConfig::new(Profile::Samba, 2, [10, 0, 0]));
    let (mut client, now) = (Client::new(Config::default(), 1), Instant::now());
    let request = RegistrationRequest::new("cluster.example.test")
        .share("data")
        .served_by(IpAddr::from([10, 0, 0, 11]))
        .scale_out();
    let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
    client.register(RegistrationId(1), request, Credentials::Ntlm(alice), now);

    let mut writes = Vec::new();
    let mut connections: BTreeMap<ConnectionId, ConnId> = BTreeMap::new();
    while let Some(action) = client.poll_action() {
        match action {
            Action::Connect { connection, address } => {
                let Connect::Accepted(conn) = cluster.connect(Time::ZERO, address) else {
                    panic!("{address} does not listen");
                };
                connections.insert(connection, conn);
                client.handle_connected(connection, now);
            }
            Action::Transmit { connection, bytes } => {
                writes.push(packet_types(&bytes));
                cluster.receive(Time::ZERO, connections[&connection], &bytes);
                while let Some(output) = cluster.poll_output() {
                    if let Output::Transmit { mut bytes, .. } = output {
                        client.handle_received(connection, &mut bytes, now);
                    }
                }
            }
            Action::Close { connection } => {
                cluster.closed(Time::ZERO, connections[&connection]);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(cluster.registrations().count(), 1);
    writes
}

#[test]
fn the_first_request_leaves_in_one_write_with_what_completes_the_logon() {
    let mapper = [vec![BIND], vec![REQUEST]];
    let witness = [vec![BIND], vec![AUTH3, REQUEST]];
    let ask = [vec![REQUEST]];
    let all = [&mapper[..], &witness[..], &mapper[..], &witness[..], &ask[..]].concat();
    assert_eq!(writes_of_a_registration(), all);
}
