//! The project's own client in a world.

use super::{Action, ClientConn, VirtualClient};
use smol_str::SmolStr;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Instant;
use swnclient_proto::{self as proto, Client, ConnectionId, FullName};
use swnclient_proto::{Event, RegistrationId};

impl VirtualClient for Client {
    type Event = (RegistrationId, Event);

    fn poll_action(&mut self, now: Instant) -> Option<Action> {
        loop {
            return Some(match self.poll_action()? {
                proto::Action::Resolve { host } => Action::Resolve { host },
                proto::Action::FindFullName { host } => {
                    let name = format!("{host}.example.test").into();
                    self.handle_full_name(&host, FullName::Name(name), now);
                    continue;
                }
                proto::Action::Connect { connection, address } => {
                    Action::Connect { conn: connection.0, to: address }
                }
                proto::Action::Transmit { connection, bytes } => {
                    Action::Transmit { conn: connection.0, bytes }
                }
                proto::Action::Close { connection } => Action::Close { conn: connection.0 },
                proto::Action::Authenticate { connection, job } => {
                    self.handle_authenticated(connection, job.run(), now);
                    continue;
                }
            });
        }
    }

    fn poll_event(&mut self) -> Option<Self::Event> {
        self.poll_event()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout(now);
    }

    fn handle_resolved(&mut self, host: &str, addresses: Vec<IpAddr>, now: Instant) {
        let result = if addresses.is_empty() {
            Err(SmolStr::new_static("no such host"))
        } else {
            Ok(addresses)
        };
        self.handle_resolved(host, result, now);
    }

    fn handle_connected(&mut self, conn: ClientConn, now: Instant) {
        self.handle_connected(ConnectionId(conn), now);
    }

    fn handle_received(&mut self, conn: ClientConn, bytes: &mut [u8], now: Instant) {
        self.handle_received(ConnectionId(conn), bytes, now);
    }

    fn handle_closed(&mut self, conn: ClientConn, why: ErrorKind, now: Instant) {
        self.handle_closed(ConnectionId(conn), why, now);
    }
}
