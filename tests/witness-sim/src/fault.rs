//! Faults: what goes wrong, where, and how often.

use crate::NodeId;
use dcerpc_proto::association::FaultStatus;
use std::time::Duration;
use swnclient_proto::wire::Status;

/// A step of a registration's life that can go wrong. All but the two
/// connects name the answer to a message of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// A connection to the endpoint mapper.
    MapperConnect,
    /// The bind to the endpoint mapper.
    MapperBind,
    /// ept_map.
    EptMap,
    /// A connection to the witness service.
    Connect,
    /// The bind to the witness service, which carries the client's first token.
    Bind,
    /// The last leg of the logon: the answer to alter_context, or, where the
    /// client ends with auth3, which has none, the answer to its first call.
    Auth,
    /// WitnessrGetInterfaceList.
    GetInterfaceList,
    /// WitnessrRegister.
    Register,
    /// WitnessrRegisterEx.
    RegisterEx,
    /// WitnessrAsyncNotify.
    AsyncNotify,
    /// WitnessrUnRegister.
    UnRegister,
}

impl Stage {
    /// Every stage, in the order a client comes through them.
    pub const ALL: [Self; 11] = [
        Self::MapperConnect,
        Self::MapperBind,
        Self::EptMap,
        Self::Connect,
        Self::Bind,
        Self::Auth,
        Self::GetInterfaceList,
        Self::Register,
        Self::RegisterEx,
        Self::AsyncNotify,
        Self::UnRegister,
    ];

    /// The name that scripts use.
    pub fn name(self) -> &'static str {
        match self {
            Self::MapperConnect => "mapper-connect",
            Self::MapperBind => "mapper-bind",
            Self::EptMap => "ept-map",
            Self::Connect => "connect",
            Self::Bind => "bind",
            Self::Auth => "auth",
            Self::GetInterfaceList => "list",
            Self::Register => "register",
            Self::RegisterEx => "register-ex",
            Self::AsyncNotify => "notify",
            Self::UnRegister => "unregister",
        }
    }

    /// The stage of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.name() == name)
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// A connection is refused. Elsewhere than at a connect: as `Cut(0)`.
    Refuse,
    /// A connection attempt is not answered, or the answer is not sent.
    NoReply,
    /// From here on the connection swallows everything, both ways.
    Drop,
    /// The answer comes later. Elsewhere than at a connect.
    Delay(Duration),
    /// So many bytes of the answer are sent, then the connection is reset.
    Cut(usize),
    /// One bit of the byte at this offset of the answer is flipped on the way.
    Garble(usize),
    /// The answer arrives byte by byte.
    Chunks,
    /// The answer's stub comes in fragments of at most so many bytes.
    Fragments(usize),
    /// Every count within the answer is 0xFFFFFFFF (0xFFFF where it is short).
    HugeCounts,
    /// The PDU claims to be 65535 bytes long.
    HugeLength,
    /// The stub ends after so many bytes.
    Truncate(usize),
    /// The answer names a call that isn't under way.
    WrongCallId,
    /// The answer comes without signature.
    Unprotected,
    /// A fault PDU instead of the answer.
    Fault(FaultStatus),
    /// bind_nak with this reason instead of the answer.
    BindNak(u16),
    /// The call returns this.
    Status(Status),
    /// AsyncNotify succeeds, with a null pointer where the messages should be.
    Empty,
    /// AsyncNotify succeeds with so many resource changes, each as short as can be:
    /// without a name.
    Storm(usize),
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refuse => write!(f, "refuse"),
            Self::NoReply => write!(f, "no-reply"),
            Self::Drop => write!(f, "drop"),
            Self::Delay(time) => write!(f, "delay {time:?}"),
            Self::Cut(bytes) => write!(f, "cut {bytes}"),
            Self::Garble(offset) => write!(f, "garble {offset}"),
            Self::Chunks => write!(f, "chunks"),
            Self::Fragments(bytes) => write!(f, "fragments {bytes}"),
            Self::HugeCounts => write!(f, "huge-counts"),
            Self::HugeLength => write!(f, "huge-length"),
            Self::Truncate(bytes) => write!(f, "truncate {bytes}"),
            Self::WrongCallId => write!(f, "wrong-call-id"),
            Self::Unprotected => write!(f, "unprotected"),
            Self::Fault(status) => write!(f, "fault {:#010x}", status.0),
            Self::BindNak(reason) => write!(f, "nak {reason}"),
            Self::Status(status) => match status.name() {
                Some(name) => write!(f, "status {name}"),
                None => write!(f, "status {}", status.0),
            },
            Self::Empty => write!(f, "empty"),
            Self::Storm(changes) => write!(f, "storm {changes}"),
        }
    }
}

/// A rule: what goes wrong, where, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Where.
    pub on: Stage,
    /// At which node; `None` for all.
    pub node: Option<NodeId>,
    /// How often; `None` for ever.
    pub times: Option<u32>,
    /// What.
    pub what: What,
}

impl Fault {
    /// A fault that happens once, at any node.
    pub fn once(on: Stage, what: What) -> Self {
        Self { on, node: None, times: Some(1), what }
    }

    /// A fault that happens again and again, at any node.
    pub fn always(on: Stage, what: What) -> Self {
        Self { times: None, ..Self::once(on, what) }
    }

    /// The same at one node only.
    pub fn at(self, node: NodeId) -> Self {
        Self { node: Some(node), ..self }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "fault {}", self.on)?;
        if let Some(node) = self.node {
            write!(f, " {node}")?;
        }
        match self.times {
            Some(1) => {}
            Some(times) => write!(f, " times {times}")?,
            None => write!(f, " always")?,
        }
        write!(f, " {}", self.what)
    }
}

/// The rules in force. The first that fits applies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    rules: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.rules.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// What goes wrong this time, if anything; counts it.
    pub(crate) fn take(&mut self, on: Stage, node: NodeId) -> Option<What> {
        let index = self
            .rules
            .iter()
            .position(|rule| rule.on == on && rule.node.is_none_or(|n| n == node))?;
        let rule = self.rules.get_mut(index)?;
        let what = rule.what;
        match &mut rule.times {
            Some(0 | 1) => drop(self.rules.remove(index)),
            Some(times) => *times -= 1,
            None => {}
        }
        Some(what)
    }
}
