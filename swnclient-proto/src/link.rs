//! A link: the way to the witness service of one node, under one set of
//! credentials. First its endpoint mapper is asked for the port, then the
//! association is bound; then any number of registrations share it, as far as
//! the server multiplexes calls.

use super::authentication::{self, service_hosts};
use super::interning::SharedCredentials;
use super::{Action, ConnectionId};
use crate::wire::INTERFACE;
use crate::{Awaited, Call, Config, Credentials, Error, RegistrationId, ScopedAddr};
use dcerpc_proto::association::{
    Association, AssociationConfig, AssociationError, AuthOutcome, CallId, Event, FaultStatus,
    Reply,
};
use dcerpc_proto::epm::{self, EptMap};
use dcerpc_proto::pdu::{RejectReason, SyntaxId};
use dcerpc_proto::security::{Handshake, SecurityError};
use dcerpc_proto::{Operation, ResponseError};
use smol_str::SmolStr;
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Names a link within its client. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LinkId(pub(crate) u64);

/// How far a link's logon is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogonPhase {
    NotBegun,
    Begun,
    Good,
}

/// How far a link has come.
#[derive(Debug)]
enum Phase {
    ConnectingToMapper,
    Mapping(Association<Purpose>),
    ConnectingToWitness,
    Witness(Association<Purpose>),
}

/// What a call on a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// ept_map, at the endpoint mapper.
    Map,
    /// GetInterfaceList, for all that wait for it.
    List,
    /// Register or RegisterEx.
    Register(RegistrationId),
    /// AsyncNotify.
    Notify(RegistrationId),
    /// UnRegister.
    Unregister(RegistrationId),
    /// UnRegister of what no consumer waits for any more.
    Release,
}

/// What happens on a link.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// The security provider works, and waits for whom it has to.
    Authenticating,
    /// Calls can be made.
    Ready,
    /// A call has ended.
    Reply { purpose: Purpose, call: CallId, reply: Result<Reply, FaultStatus> },
    /// The endpoint mapper has named the port: [`Link::connect_to_witness`] is next.
    Mapped,
}

/// One link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) server: ScopedAddr,
    /// The net name, which the service principal is made from.
    pub(crate) target: SmolStr,
    /// The node's own name, where an interface list has told it.
    group_name: Option<SmolStr>,
    pub(crate) credentials: SharedCredentials,
    pub(crate) connection: ConnectionId,
    /// The registrations that depend on this link, but for those that only
    /// wait for a list.
    pub(crate) members: BTreeSet<RegistrationId>,
    /// Those that keep it for what its end tells.
    pub(crate) kept_by: BTreeSet<RegistrationId>,
    /// The list that is under way.
    pub(crate) list_call: Option<CallId>,
    /// Who waits for it.
    pub(crate) listing: Vec<RegistrationId>,
    /// Who needs a list that is asked for from now on.
    pub(crate) list_next: Vec<RegistrationId>,
    /// The calls that make or end a registration for which no consumer waits any more.
    pub(crate) abandoned: BTreeSet<CallId>,
    pub(crate) logon: LogonPhase,
    /// When it was opened.
    pub(crate) since: Instant,
    /// Whether its logon has begun, or waits for its turn.
    pub(crate) is_chosen: bool,
    phase: Phase,
    /// Whether an authentication job is under way.
    authenticating: bool,
    port: u16,
    /// Whether the port is the one that the witness service had before: the endpoint mapper
    /// has not been asked.
    is_port_old: bool,
    /// Whether the endpoint mapper is asked with the credentials.
    is_mapper_wary: bool,
}

/// How a witness service is found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    /// The port that it had before.
    pub(crate) old_port: Option<u16>,
    pub(crate) mapper_port: u16,
    /// Whether the endpoint mapper answers those only who say who they are.
    pub(crate) is_mapper_wary: bool,
}

/// Where a link puts the actions it needs.
pub(crate) type Actions = VecDeque<Action>;

impl Link {
    /// Whether it has a connection to the witness service itself.
    pub(crate) fn is_at_witness(&self) -> bool {
        matches!(self.phase, Phase::Witness(_))
    }

