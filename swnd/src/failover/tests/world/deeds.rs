//! What is done to the kernel.

use super::*;

/// How a node owes an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::failover::tests) enum Owed {
    /// Nothing has come since the request.
    Whole,
    /// Something has: a part, or the answer to another one.
    Part,
}

impl World {
    /// A node has taken a request of the first connection's, and not answered it yet. The
    /// kernel has no other to send.
    pub(in crate::failover::tests) fn owe(&mut self, owed: Owed) {
        self.request += 1;
        self.servers[0].owed = Some(owed);
        (self.servers[0].quiet_since, self.servers[0].acked) = (self.now, self.now);
    }

    /// The node answers it.
    pub(in crate::failover::tests) fn answer(&mut self) {
        self.servers[0].owed = None;
        (self.servers[0].quiet_since, self.servers[0].acked) = (self.now, self.now);
        if let State::Connected { received, .. } = &mut self.servers[0].state {
            *received += 1;
        }
    }

    /// `cifs_echo_request`, over the first connection.
    pub(in crate::failover::tests) fn echo(&mut self) {
        let now = self.now;
        let State::Connected { cookie, .. } = self.servers[0].state else { return };
        let is_well = self.is_well(self.servers[0].address, cookie);
        self.servers[0].quiet_since = now;
        match &mut self.servers[0].state {
            State::Connected { unanswered, .. } if !is_well => {
                unanswered.get_or_insert(now);
            }
            _ => self.servers[0].acked = now,
        }
    }

    /// `cifs_statfs`, over each connection to the address.
    pub(super) fn send_something(&mut self, mount: Mount, address: IpAddr) {
        let now = self.now;
        if !self.has_path {
            let why = Err("/mnt/data: Permission denied".to_owned());
            return self.failover.asked(&mount, address, why, now);
        }
        for index in 0..self.servers.len() {
            let State::Connected { cookie, .. } = self.servers[index].state else { continue };
            let is_well = self.is_well(address, cookie);
            let server = &mut self.servers[index];
            if server.address == address {
                server.quiet_since = now;
                match &mut server.state {
                    State::Connected { unanswered, .. } if !is_well => {
                        unanswered.get_or_insert(now);
                    }
                    _ => server.acked = now,
                }
            }
        }
        self.pending.push((now, Pending::Sent(mount, address, self.servers[0].instance)));
    }

    /// The answer to that, which comes after a reconnect if not before.
    pub(super) fn await_answer(&mut self, mount: Mount, address: IpAddr, instance: u32) {
        let server = &mut self.servers[0];
        let is_well = match server.state {
            State::Connected { cookie, .. } => {
                let holder = self.holders.get(&cookie);
                holder.is_some() && self.alive.get(&server.address) == holder
            }
            _ => false,
        };
        match &mut server.state {
            State::Connected { received, .. } if is_well && !self.is_stuck => {
                *received += u64::from(server.instance == instance);
                self.failover.asked(&mount, address, Ok(()), self.now);
            }
            _ => self.pending.push((self.now + STEP, Pending::Sent(mount, address, instance))),
        }
    }

    /// `cifs_swn_notify`.
    pub(super) fn notify(&mut self, id: u32, notification: &Notification) {
        let Some((_, index, _)) = self.registrations.get(&id).cloned() else {
            return self.failover.answered(id, false, self.now);
        };
        // It waits for the lock that a connect holds.
        if let State::Connecting { until, .. } = self.servers[index].state {
            let again = (until.min(self.now + STEP), Pending::Notify(id, notification.clone()));
            return self.pending.push(again);
        }
        match notification {
            Notification::ClientMove { address } if self.servers[index].address != *address => {
                self.servers[index].swn_address = Some(*address);
                self.failover.unmounted(id);
                self.register(id);
                self.failover.watched(id, true, self.now);
            }
            Notification::ResourceChange { .. } => {
                // Seen when the next byte arrives, or after seven seconds.
                if let State::Connected { cookie, .. } = self.servers[index].state {
                    if self.is_well(self.servers[index].address, cookie) {
                        self.ended_alive += 1;
                    }
                    self.reconnect(index);
                }
            }
            _ => {}
        }
        self.failover.answered(id, true, self.now);
    }

    pub(super) fn end(&mut self, connection: &Connection, if_dead: Option<(u8, Duration)>) -> End {
        if !self.can_end {
            return End::Impossible;
        }
        let here = self.connections().into_iter().find(|it| it.cookie == connection.cookie);
        let Some(here) = here else { return End::Gone };
        if if_dead.is_some_and(|(times, silence)| !here.is_dead(times, silence)) {
            return End::Alive;
        }
        self.ends.push(connection.cookie);
        for index in 0..self.servers.len() {
            match self.servers[index].state {
                State::Connected { cookie, .. } if cookie == connection.cookie => {
                    if self.is_well(self.servers[index].address, cookie) {
                        self.ended_alive += 1;
                    }
                    self.reconnect(index);
                }
                State::Connecting { cookie, .. } if cookie == connection.cookie => {
                    self.servers[index].state = State::Sleeping { until: self.now + SLEEP };
                }
                _ => {}
            }
        }
        End::Ended
    }
}
