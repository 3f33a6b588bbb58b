//! The kinds of what an administrator is told, each with the number that the journal's
//! catalog explains it by (`packaging/swnd.catalog`; a test compares them).

use super::Report;
use crate::authentication::Unusable;
use crate::failover::Line;
use crate::kernel::absence::Absence;
use rustix::io::Errno;
use swnclient::{Awaited, Call, Error, KerberosErrorKind};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal, $id:literal;)*) => {
        /// A kind of line in the log. Its name and its number never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Returns its name: what has happened, and behind a dot how or why.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// Returns its `MESSAGE_ID`, 128 random bits in hexadecimal.
            pub fn message_id(self) -> &'static str {
                match self {
                    $(Self::$kind => $id,)*
                }
            }
        }
    };
}

kinds! {
    /// swnd has started.
    Started = "started", "31adef89b7ae415bb1a9d2b90a5b266b";
    /// The kernel's family is there.
    Listening = "listening", "01128740337e449e9ae4f6d6170cc0f6";
    /// The cifs module is not loaded.
    ModuleMissing = "absent.module", "8c99a59e01eb4875816926b5c87de98e";
    /// The kernel asks for no witness.
    OptionMissing = "absent.option", "8c0143244cc94724b63ed2319fbed557";
    /// The kernel speaks to another network namespace.
    WrongNamespace = "absent.namespace", "b0850a6777ce44d78f1c1021aa527677";
    /// The kernel's connections can't be seen.
    NoSight = "no_sight", "ed763eb1d28246acae0b9867ab944832";
    /// A mount wants a witness.
    Asked = "asked", "33acbf4a5e3b4b349f721e34847401cb";
    /// The kernel asked again for what is under way.
    AskedAgain = "asked_again", "49e77278d89e43e9b70b6b5a38dc4714";
    /// The mount is served by another node than before.
    AddressChanged = "address_changed", "af2a62d1b76c49f8beb3c84a3429e551";
    /// A witness accepted the registration.
    Registered = "registered", "78fa7d96cfb748159deadf9f3a5d3a2d";
    /// The mount names an address and no cluster.
    NetNameIsAddress = "failed.net_name_is_address", "3ec6be23e7b14b1993f24cca8ee519b3";
    /// The cluster's name has no address.
    Unresolved = "failed.unresolved", "7178c7b3e4914179822158531af09bb1";
    /// A server can't be connected to.
    Unreachable = "failed.unreachable", "d152a215d7e0401fa92243f02a7d1d9c";
    /// There are too many open files.
    NoDescriptor = "failed.no_descriptor", "207e960b6f5e4fe8a3c46035d9c5ad1b";
    /// A server does not answer, or the connection to it was lost.
    NoAnswer = "failed.no_answer", "b9cda924f5ca47c1be18707675e36162";
    /// A server offers no witness service.
    NoService = "failed.no_service", "e90beb74d0804c0f8940e20a56c86e3f";
    /// A server's policy keeps clients from its endpoint mapper.
    MapperPolicy = "failed.mapper_policy", "6523e2fe99ea41bf84dea747d519345d";
    /// A server refused the credentials.
    CredentialsRefused = "failed.credentials_refused", "c44eba69758c49d68b3a321b3d2a8ff8";
    /// The clocks differ too much for Kerberos.
    ClockSkew = "failed.clock_skew", "3223a5a171af453f8e7d7cb0e1482ed4";
    /// The KDC does not know the cluster.
    UnknownService = "failed.unknown_service", "5a1e514578144e2594afe13784df9572";
    /// Kerberos has no ticket to offer.
    Kerberos = "failed.kerberos", "c9645fe5106a45168ad5217dc9952247";
    /// A server refused the ticket.
    TicketRefused = "failed.ticket_refused", "3cb0037b23364763886ab8574cfb5ad5";
    /// No other node can be the witness.
    NoWitness = "failed.no_witness", "1ad4e4efa2494e3ca7e2bccb6886e044";
    /// The cluster goes by another name.
    UnknownNetName = "failed.unknown_net_name", "f6e31a32d61b48d396fac875f682b956";
    /// The address is none of the cluster's public ones.
    UnknownAddress = "failed.unknown_address", "3e2e0460fc824879af94b3cf2c7affd0";
    /// A server can't sign the headers of its messages.
    NoHeaderSigning = "failed.no_header_signing", "fc7dd070ee1d4e51af0ace5b09ba15c1";
    /// A server refused a call.
    Refused = "failed.refused", "1eac872db098432dadaeaac1d95d370f";
    /// A server broke the protocol.
    BrokenProtocol = "failed.protocol", "778825986b854deeafcaabfe702c2631";
    /// The system has no random numbers.
    NoRandom = "failed.no_random", "117058a09cf247d1af1f975968f98bc2";
    /// The mount's credentials are of no use.
    Unusable = "unusable", "65b7598bbde9431db4dbdb5ee3d914fb";
    /// The file with the credentials of a mount that is adopted can't be used.
    AccountUnusable = "unusable.account", "d5e3392157ce423a8616b3ed9b650829";
    /// A notification came, and the failover looks what it means.
    Told = "told", "5037f545a91c44f482ae5abef73ad51b";
    /// A notification came, and nothing follows from it.
    Ignored = "ignored", "a349702441544b01a99cbbbc35535a5a";
    /// The kernel accepted a notification.
    Accepted = "notified", "43a674a450f140458c15b1372c43ba49";
    /// The kernel does not know the mount of a notification.
    MountUnknown = "notified.mount_unknown", "9cc15e5cde774230843bf1ef4d2725c3";
    /// The kernel refused a notification.
    KernelRefused = "notified.refused", "5dda881afaff44dfa0a80673c89a5491";
    /// A notification could not be given to the kernel.
    NotNotified = "not_notified", "86bced11b21e43cb86e5f06d4b530be4";
    /// A notification came for a registration that has ended.
    Late = "late", "303ab119c6564078b93ccaab4fd9713a";
    /// The kernel needed no help.
    FailoverUnneeded = "failover.unneeded", "0fddd5046f4847328494668db213b6ff";
    /// A dead connection of the kernel was ended.
    ConnectionEnded = "failover.connection_ended", "9a019f39098c41d6aa471c63049b28f2";
    /// The kernel has a connection again.
    FailedOver = "failover.done", "46de0fbc58c744229c4fd6590ad4f1f3";
    /// The kernel is moved to another address.
    Moving = "failover.moving", "ff40acb213a9419cb5e710f352f39600";
    /// The kernel does not stay where it is moved to.
    MoveFailed = "failover.move_failed", "3526decf838f42cab7b30b5a59c501e4";
    /// The target of an ordered move does not answer.
    TargetSilent = "failover.target_silent", "8f2d667e4c21444094098fbe2a6995e2";
    /// A mount that is adopted can't be moved there.
    NotByName = "failover.not_by_name", "d72585c73c2d4d638c8f2e90eb53c778";
    /// Nothing can be done for a mount that is adopted.
    Powerless = "failover.powerless", "dd64d62d8f47442ab35c815529bf9ad9";
    /// swnd looks at a mount's connection itself.
    Watching = "failover.watching", "199094c2241444cc8a0656ac013a06d9";
    /// A share is mounted by two addresses, which the kernel asks for as one.
    Shared = "failover.shared", "da1916a33b63960f88a0b6f666e1a3f9";
    /// The kernel would move another mount of the share than the one that is meant.
    NotMoved = "failover.not_moved", "0d96cd1ce406774bee1d911138f0b5a8";
    /// The kernel was given the plain notification.
    KernelTold = "failover.told", "f1b0a7f0451740658fb071e73c31ff83";
    /// No server was found.
    GaveUp = "failover.gave_up", "073de57e4bca4f7ea2dcbc17eba3c4e8";
    /// The kernel's connection can't be seen.
    Hidden = "failover.hidden", "1df83cfedd8b4fe193b1f36480215aa9";
    /// A server can't be asked whether it lives.
    NotAsked = "failover.not-asked", "da933280fd9e46d8b56b233bd0f73ef9";
    /// A connection is dead, and its witness has not said so.
    Unsaid = "failover.unsaid", "7305d616e6352210a64dde6378c78a6d";
    /// The connection to a server beside the kernel's has ended.
    ServerLost = "failover.server_lost", "3f2ec281f0054e7fb4b77d4536560a99";
    /// The kernel wants no witness any more.
    Released = "released", "4231ed6864b34143986e3443833ca5c3";
    /// A mount that is adopted is gone.
    Unmounted = "unmounted", "1305f3969b8c4242aa0c8fb64152b9bb";
    /// A mount that is adopted has other credentials.
    Renewed = "renewed", "e13ef37125d148c2910962248bc70fea";
    /// A registration has ended.
    Unregistered = "unregistered", "d979e5177ca746f5a3dd59e280d9fecf";
    /// The kernel unregisters what is not registered.
    UnknownUnregistered = "unknown_unregistered", "6612fdb5e0cb4b4bb21a7c77f139261a";
    /// Messages of the kernel were lost.
    Overrun = "overrun", "9f5f8b4f7d114eee9b67cc6bbebdccd6";
    /// A message of the kernel cannot be used.
    Undecodable = "undecodable", "156c75d6f06d4bc781e69311f50f1ff9";
    /// Another process sent something.
    Foreign = "foreign", "af9d7040b11a44e2b7724b4aa8f24490";
    /// The configuration was read again.
    Reloaded = "reloaded", "dbbe8decbb8a4befbbd06bbe1760b9e0";
    /// The configuration is wrong and was not read again.
    NotReloaded = "not_reloaded", "9ac4ea87e9784e4b98446bdbb1f14857";
    /// There is no control socket.
    NoControlSocket = "no_control_socket", "996d373a89fc40e29f54e7cc368056d4";
    /// Lines of the log found no room.
    LinesDropped = "lines_dropped", "a3adae108e1b4780b45b43dafe2edd86";
}

