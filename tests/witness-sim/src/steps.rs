//! Steps: what is done to the cluster, and how it takes that.

use crate::cluster::{Cluster, Timer};
use crate::connection::ConnId;
use crate::event::Happening;
use crate::registration::{Registration, RegistrationId};
use crate::topology::Power;
use crate::{Destination, MoveFlags, NodeId, Script, Service, Step, Time, Who};
use std::collections::BTreeMap;
use std::net::IpAddr;
use swnclient_proto::ResourceState;
use swnclient_proto::wire::AddressInfo;

impl Cluster {
    /// Does something to the cluster, now.
    pub fn run(&mut self, now: Time, step: Step) {
        self.happened(now, Happening::Step(step.clone()));
        match step {
            Step::NodeDown { node, silent } => self.node_down(now, node, silent),
            Step::NodeCut { node } => {
                self.set_power(now, node, Power::Cut);
                self.reconsider_reach(now);
            }
            Step::NodeUp { node } => self.node_up(now, node),
            Step::AddressMove { address, node } => {
                self.move_address(now, address, node, true);
                self.retry_waiting_lists(now);
            }
            Step::AddressState { address, online } => {
                if let Some(address) = self.topology.address_mut(address) {
                    address.online = online;
                }
                self.reconsider_reach(now);
                self.tell_state(now, address);
                self.retry_waiting_lists(now);
            }
            Step::Service { node, port } => {
                self.lose(now, node, true, Some(Service::Witness));
                if let Some(node) = self.topology.node_mut(node) {
                    node.witness_port = port;
                }
            }
            Step::ClientMove { who, to } => {
                let to = self.destination(to, self.config.traits.move_flags);
                self.queue(now, &who, |r| r.pending.client_move(to.clone()));
            }
            Step::ShareMove { who, to } => {
                let to = self.destination(to, self.config.traits.move_flags);
                self.queue(now, &who, |r| {
                    if r.share_name.is_some() {
                        r.pending.share_move(to.clone());
                    }
                });
            }
            Step::IpChange { who, to } => {
                let to = self.destination(to, MoveFlags::State);
                self.queue(now, &who, |r| {
                    if r.ip_notify {
                        r.pending.ip_change(to.clone());
                    }
                });
            }
            Step::Answer { who, notice } => {
                self.queue(now, &who, |r| r.pending.force(notice.clone()));
            }
            Step::ForceUnregister { who } => {
                for id in self.registrations.select(|r| who.is(r)) {
                    self.drop_registration(now, id, "by force");
                }
            }
            Step::Password { user, password } => {
                let users = &mut self.config.users;
                for known in users.iter_mut().filter(|known| known.name == user) {
                    known.password = password.clone();
                }
                self.renew_logons();
            }
            Step::Clock { ahead } => {
                self.config.clock_ahead = ahead;
                self.renew_logons();
            }
            Step::Fault(fault) => self.faults.add(fault),
            Step::NoFaults => self.faults.clear(),
        }
    }

    /// Runs a script from `start` on.
    pub fn play(&mut self, start: Time, script: &Script) {
        for (at, step) in &script.steps {
            self.schedule(start + *at, step.clone());
        }
    }

    fn set_power(&mut self, now: Time, node: NodeId, power: Power) {
        if let Some(node) = self.topology.node_mut(node) {
            node.power = power;
        }
        self.start_timer(now + self.config.detection, Timer::Notice(node));
    }

    fn node_down(&mut self, now: Time, node: NodeId, silent: bool) {
        self.lose(now, node, !silent, None);
        self.set_power(now, node, Power::Down { silent });
    }

    fn node_up(&mut self, now: Time, node: NodeId) {
        if !self.topology.works(node) {
            // What is left of before knows nothing of it any more.
            self.lose(now, node, true, None);
        }
        self.set_power(now, node, Power::Up);
        self.reconsider_reach(now);
    }

    /// A node, or one of its services, loses its connections and what it knew.
    fn lose(&mut self, now: Time, node: NodeId, reset: bool, only: Option<Service>) {
        let lost = self.connections_where(|_, on, service| {
            on == node && only.is_none_or(|only| only == service)
        });
        for conn in lost {
            if reset {
                self.close(now, conn, true, "its node lost it");
            } else {
                self.swallow(conn);
            }
        }
        if only != Some(Service::Mapper) {
            for id in self.registrations.select(|r| r.node == node) {
                self.drop_registration(now, id, "its witness lost it");
            }
        }
    }

