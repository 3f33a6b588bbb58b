//! The messages of the witness interface ([MS-SWN] 2.2 and 3.1.4): an
//! [`Operation`](dcerpc_proto::Operation) for each of its calls. Both directions
//! are here, so that a server for tests needs no codec of its own.

mod interfaces;
mod notify;
mod register;
mod state;
mod status;

pub use interfaces::{GetInterfaceList, Interface, InterfaceFlags, encode_interface_list};
pub use notify::{AddressFlags, AddressInfo, AsyncNotify, NotifyMessages, encode_notify_response};
pub use register::{Register, RegisterEx, UnRegister, encode_register_response, encode_status};
pub use status::Status;

use dcerpc_proto::pdu::SyntaxId;
use uuid::uuid;

/// The witness interface ([MS-SWN] 1.9), version 1.1.
pub const INTERFACE: SyntaxId =
    SyntaxId { uuid: uuid!("ccd8c074-d0e5-4a40-92b4-d074faa6ba28"), major: 1, minor: 1 };

/// The version of the witness protocol that a registration speaks
/// ([MS-SWN] 2.2.2.2 Version).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// 0x00010001: Register, no keep-alive, no share notification.
    V1,
    /// 0x00020000: RegisterEx.
    V2,
}

impl Version {
    /// The number on the wire.
    pub fn to_wire(self) -> u32 {
        match self {
            Self::V1 => 0x0001_0001,
            Self::V2 => 0x0002_0000,
        }
    }

    /// The number that people use, 1 or 2.
    pub fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }
}