    /// A link that is not connected yet, to the endpoint mapper, or where the witness service
    /// has been found before to that port.
    pub(crate) fn new(
        server: ScopedAddr,
        target: SmolStr,
        group_name: Option<SmolStr>,
        credentials: SharedCredentials,
        connection: ConnectionId,
        way: Way,
        since: Instant,
    ) -> Self {
        Self {
            server,
            target,
            group_name,
            credentials,
            connection,
            members: BTreeSet::new(),
            kept_by: BTreeSet::new(),
            list_call: None,
            listing: Vec::new(),
            list_next: Vec::new(),
            abandoned: BTreeSet::new(),
            logon: LogonPhase::NotBegun,
            since,
            is_chosen: false,
            phase: match way.old_port {
                Some(_) => Phase::ConnectingToWitness,
                None => Phase::ConnectingToMapper,
            },
            authenticating: false,
            port: way.old_port.unwrap_or(way.mapper_port),
            is_port_old: way.old_port.is_some(),
            is_mapper_wary: way.is_mapper_wary,
        }
    }

    /// Connects.
    pub(crate) fn connect(&self, actions: &mut Actions) {
        let (connection, address) = (self.connection, self.socket_address());
        actions.push_back(Action::Connect { connection, address });
    }

    /// The address and port that the link's connection goes to now.
    pub(crate) fn socket_address(&self) -> SocketAddr {
        self.server.with_port(self.port)
    }

    /// The server's address by itself, as it is named to others.
    pub(crate) fn address(&self) -> IpAddr {
        self.server.address()
    }

