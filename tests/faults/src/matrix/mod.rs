//! The fault matrix: each fault, at each step of a registration's life,
//! against each server, in virtual time. `docs/fault-matrix.md` is made from it.

mod document;
mod rows;
mod run;

pub use document::document;
pub use rows::{ROWS, Row};
pub use run::{Outcome, check};

use witness_sim::Stage;

/// A step of a registration's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Column {
    /// Connects to the endpoint mapper and asks it for the port.
    Mapper,
    /// Connects to the witness service and binds.
    Bind,
    /// Logs on.
    Auth,
    /// Asks for the interface list.
    List,
    /// Registers.
    Register,
    /// Waits for news.
    Waiting,
    /// Unregisters.
    Unregister,
}

impl Column {
    /// All of them, as life goes.
    pub const ALL: [Self; 7] = [
        Self::Mapper,
        Self::Bind,
        Self::Auth,
        Self::List,
        Self::Register,
        Self::Waiting,
        Self::Unregister,
    ];

    /// The name that its tests have.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mapper => "mapper",
            Self::Bind => "bind",
            Self::Auth => "auth",
            Self::List => "list",
            Self::Register => "register",
            Self::Waiting => "waiting",
            Self::Unregister => "unregister",
        }
    }

    /// The nodes at which a client comes through it.
    fn places(self) -> &'static [Place] {
        match self {
            Self::Mapper | Self::Bind | Self::Auth => &[Place::Server, Place::Witness],
            Self::List => &[Place::Server],
            Self::Register | Self::Waiting | Self::Unregister => &[Place::Witness],
        }
    }

    /// The answers that a client gets there, from a server that speaks
    /// version 2 or doesn't.
    fn stages(self, version_2: bool) -> &'static [Stage] {
        match self {
            Self::Mapper => &[Stage::MapperBind, Stage::EptMap],
            Self::Bind => &[Stage::Bind],
            Self::Auth => &[Stage::Auth],
            Self::List => &[Stage::GetInterfaceList],
            Self::Register if version_2 => &[Stage::RegisterEx],
            Self::Register => &[Stage::Register],
            Self::Waiting => &[Stage::AsyncNotify],
            Self::Unregister => &[Stage::UnRegister],
        }
    }

    /// Where it begins with a connection.
    fn connect(self) -> Option<Stage> {
        match self {
            Self::Mapper => Some(Stage::MapperConnect),
            Self::Bind => Some(Stage::Connect),
            _ => None,
        }
    }
}

/// Which node a fault befalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The node that serves the share.
    Server,
    /// The node that becomes the witness, or is it.
    Witness,
}