/// `ERROR_INVALID_PARAMETER` and `ERROR_INVALID_STATE`, as a witness refuses a name and an
/// address.
const UNKNOWN_NET_NAME: u32 = 87;
const UNKNOWN_ADDRESS: u32 = 5023;

impl Kind {
    /// Returns what has happened, without how or why.
    pub fn event(self) -> &'static str {
        self.parts().0
    }

    /// Returns how or why.
    pub fn reason(self) -> Option<&'static str> {
        self.parts().1
    }

    /// Whether an attempt to register failed.
    pub fn is_failure(self) -> bool {
        self.event() == "failed"
    }

    fn parts(self) -> (&'static str, Option<&'static str>) {
        let name = self.name();
        name.split_once('.').map_or((name, None), |(event, reason)| (event, Some(reason)))
    }
}

impl From<&Report> for Kind {
    fn from(report: &Report) -> Self {
        match report {
            Report::Listening => Self::Listening,
            Report::Absent(Absence::Module) => Self::ModuleMissing,
            Report::Absent(Absence::Option) => Self::OptionMissing,
            Report::Absent(Absence::Namespace) => Self::WrongNamespace,
            Report::Asked { .. } => Self::Asked,
            Report::AskedAgain { .. } => Self::AskedAgain,
            Report::AddressChanged { .. } => Self::AddressChanged,
            Report::Registered { .. } => Self::Registered,
            Report::Failed { error, .. } => error.into(),
            Report::Unusable { reason, .. } => reason.into(),
            Report::Notified { answer: Ok(()), .. } => Self::Accepted,
            Report::Notified { answer: Err(Errno::INVAL | Errno::NODEV), .. } => Self::MountUnknown,
            Report::Notified { answer: Err(_), .. } => Self::KernelRefused,
            Report::NotNotified { .. } => Self::NotNotified,
            Report::Told { .. } => Self::Told,
            Report::Ignored { .. } => Self::Ignored,
            Report::Failover { line, .. } => line.into(),
            Report::Late { .. } => Self::Late,
            Report::Released { .. } => Self::Released,
            Report::Unmounted { .. } => Self::Unmounted,
            Report::Renewed { .. } => Self::Renewed,
            Report::Unregistered { .. } => Self::Unregistered,
            Report::UnknownUnregistered { .. } => Self::UnknownUnregistered,
            Report::Overrun => Self::Overrun,
            Report::Undecodable { .. } => Self::Undecodable,
            Report::Foreign { .. } => Self::Foreign,
        }
    }
}

