//! The faults, and what is to come of them.

use super::{Column, Place};
use dcerpc_proto::association::FaultStatus;
use std::time::Duration;
use swnclient_proto::wire::Status;
use witness_sim::{Traits, What};

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Each of these with an answer or a connection, in a run of its own.
    Answer(&'static [What]),
    /// This happens while the answer is awaited.
    Happens(Happens),
}

/// What happens to a cluster or a client. `T` is the node that is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happens {
    /// T dies; its connections are reset.
    NodeDown,
    /// T dies without a word.
    NodeVanishes,
    /// T is cut off, both ways, for a minute.
    NodeCut,
    /// T dies and is back after five seconds.
    NodeRestarts,
    /// T's witness service stops.
    ServiceStops,
    /// T's witness service restarts on another port.
    ServiceRestarts,
    /// T's address goes to another node.
    AddressMoves,
    /// The network interface of T's address fails, for a minute.
    AddressOffline,
    /// All nodes are dead for an hour.
    AllDown,
    /// The administrator moves the client.
    ClientMove,
    /// The share moves.
    ShareMove,
    /// The server's addresses change.
    IpChange,
    /// A move to a list of addresses, some of them offline or IPv6.
    MixedList,
    /// A move to nowhere: all addresses are offline, or there is none.
    UselessList,
    /// The administrator removes the registration.
    ForceUnregister,
    /// The password changes; the mount has the new one a minute later.
    PasswordChange,
    /// The client's clock leaps by an hour, as after a sleep.
    ClockStep,
}

/// What is to come of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// In order again, by itself.
    Recovered,
    /// The credentials are refused; in order when the consumer asks with others.
    Denied,
    /// The credentials are refused by the only node that can be asked; in order after ten
    /// minutes.
    Paused,
    /// Nothing, until the connection breaks: version 1 has no keep-alive, so
    /// no news can last for ever.
    Unnoticed,
}

/// A fault.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The name of the module that its tests are in.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// The same for the machine.
    pub fault: Fault,
    /// Where the credentials are refused.
    pub denied_at: fn(Column, Place) -> bool,
    /// Whether that is only this once.
    pub once: bool,
    /// How long it may take until all is in order again, in seconds: from the
    /// fault on, or from when the node without which nothing goes is back.
    pub within: u64,
}

impl Row {
    /// What is to come of it.
    pub fn expect(&self, column: Column, place: Place, traits: &Traits, nodes: u8) -> Expect {
        let no_reply = matches!(self.fault, Fault::Answer([What::NoReply]));
        if no_reply && column == Column::Waiting && !traits.version_2 {
            Expect::Unnoticed
        } else if self.is_denied(column, place, nodes) {
            if self.once { Expect::Paused } else { Expect::Denied }
        } else {
            Expect::Recovered
        }
    }

    fn is_denied(&self, column: Column, place: Place, nodes: u8) -> bool {
        // The only witness that there is refuses them.
        let at_pair = || {
            let column = if column == Column::Register { Column::List } else { column };
            nodes == 2 && self.once && (self.denied_at)(column, Place::Server)
        };
        (self.denied_at)(column, place) || place == Place::Witness && at_pair()
    }

    /// How long that may take.
    pub fn limit(&self) -> Duration {
        Duration::from_secs(self.within)
    }
}

impl Happens {
    /// Whether a client must wait until it is over: where it befalls the node
    /// that serves the share and no other takes the address over, or one of two nodes.
    pub fn stops(self, place: Place, takeover: bool, nodes: u8) -> bool {
        // A witness is another node than the one that serves the share.
        let is_pair = nodes == 2;
        match self {
            Self::AllDown => true,
            Self::NodeDown
            | Self::NodeVanishes
            | Self::NodeCut
            | Self::ServiceStops
            | Self::AddressMoves
            | Self::AddressOffline
                if is_pair =>
            {
                true
            }
            Self::NodeDown | Self::NodeVanishes => place == Place::Server && !takeover,
            // Who takes a dead node's address over serves it; one that is cut
            // off, or an interface, is waited for.
            Self::NodeCut => place == Place::Server && !takeover,
            Self::ServiceStops | Self::AddressOffline => place == Place::Server,
            _ => false,
        }
    }
}

const fn row(name: &'static str, title: &'static str, fault: Fault, within: u64) -> Row {
    Row { name, title, fault, denied_at: |_, _| false, once: false, within }
}

const fn answer(
    name: &'static str,
    title: &'static str,
    what: &'static [What],
    within: u64,
) -> Row {
    row(name, title, Fault::Answer(what), within)
}

