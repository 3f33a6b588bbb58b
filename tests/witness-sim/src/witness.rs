//! The calls of the endpoint mapper and of the witness interface
//! ([MS-SWN] 3.1.4).

use crate::cluster::Cluster;
use crate::connection::ConnId;
use crate::event::Happening;
use crate::registration::{Due, Notice, Pending, Registration, RegistrationId, Waiting};
use crate::rpc::{Answer, Call};
use crate::topology::Address;
use crate::traits::{Listed, NameSource};
use crate::{Destination, NodeId, Service, Stage, Time, What};
use dcerpc_proto::Operation;
use dcerpc_proto::association::FaultStatus;
use dcerpc_proto::epm::EptMap;
use dcerpc_proto::ndr::{ContextHandle, NdrError};
use smol_str::{SmolStr, StrExt, ToSmolStr};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use swnclient_proto::ResourceState;
use swnclient_proto::wire::{
    self, AsyncNotify, GetInterfaceList, Interface, NotifyMessages, Register, RegisterEx, Status,
    UnRegister, Version,
};

/// RPC_S_SERVER_UNAVAILABLE: what Samba answers to a call that was orphaned.
const SERVER_UNAVAILABLE: FaultStatus = FaultStatus(0x0000_06ba);

impl Cluster {
    /// Takes a call.
    pub(crate) fn call(&mut self, now: Time, conn: ConnId, call: Call) {
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        let (node, service) = (connection.node, connection.service);
        let id = call.id;
        if let Some(refusal) = call.refused {
            self.refuse(now, conn, &call, refusal.status);
            if refusal.hang_up {
                self.close(now, conn, false, "refused");
            }
            return;
        }
        let stage = match (service, call.opnum) {
            (Service::Mapper, EptMap::OPNUM) => Some(Stage::EptMap),
            (Service::Witness, GetInterfaceList::OPNUM) => Some(Stage::GetInterfaceList),
            (Service::Witness, Register::OPNUM) => Some(Stage::Register),
            (Service::Witness, UnRegister::OPNUM) => Some(Stage::UnRegister),
            (Service::Witness, AsyncNotify::OPNUM) => Some(Stage::AsyncNotify),
            (Service::Witness, RegisterEx::OPNUM) => {
                self.config.traits.version_2.then_some(Stage::RegisterEx)
            }
            _ => None,
        };
        let auth = call.after_auth3.then_some(Stage::Auth);
        let fault = auth.into_iter().chain(stage).find_map(|stage| {
            let what = self.take_fault(now, stage, node)?;
            Some((stage, what))
        });
        if let Some((_, what)) = fault {
            let instead = matches!(
                what,
                What::Fault(_)
                    | What::BindNak(_)
                    | What::Status(_)
                    | What::Empty
                    | What::Storm(_)
                    | What::Refuse
                    | What::Drop
            );
            let unanswered = stage == Some(Stage::AsyncNotify) && what == What::NoReply;
            if instead || unanswered {
                let answer = Answer::response(id, Vec::new());
                return self.answer(now, conn, answer, fault);
            }
        }
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.planned.extend(fault.map(|fault| (id, fault)));
        }
        let Some(stage) = stage else {
            return self.refuse(now, conn, &call, self.config.traits.unknown_operation);
        };
        if self.execute(now, conn, stage, &call).is_err() {
            self.refuse(now, conn, &call, FaultStatus::NDR);
        }
    }

    fn refuse(&mut self, now: Time, conn: ConnId, call: &Call, status: FaultStatus) {
        let Some(node) = self.connections.get(&conn).map(|connection| connection.node) else {
            return;
        };
        let opnum = call.opnum;
        self.happened(now, Happening::CallRefused { conn, node, opnum, status });
        self.reply(now, conn, Answer::fault(call.id, status));
    }

    /// Answers a call, with the fault that was planned for it.
    pub(crate) fn reply(&mut self, now: Time, conn: ConnId, answer: Answer) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            let fault = connection.planned.remove(&answer.call);
            self.answer(now, conn, answer, fault);
        }
    }

    fn execute(
        &mut self,
        now: Time,
        conn: ConnId,
        stage: Stage,
        call: &Call,
    ) -> Result<(), NdrError> {
        let stub = match stage {
            Stage::EptMap => Some(self.map(conn, call)?),
            Stage::GetInterfaceList => self.get_interface_list(now, conn, call.id),
            Stage::Register => Some(self.register(now, conn, Version::V1, call)?),
            Stage::RegisterEx => Some(self.register(now, conn, Version::V2, call)?),
            Stage::UnRegister => self.un_register(now, conn, call)?,
            Stage::AsyncNotify => self.async_notify(now, conn, call)?,
            _ => None,
        };
        if let Some(stub) = stub {
            self.reply(now, conn, Answer::response(call.id, stub));
        }
        Ok(())
    }

    /// ept_map.
    fn map(&self, conn: ConnId, call: &Call) -> Result<Vec<u8>, NdrError> {
        let wanted = EptMap::decode(&mut call.reader())?;
        let connection = self.connections.get(&conn);
        let port = connection
            .and_then(|connection| self.topology.node(connection.node)?.witness_port)
            .filter(|_| wanted.interface == wire::INTERFACE);
        let address = match connection.map(|connection| connection.local.ip()) {
            Some(IpAddr::V4(address)) => address,
            _ => Ipv4Addr::UNSPECIFIED,
        };
        Ok(wanted.encode_response(port, address))
    }

    /// What a node lists.
    pub fn interfaces(&self, asked: NodeId) -> Vec<Interface> {
        let traits = &self.config.traits;
        let interface = |address: &Address| Interface {
            group_name: self.name(traits.group_name, address.ip),
            version: traits.list_version,
            state: if self.topology.is_available(address) {
                ResourceState::Available
            } else {
                ResourceState::Unavailable
            },
            ipv4: match address.ip {
                IpAddr::V4(ip) => Some(ip),
                IpAddr::V6(_) => None,
            },
            ipv6: match address.ip {
                IpAddr::V6(ip) => Some(ip),
                IpAddr::V4(_) => None,
            },
            witness: address.owner != asked,
        };
        let is_listed = |address: &&Address| {
            address.listed && (traits.listed == Listed::All || address.owner != asked)
        };
        self.topology.addresses().iter().filter(is_listed).map(interface).collect()
    }

    pub(crate) fn name(&self, source: NameSource, address: IpAddr) -> SmolStr {
        let owner = || {
            let owner = self.topology.address(address)?.owner;
            Some(self.topology.node(owner)?.name.clone())
        };
        match source {
            NameSource::Cluster => self.config.dns_name(),
            NameSource::Node if self.config.traits.names_in_capitals => {
                owner().unwrap_or_default().to_uppercase_smolstr()
            }
            NameSource::Node => owner().unwrap_or_default(),
            NameSource::Address => address.to_smolstr(),
        }
    }

    fn get_interface_list(&mut self, now: Time, conn: ConnId, call: u32) -> Option<Vec<u8>> {
        let node = self.connections.get(&conn)?.node;
        let interfaces = self.interfaces(node);
        let usable = |interface: &Interface| {
            interface.witness && interface.state == ResourceState::Available
        };
        if self.config.traits.list_waits_for_witness && !interfaces.iter().any(usable) {
            if !self.waiting_lists.contains(&(conn, call)) {
                self.waiting_lists.push((conn, call));
            }
            return None;
        }
        let stage = Stage::GetInterfaceList;
        self.happened(now, Happening::Called { conn, node, stage });
        Some(wire::encode_interface_list(Ok(&interfaces)))
    }

    /// Looks whether calls of GetInterfaceList have waited long enough.
    pub(crate) fn retry_waiting_lists(&mut self, now: Time) {
        for (conn, call) in std::mem::take(&mut self.waiting_lists) {
            if let Some(stub) = self.get_interface_list(now, conn, call) {
                self.reply(now, conn, Answer::response(call, stub));
            }
        }
    }

    fn register(
        &mut self,
        now: Time,
        conn: ConnId,
        version: Version,
        call: &Call,
    ) -> Result<Vec<u8>, NdrError> {
        let request = Register::decode(version, &mut call.reader())?;
        let result = self.try_register(now, conn, version, &request);
        if let (Err(status), Some(connection)) = (result, self.connections.get(&conn)) {
            let (node, client) = (connection.node, request.client_name);
            let status_event = Happening::RegisterRefused { node, client, status };
            self.happened(now, status_event);
        }
        Ok(wire::encode_register_response(result))
    }

    fn try_register(
        &mut self,
        now: Time,
        conn: ConnId,
        version: Version,
        request: &Register,
    ) -> Result<ContextHandle, Status> {
        if request.version != version.to_wire() {
            return Err(Status::REVISION_MISMATCH);
        }
        let (Some(net_name), Some(address), Some(client)) =
            (&request.net_name, &request.ip_address, &request.client_name)
        else {
            return Err(Status::INVALID_PARAMETER);
        };
        if !self.config.is_known_as(net_name) {
            return Err(Status::INVALID_PARAMETER);
        }
        let address = address.parse::<IpAddr>().map_err(|_| Status::INVALID_STATE)?;
        let share = request.share_name.as_ref().filter(|_| version == Version::V2);
        let shares = &self.config.shares;
        let has_share = share.is_none_or(|share| shares.is_empty() || shares.contains(share));
        let has_address = self.topology.address(address).is_some();
        let traits = &self.config.traits;
        if traits.checks_addresses && !has_address || traits.checks_shares && !has_share {
            return Err(Status::INVALID_STATE);
        }
        let mut pending = Pending::default();
        if let (Some(owner), Some(_)) = (self.config.share_owner, share) {
            if self.topology.address(address).is_some_and(|address| address.owner != owner) {
                let to = Destination::Node(owner);
                pending.share_move(self.destination(to, self.config.traits.move_flags));
            }
        }
        let connection = self.connections.get(&conn).ok_or(Status::INVALID_STATE)?;
        let (node, group) = (connection.node, connection.group);
        let user = connection.rpc.user().map(SmolStr::from);
        let (id, handle) = self.registrations.next_name();
        let registration = Registration {
            id,
            handle,
            node,
            group,
            version,
            net_name: net_name.clone(),
            share_name: request.share_name.clone(),
            address,
            client: client.clone(),
            ip_notify: request.ip_notify,
            keep_alive: Duration::from_secs(request.keep_alive.into()),
            waiting: VecDeque::new(),
            pending,
            last_use: now,
            drop_at: None,
        };
        self.happened(
            now,
            Happening::Registered { registration: Box::new(registration.clone()), user },
        );
        self.registrations.insert(registration, &self.config.traits);
        Ok(handle)
    }

    fn find(&self, conn: ConnId, call: &Call) -> Result<Option<RegistrationId>, NdrError> {
        let handle = call.reader().context_handle()?;
        let connection = self.connections.get(&conn);
        Ok(connection.and_then(|connection| self.registrations.find(&handle, connection.group)))
    }

    fn un_register(
        &mut self,
        now: Time,
        conn: ConnId,
        call: &Call,
    ) -> Result<Option<Vec<u8>>, NdrError> {
        let Some(id) = self.find(conn, call)? else {
            let status = self.config.traits.unknown_unregister;
            return Ok(Some(wire::encode_status(status)));
        };
        // The answer comes before those of the calls that wait.
        self.reply(now, conn, Answer::response(call.id, wire::encode_status(Status::SUCCESS)));
        self.drop_registration(now, id, "unregistered");
        Ok(None)
    }

    fn async_notify(
        &mut self,
        now: Time,
        conn: ConnId,
        call: &Call,
    ) -> Result<Option<Vec<u8>>, NdrError> {
        let Some(id) = self.find(conn, call)? else {
            return Ok(Some(wire::encode_notify_response(Err(Status::NOT_FOUND))));
        };
        let waiting = Waiting { conn, call: call.id, since: now };
        self.registrations.update(id, &self.config.traits, |r| {
            r.last_use = now;
            r.waiting.push_back(waiting);
        });
        self.tell(now, id);
        Ok(None)
    }

    /// Answers calls that wait as long as there is something to tell.
    pub(crate) fn tell(&mut self, now: Time, id: RegistrationId) {
        loop {
            let leave_after = self.config.traits.drop_after_leave;
            let told = self.registrations.update(id, &self.config.traits, |r| {
                let waiting = *r.waiting.front()?;
                let notice = r.pending.take()?;
                r.waiting.pop_front();
                r.last_use = now;
                if leaves(&notice, r.address) {
                    r.drop_at = leave_after.map(|time| now + time);
                }
                Some((waiting, notice, r.node, r.client.clone()))
            });
            let Some((waiting, notice, node, client)) = told.flatten() else {
                return;
            };
            let told = notice.as_ref().map(Option::as_ref).map_err(|e| *e);
            let stub = wire::encode_notify_response(told);
            self.happened(now, Happening::Notified { id, node, client, notice });
            self.reply(now, waiting.conn, Answer::response(waiting.call, stub));
        }
    }

    /// Ends a registration: calls that wait get ERROR_NOT_FOUND.
    pub(crate) fn drop_registration(&mut self, now: Time, id: RegistrationId, why: &'static str) {
        let Some(registration) = self.registrations.remove(id, &self.config.traits) else {
            return;
        };
        let (node, client) = (registration.node, registration.client);
        self.happened(now, Happening::Unregistered { id, node, client, why });
        let stub = wire::encode_notify_response(Err(Status::NOT_FOUND));
        for waiting in registration.waiting {
            let answer = Answer::response(waiting.call, stub.clone());
            self.reply(now, waiting.conn, answer);
        }
    }

    /// Does what the clock demands of registrations.
    pub(crate) fn expire_registrations(&mut self, now: Time) {
        while let Some((id, due)) = self.registrations.next_due(now, &self.config.traits) {
            match due {
                Due::Unused => self.drop_registration(now, id, "unused for too long"),
                Due::Left => self.drop_registration(now, id, "the client was sent away"),
                Due::KeepAlive => {
                    self.registrations.update(id, &self.config.traits, |r| {
                        r.pending.force(Err(Status::TIMEOUT));
                    });
                    self.tell(now, id);
                }
            }
        }
    }

    /// Ends a call early, where it waits.
    pub(crate) fn give_up(&mut self, now: Time, conn: ConnId, call: u32, orphaned: bool) {
        let Some(connection) = self.connections.get(&conn) else {
            return;
        };
        let mut found = false;
        for id in self.registrations.of_group(connection.group) {
            self.registrations.update(id, &self.config.traits, |r| {
                let before = r.waiting.len();
                r.waiting.retain(|w| (w.conn, w.call) != (conn, call));
                if r.waiting.len() < before {
                    found = true;
                    r.last_use = now;
                }
            });
        }
        if found {
            let status = if orphaned { SERVER_UNAVAILABLE } else { FaultStatus::CANCEL };
            self.reply(now, conn, Answer::fault(call, status));
        }
    }
}

/// Whether a notice makes a client leave the address that it registered.
fn leaves(notice: &Notice, registered: IpAddr) -> bool {
    match notice {
        Ok(Some(NotifyMessages::ResourceChange(changes))) => {
            changes.iter().any(|(_, state)| *state != ResourceState::Available)
        }
        Ok(Some(NotifyMessages::ClientMove(to) | NotifyMessages::ShareMove(to))) => {
            to.iter().flat_map(|entry| entry.addresses()).any(|address| address != registered)
        }
        _ => false,
    }
}