impl From<&Error> for Kind {
    fn from(error: &Error) -> Self {
        match error {
            Error::NetNameIsAddress(_) => Self::NetNameIsAddress,
            Error::Resolve { .. } => Self::Unresolved,
            Error::Connect { .. }
            | Error::Timeout {
                awaited: Awaited::MapperConnection | Awaited::WitnessConnection,
                ..
            } => Self::Unreachable,
            Error::NoDescriptor { .. } => Self::NoDescriptor,
            Error::Lost { .. } | Error::Timeout { .. } => Self::NoAnswer,
            Error::NoService { .. } => Self::NoService,
            Error::AccessDenied { .. } => Self::CredentialsRefused,
            Error::MapperAccessDenied { .. } => Self::MapperPolicy,
            Error::NoRandom => Self::NoRandom,
            Error::Kerberos(error) => match error.kind() {
                KerberosErrorKind::ClockSkew => Self::ClockSkew,
                KerberosErrorKind::UnknownService => Self::UnknownService,
                _ => Self::Kerberos,
            },
            Error::KerberosTimeout { .. } => Self::Kerberos,
            Error::TicketRefused { .. } => Self::TicketRefused,
            error if error.is_lack_of_header_signing() => Self::NoHeaderSigning,
            Error::NoWitness => Self::NoWitness,
            Error::Refused { call: Call::Register, status, .. } => match status.0 {
                UNKNOWN_NET_NAME => Self::UnknownNetName,
                UNKNOWN_ADDRESS => Self::UnknownAddress,
                _ => Self::Refused,
            },
            Error::Fault { call: Call::Map, status, .. } if status.is_access_denied() => {
                Self::MapperPolicy
            }
            Error::Refused { .. } | Error::Fault { .. } => Self::Refused,
            // What else there is, and may be.
            _ => Self::BrokenProtocol,
        }
    }
}