const fn happens(name: &'static str, title: &'static str, what: Happens, within: u64) -> Row {
    row(name, title, Fault::Happens(what), within)
}

const fn denied(row: Row, at: fn(Column, Place) -> bool) -> Row {
    Row { denied_at: at, ..row }
}

/// An answer that refuses the credentials where the node that serves the share gives it, or
/// the only witness: of several another one is tried.
const fn refused_once(row: Row, at: fn(Column, Place) -> bool) -> Row {
    Row { denied_at: at, once: true, ..row }
}

/// After the connection broke: the spread of the clients of a lost witness, and
/// a first backoff.
const BREAK: u64 = 20;
/// After a peer fell silent: TCP's ten seconds besides.
const SILENCE: u64 = 30;
/// After an answer that never comes: the call timeout besides.
const CALL: u64 = 200;
/// After some failed attempts to reach a node that is back: the backoff.
const BACKOFF: u64 = 60;

/// Wherever a user is asked for: not at the endpoint mapper.
const FIRST_LOGON: fn(Column, Place) -> bool = |column, place| {
    matches!(place, Place::Server) && matches!(column, Column::Bind | Column::Auth | Column::List)
};
/// What a call returns comes after the logon.
const LOGON: fn(Column, Place) -> bool =
    |column, place| matches!(place, Place::Server) && matches!(column, Column::Bind | Column::Auth);
const BIND: fn(Column, Place) -> bool =
    |column, place| matches!(place, Place::Server) && matches!(column, Column::Bind);
/// Wherever a logon follows: what is established stays.
const NEXT_LOGON: fn(Column, Place) -> bool = |column, place| match column {
    Column::Mapper => true,
    Column::Bind | Column::Auth | Column::List => matches!(place, Place::Server),
    Column::Register | Column::Waiting | Column::Unregister => false,
};