    /// Whether calls can be made.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(&self.phase, Phase::Witness(association) if association.is_bound())
    }

    /// Whether calls can be made while an AsyncNotify pends.
    pub(crate) fn is_multiplexed(&self) -> bool {
        matches!(&self.phase, Phase::Witness(association) if association.is_multiplexed())
    }

    /// Whether an answer has come in part.
    pub(crate) fn is_mid_reply(&self) -> bool {
        matches!(&self.phase, Phase::Witness(association) if association.is_mid_reply())
    }

    /// Whether with the next connection comes a logon: that to the witness service, or to an
    /// endpoint mapper that wants one.
    pub(crate) fn is_about_to_log_on(&self) -> bool {
        match self.phase {
            Phase::ConnectingToWitness => true,
            Phase::ConnectingToMapper => self.is_mapper_wary,
            Phase::Mapping(_) | Phase::Witness(_) => false,
        }
    }

    /// Whether the endpoint mapper is asked, and without credentials.
    pub(crate) fn is_mapper_asked_anonymously(&self) -> bool {
        matches!(self.phase, Phase::Mapping(_)) && !self.is_mapper_wary
    }

    /// Whether its connection is still being opened.
    pub(crate) fn is_connecting(&self) -> bool {
        matches!(self.phase, Phase::ConnectingToMapper | Phase::ConnectingToWitness)
    }

    /// Whether it is to this service, by these credentials: others may share it then.
    pub(crate) fn is_for(&self, target: &str, credentials: &SharedCredentials) -> bool {
        self.credentials == *credentials && self.target.eq_ignore_ascii_case(target)
    }

    /// Whether no registration needs it. Closing it then takes back what the server
    /// still keeps for it (C706 5.1.6, context rundown).
    pub(crate) fn is_idle(&self) -> bool {
        self.members.is_empty()
            && self.kept_by.is_empty()
            && self.listing.is_empty()
            && self.list_next.is_empty()
    }

    /// The error that it is not to have come further by its deadline.
    pub(crate) fn timeout(&self, config: &Config) -> Error {
        if self.authenticating {
            return Error::KerberosTimeout { after: config.kdc_timeout };
        }
        let awaited = match self.phase {
            Phase::ConnectingToMapper => Awaited::MapperConnection,
            Phase::Mapping(_) => Awaited::Mapping,
            Phase::ConnectingToWitness => Awaited::WitnessConnection,
            Phase::Witness(_) => Awaited::Bind,
        };
        Error::Timeout { address: self.address(), awaited, after: config.connect_timeout }
    }

    /// The link's connection is there.
    pub(crate) fn connected(
        &mut self,
        config: &Config,
        events: &mut Vec<LinkEvent>,
        actions: &mut Actions,
    ) -> Result<(), Error> {
        match self.phase {
            Phase::ConnectingToMapper => {
                let (association, handshake) = match self.is_mapper_wary {
                    true => self.authenticated_to(epm::INTERFACE, config)?,
                    false => {
                        let max_response = config.max_response;
                        let anonymous = AssociationConfig::new(epm::INTERFACE);
                        (AssociationConfig { max_response, ..anonymous }, None)
                    }
                };
                let association = Association::new(association, handshake).and_then(|mut a| {
                    let map = EptMap::new(INTERFACE);
                    a.call_for(Purpose::Map, EptMap::OPNUM, map.stub())?;
                    Ok(a)
                });
                self.phase = Phase::Mapping(self.check(association)?);
            }
            Phase::ConnectingToWitness => {
                let (association, handshake) = self.authenticated_to(INTERFACE, config)?;
                let association = Association::new(association, handshake);
                self.phase = Phase::Witness(self.check(association)?);
            }
            Phase::Mapping(_) | Phase::Witness(_) => {}
        }
        self.drain(events, actions)
    }

    /// An association with this interface, by the credentials.
    fn authenticated_to(
        &self,
        interface: SyntaxId,
        config: &Config,
    ) -> Result<(AssociationConfig, Option<Box<dyn Handshake>>), Error> {
        let association = AssociationConfig {
            level: config.auth_level,
            require_header_signing: config.require_header_signing,
            max_response: config.max_response,
            ..AssociationConfig::new(interface)
        };
        let hosts = service_hosts(&self.target, self.group_name.as_deref());
        let handshake = authentication::handshake_with(self.credentials.get(), hosts, config)?;
        Ok((association, Some(handshake)))
    }

    /// Leaves the endpoint mapper for the witness service, by `connection`.
    pub(crate) fn connect_to_witness(&mut self, connection: ConnectionId, actions: &mut Actions) {
        // The end of the old one is not waited for.
        actions.push_back(Action::Connect { connection, address: self.socket_address() });
        actions.push_back(Action::Close { connection: self.connection });
        self.connection = connection;
        self.phase = Phase::ConnectingToWitness;
    }

    /// Asks the endpoint mapper by `connection`: the witness service is not where it was, or
    /// the mapper wants to know who asks. Returns how far the logon before was.
    pub(crate) fn connect_to_mapper(
        &mut self,
        connection: ConnectionId,
        way: Way,
        actions: &mut Actions,
    ) -> LogonPhase {
        actions.push_back(Action::Close { connection: self.connection });
        self.connection = connection;
        self.port = way.mapper_port;
        self.is_port_old = false;
        self.is_mapper_wary = way.is_mapper_wary;
        self.is_chosen = false;
        self.authenticating = false;
        self.phase = Phase::ConnectingToMapper;
        self.connect(actions);
        std::mem::replace(&mut self.logon, LogonPhase::NotBegun)
    }

    /// Whether the port is one from before, and it has not turned out yet whether the witness
    /// service is there.
    pub(crate) fn is_port_old(&self) -> bool {
        self.is_port_old
    }

    /// The port, where the witness service is.
    pub(crate) fn confirm_port(&mut self) -> u16 {
        self.is_port_old = false;
        self.port
    }

    /// Takes what has arrived. `events` are what happened before an error.
    pub(crate) fn received(
        &mut self,
        data: &mut [u8],
        events: &mut Vec<LinkEvent>,
        actions: &mut Actions,
    ) -> Result<(), Error> {
        let (Phase::Mapping(association) | Phase::Witness(association)) = &mut self.phase else {
            return Ok(());
        };
        let result = association.receive(data);
        self.drain(events, actions)?;
        self.check(result)
    }

    /// An authentication job has ended.
    pub(crate) fn authenticated(
        &mut self,
        outcome: AuthOutcome,
        events: &mut Vec<LinkEvent>,
        actions: &mut Actions,
    ) -> Result<(), Error> {
        self.authenticating = false;
        if let Phase::Mapping(association) | Phase::Witness(association) = &mut self.phase {
            let result = association.authenticated(outcome);
            self.check(result)?;
        }
        self.drain(events, actions)
    }

    /// Makes a call; the link is ready.
    pub(crate) fn call<O: Operation>(
        &mut self,
        purpose: Purpose,
        operation: &O,
        actions: &mut Actions,
    ) -> Result<CallId, Error> {
        let call = match &mut self.phase {
            Phase::Witness(association) => {
                association.call_for(purpose, O::OPNUM, operation.stub())
            }
            _ => Err(AssociationError::Closed),
        };
        let call = self.check(call)?;
        self.transmit(actions);
        Ok(call)
    }

    /// The answer to this call is not waited for any more.
    pub(crate) fn orphan(&mut self, call: CallId, actions: &mut Actions) {
        if let Phase::Witness(association) = &mut self.phase {
            association.orphan(call);
            self.transmit(actions);
        }
    }

    /// Asks the server to end a call, so that the next can be made on a link
    /// that isn't multiplexed.
    pub(crate) fn cancel(&mut self, call: CallId, actions: &mut Actions) {
        if let Phase::Witness(association) = &mut self.phase {
            association.cancel(call);
            self.transmit(actions);
        }
    }

    fn drain(&mut self, events: &mut Vec<LinkEvent>, actions: &mut Actions) -> Result<(), Error> {
        self.transmit(actions);
        while let Some(event) = match &mut self.phase {
            Phase::Mapping(association) | Phase::Witness(association) => association.poll_event(),
            Phase::ConnectingToMapper | Phase::ConnectingToWitness => None,
        } {
            match event {
                Event::Authenticate(job) => {
                    self.authenticating = true;
                    events.push(LinkEvent::Authenticating);
                    actions.push_back(Action::Authenticate { connection: self.connection, job });
                }
                // To the endpoint mapper the call is on its way already.
                Event::Bound if matches!(self.phase, Phase::Mapping(_)) => {}
                Event::Bound => events.push(LinkEvent::Ready),
                Event::Reply { purpose: Purpose::Map, reply, .. } => {
                    self.port = self.mapped(reply)?;
                    events.push(LinkEvent::Mapped);
                }
                Event::Reply { call, purpose, reply } => {
                    events.push(LinkEvent::Reply { purpose, call, reply });
                }
            }
        }
        Ok(())
    }

    fn mapped(&self, reply: Result<Reply, FaultStatus>) -> Result<u16, Error> {
        let address = self.address();
        let reply = reply.map_err(|status| match status.is_access_denied() {
            true => self.mapper_denies(status),
            false => Error::Fault { address, call: Call::Map, status },
        })?;
        reply.decode::<EptMap>().map_err(|error| match error {
            ResponseError::Ndr(error) => Error::Malformed { address, call: Call::Map, error },
            ResponseError::Status(error) => Error::NoService { address, error },
        })
    }

    /// What follows directly leaves in the same write: auth3 with the first request.
    fn transmit(&mut self, actions: &mut Actions) {
        if let Phase::Mapping(association) | Phase::Witness(association) = &mut self.phase {
            let mut new = association.take_transmit();
            let connection = self.connection;
            match actions.back_mut() {
                _ if new.is_empty() => {}
                Some(Action::Transmit { connection: same, bytes }) if *same == connection => {
                    bytes.append(&mut new);
                }
                _ => actions.push_back(Action::Transmit { connection, bytes: new }),
            }
        }
    }

    fn check<T>(&self, result: Result<T, AssociationError>) -> Result<T, Error> {
        result.map_err(|error| self.explain(error))
    }

    /// The endpoint mapper keeps clients out: those that don't say who they are, or this one.
    fn mapper_denies(&self, status: FaultStatus) -> Error {
        let address = self.address();
        match self.credentials.get() {
            Credentials::Ntlm(_) | Credentials::Negotiate(..) if self.is_mapper_wary => {
                let detail = smol_str::format_smolstr!("{status}");
                Error::MapperAccessDenied { address, detail }
            }
            _ => Error::Fault { address, call: Call::Map, status },
        }
    }

    fn explain(&self, error: AssociationError) -> Error {
        let address = self.address();
        // Mostly there is no logon at the mapper, and a bind is refused for other reasons, too.
        let is_mapping = matches!(self.phase, Phase::ConnectingToMapper | Phase::Mapping(_));
        let logs_on = !is_mapping || self.is_mapper_wary;
        let detail = match error {
            AssociationError::Security(SecurityError::Kerberos(error)) => {
                return Error::Kerberos(error);
            }
            AssociationError::Security(SecurityError::Credentials(detail)) => detail.into(),
            AssociationError::AccessDenied(status) if is_mapping && status.is_access_denied() => {
                return self.mapper_denies(status);
            }
            AssociationError::AccessDenied(status) if logs_on && status.is_access_denied() => {
                smol_str::format_smolstr!("{status}")
            }
            AssociationError::AccessDenied(status) => {
                return Error::Fault { address, call: Call::Bind, status };
            }
            AssociationError::Rejected(reason @ RejectReason::InvalidChecksum) if logs_on => {
                smol_str::format_smolstr!("{reason}")
            }
            AssociationError::Rejected(reason @ RejectReason::AuthTypeNotRecognized)
                if matches!(self.credentials.get(), Credentials::Kerberos(_)) =>
            {
                smol_str::format_smolstr!("{reason}")
            }
            error => return Error::Association { address, error },
        };
        match self.credentials.get() {
            Credentials::Kerberos(_) => {
                let service =
                    smol_str::format_smolstr!("{}/{}", authentication::SERVICE, self.target);
                Error::TicketRefused { address, service, detail }
            }
            Credentials::Ntlm(_) | Credentials::Negotiate(..) => {
                Error::AccessDenied { address, detail }
            }
        }
    }
}