    fn connections_where(&self, wanted: impl Fn(IpAddr, NodeId, Service) -> bool) -> Vec<ConnId> {
        self.connections
            .iter()
            .filter(|(_, c)| wanted(c.local.ip(), c.node, c.service))
            .map(|(conn, _)| *conn)
            .collect()
    }

    /// Holds or lets through what comes on each connection, as the way is now.
    fn reconsider_reach(&mut self, now: Time) {
        let all: Vec<_> =
            self.connections.iter().map(|(conn, c)| (*conn, c.local.ip(), c.node)).collect();
        for (conn, address, node) in all {
            let node_reached = self.topology.node(node).is_some_and(|node| node.power == Power::Up);
            let address_reached =
                self.topology.address(address).is_some_and(|address| address.online);
            self.hold(now, conn, !(node_reached && address_reached));
        }
    }

    /// The cluster notices that a node died or came back.
    pub(crate) fn notice(&mut self, now: Time, id: NodeId) {
        let Some(node) = self.topology.node_mut(id) else {
            return;
        };
        let alive = node.power == Power::Up;
        if node.believed_up == alive {
            return;
        }
        node.believed_up = alive;
        self.happened(now, Happening::Noticed { node: id, alive });
        let traits = &self.config.traits;
        let tells = if alive { traits.tells_returns } else { traits.tells_deaths };
        let moves = self.topology.reallocation(id, traits.node_death);
        let affected: Vec<IpAddr> = self
            .topology
            .addresses()
            .iter()
            .filter(|address| address.owner == id && address.online)
            .map(|address| address.ip)
            .collect();
        for (address, to) in &moves {
            self.move_address(now, *address, *to, tells);
        }
        for address in affected.into_iter().filter(|_| tells) {
            if !moves.iter().any(|(moved, _)| *moved == address) {
                self.tell_state(now, address);
            }
        }
        self.retry_waiting_lists(now);
    }

    /// An address goes to another node: its connections break, and who is
    /// registered for it hears that it went away and came back.
    fn move_address(&mut self, now: Time, ip: IpAddr, to: NodeId, tells: bool) {
        let Some(address) = self.topology.address_mut(ip) else {
            return;
        };
        if address.owner == to {
            return;
        }
        address.owner = to;
        self.happened(now, Happening::AddressMoved { address: ip, to });
        for conn in self.connections_where(|local, node, _| local == ip && node != to) {
            self.close(now, conn, true, "its address moved");
        }
        if tells {
            self.tell_change(now, ip, ResourceState::Unavailable);
            self.tell_state(now, ip);
        }
    }

    /// Tells who is registered for an address how it is.
    fn tell_state(&mut self, now: Time, ip: IpAddr) {
        let Some(address) = self.topology.address(ip) else {
            return;
        };
        let state = if self.topology.is_available(address) {
            ResourceState::Available
        } else {
            ResourceState::Unavailable
        };
        self.tell_change(now, ip, state);
    }

    fn tell_change(&mut self, now: Time, ip: IpAddr, state: ResourceState) {
        let name = self.name(self.config.traits.resource_name, ip);
        let mut ids = self.registrations.select(|r| r.address == ip);
        if self.config.traits.notify_aliases_once {
            self.leave_out_aliases(&mut ids);
        }
        for id in ids {
            self.registrations.update(id, &self.config.traits, |r| {
                r.pending.change(&name, state);
            });
            self.tell(now, id);
        }
    }

    /// Keeps the first of the names by which a client registered for a share.
    fn leave_out_aliases(&self, ids: &mut Vec<RegistrationId>) {
        let mut first = BTreeMap::new();
        ids.retain(|id| {
            self.registrations.get(*id).is_some_and(|r| {
                let first = first.entry((&r.client, &r.share_name)).or_insert(&r.net_name);
                *first == &r.net_name
            })
        });
    }

    /// Changes what registrations have pending, and tells them.
    fn queue(&mut self, now: Time, who: &Who, change: impl Fn(&mut Registration)) {
        for id in self.registrations.select(|r| who.is(r)) {
            self.registrations.update(id, &self.config.traits, &change);
            self.tell(now, id);
        }
    }

    /// What a move names; the caller's own list is taken as it is.
    pub(crate) fn destination(&self, to: Destination, flags: MoveFlags) -> Vec<AddressInfo> {
        let node = match to {
            Destination::Addresses(list) => return list,
            Destination::Node(node) => node,
        };
        self.topology
            .addresses()
            .iter()
            .filter(|address| address.owner == node && address.listed)
            .map(|address| flags.entry(address.ip, self.topology.is_available(address)))
            .collect()
    }
}