/// All faults.
pub const ROWS: &[Row] = &[
    // Connections and nodes.
    answer(
        "refused",
        "the connection is refused, or reset instead of an answer",
        &[What::Refuse],
        BREAK,
    ),
    answer("unanswered", "no answer", &[What::NoReply], CALL),
    answer("dropped", "the connection swallows everything from here on", &[What::Drop], SILENCE),
    answer(
        "late",
        "the answer comes 3 s later, or 20 s",
        &[What::Delay(Duration::from_secs(3)), What::Delay(Duration::from_secs(20))],
        BREAK + 10,
    ),
    answer(
        "cut",
        "the connection is cut after 0, 1, 16 or 40 bytes of the answer",
        &[What::Cut(0), What::Cut(1), What::Cut(16), What::Cut(40)],
        BREAK,
    ),
    happens("node_down", "the node dies, connections are reset", Happens::NodeDown, BACKOFF),
    happens("node_vanishes", "the node dies without a word", Happens::NodeVanishes, BACKOFF),
    happens("node_cut", "the node is cut off both ways for a minute", Happens::NodeCut, BACKOFF),
    happens("node_restarts", "the node dies and is back after 5 s", Happens::NodeRestarts, BACKOFF),
    happens("service_stops", "the witness service stops", Happens::ServiceStops, BACKOFF),
    happens(
        "service_restarts",
        "the witness service restarts, on another port",
        Happens::ServiceRestarts,
        BACKOFF,
    ),
    happens(
        "address_moves",
        "the node's address moves to another node",
        Happens::AddressMoves,
        BACKOFF,
    ),
    happens(
        "address_offline",
        "the node's address is offline for a minute, then online",
        Happens::AddressOffline,
        BACKOFF,
    ),
    happens("all_down", "all nodes are down for an hour", Happens::AllDown, 120),
    // What the bytes say.
    answer(
        "garbled",
        "a bit is flipped at byte 0, 2, 8, 12, 16, 30 or 60",
        &[
            What::Garble(0),
            What::Garble(2),
            What::Garble(8),
            What::Garble(12),
            What::Garble(16),
            What::Garble(30),
            What::Garble(60),
        ],
        CALL,
    ),
    answer("chunks", "the answer arrives byte by byte", &[What::Chunks], 1),
    answer("fragments", "fragments of one byte", &[What::Fragments(1)], 1),
    answer("huge_counts", "all counts are 0xFFFFFFFF", &[What::HugeCounts], BREAK),
    answer("huge_length", "the PDU claims 65535 bytes", &[What::HugeLength], CALL),
    answer(
        "truncated",
        "the stub ends after 0, 4 or 20 bytes",
        &[What::Truncate(0), What::Truncate(4), What::Truncate(20)],
        BREAK,
    ),
    answer(
        "wrong_call_id",
        "the answer to a call that isn't under way",
        &[What::WrongCallId],
        CALL,
    ),
    answer("unprotected", "the answer comes without signature", &[What::Unprotected], BREAK),
    answer("empty", "success, and a null pointer", &[What::Empty], CALL),
    // Faults of the RPC layer.
    answer(
        "op_rng_error",
        "fault nca_s_op_rng_error",
        &[What::Fault(FaultStatus::OP_RNG_ERROR), What::Fault(FaultStatus::PROCNUM_OUT_OF_RANGE)],
        BREAK,
    ),
    answer(
        "other_faults",
        "faults nca_s_unk_if, nca_s_proto_error, context mismatch, NDR, too busy, cancel",
        &[
            What::Fault(FaultStatus::UNK_IF),
            What::Fault(FaultStatus::PROTO_ERROR),
            What::Fault(FaultStatus::CONTEXT_MISMATCH),
            What::Fault(FaultStatus::NDR),
            What::Fault(FaultStatus::SERVER_TOO_BUSY),
            What::Fault(FaultStatus::CANCEL),
        ],
        BREAK,
    ),
    refused_once(
        answer(
            "fault_access_denied",
            "faults access denied, LOGON_DENIED",
            &[What::Fault(FaultStatus::ACCESS_DENIED), What::Fault(FaultStatus::LOGON_DENIED)],
            BREAK,
        ),
        FIRST_LOGON,
    ),
    answer(
        "fault_security_package",
        "fault SEC_PKG_ERROR",
        &[What::Fault(FaultStatus::SEC_PKG_ERROR)],
        BREAK,
    ),
    answer(
        "bind_nak",
        "bind_nak for reasons 0, 1, 2, 4 and 8",
        &[What::BindNak(0), What::BindNak(1), What::BindNak(2), What::BindNak(4), What::BindNak(8)],
        BREAK,
    ),
    refused_once(
        answer(
            "bind_nak_checksum",
            "bind_nak, invalid checksum: how Windows refuses a logon",
            &[What::BindNak(9)],
            BREAK,
        ),
        BIND,
    ),
    // What the calls return.
    answer("timeout", "ERROR_TIMEOUT", &[What::Status(Status::TIMEOUT)], BREAK),
    answer("not_found", "ERROR_NOT_FOUND", &[What::Status(Status::NOT_FOUND)], BREAK),
    answer("invalid_state", "ERROR_INVALID_STATE", &[What::Status(Status::INVALID_STATE)], BREAK),
    answer(
        "invalid_parameter",
        "ERROR_INVALID_PARAMETER",
        &[What::Status(Status::INVALID_PARAMETER)],
        BREAK,
    ),
    answer(
        "revision_mismatch",
        "ERROR_REVISION_MISMATCH",
        &[What::Status(Status::REVISION_MISMATCH)],
        BREAK,
    ),
    answer(
        "call_not_implemented",
        "ERROR_CALL_NOT_IMPLEMENTED",
        &[What::Status(Status::CALL_NOT_IMPLEMENTED)],
        BREAK,
    ),
    answer(
        "no_room",
        "ERROR_MAX_SESSIONS_REACHED, ERROR_NOT_ENOUGH_MEMORY",
        &[What::Status(Status::MAX_SESSIONS_REACHED), What::Status(Status::NOT_ENOUGH_MEMORY)],
        BREAK,
    ),
    refused_once(
        answer(
            "access_denied",
            "ERROR_ACCESS_DENIED",
            &[What::Status(Status::ACCESS_DENIED)],
            BREAK,
        ),
        LOGON,
    ),
    // What the administrator does.
    happens("client_move", "client move", Happens::ClientMove, 1),
    happens("share_move", "share move", Happens::ShareMove, 1),
    happens("ip_change", "IP change", Happens::IpChange, 1),
    happens(
        "mixed_list",
        "client move to several addresses, some offline or IPv6",
        Happens::MixedList,
        1,
    ),
    happens(
        "useless_list",
        "client move to no address, and to one that is offline",
        Happens::UselessList,
        1,
    ),
    happens(
        "force_unregister",
        "the registration is removed by force",
        Happens::ForceUnregister,
        BREAK,
    ),
    denied(
        happens(
            "password_change",
            "the password changes; the mount has the new one when it asks again",
            Happens::PasswordChange,
            BREAK,
        ),
        NEXT_LOGON,
    ),
    happens("clock_step", "the client's clock leaps by an hour", Happens::ClockStep, BACKOFF),
];