impl From<&Unusable> for Kind {
    fn from(reason: &Unusable) -> Self {
        match reason {
            Unusable::Account(_) => Self::AccountUnusable,
            _ => Self::Unusable,
        }
    }
}

impl From<&Line> for Kind {
    fn from(line: &Line) -> Self {
        match line {
            Line::ReconnectedByItself
            | Line::Reconnecting
            | Line::GoesOn
            | Line::AlreadyAt { .. }
            | Line::ServedBy { after: None, .. } => Self::FailoverUnneeded,
            Line::EndedDead { .. } => Self::ConnectionEnded,
            Line::Reconnected { .. } | Line::ServedBy { .. } => Self::FailedOver,
            Line::Steering { .. } | Line::MoveAgain => Self::Moving,
            Line::MoveFailed => Self::MoveFailed,
            Line::TargetSilent { .. } => Self::TargetSilent,
            Line::NotByName { .. } => Self::NotByName,
            Line::Powerless => Self::Powerless,
            Line::Watching { .. } => Self::Watching,
            Line::Shared { .. } => Self::Shared,
            Line::SharedNumber { .. } => Self::NotMoved,
            Line::Told => Self::KernelTold,
            Line::GaveUp => Self::GaveUp,
            Line::Hidden => Self::Hidden,
            Line::NotAsked { .. } => Self::NotAsked,
            Line::Unsaid { .. } => Self::Unsaid,
            Line::ServerLost { .. } => Self::ServerLost,
        }
    }
}
