//! The codes of a resource's state: the same in an interface list
//! ([MS-SWN] 2.2.2.3), in a notification (2.2.2.6), and where the kernel is told.

use crate::ResourceState;

impl ResourceState {
    const ALL: [Self; 3] = [Self::Unknown, Self::Available, Self::Unavailable];

    /// Returns the state's code.
    pub fn code(self) -> u8 {
        match self {
            Self::Unknown => 0x00,
            Self::Available => 0x01,
            Self::Unavailable => 0xff,
        }
    }

    /// Returns the state with this code, where there is one.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|state| u32::from(state.code()) == code)
    }

    /// Returns the state as a witness tells it: a code of no meaning is no knowledge.
    pub(super) fn from_wire(code: u32) -> Self {
        Self::from_code(code).unwrap_or(Self::Unknown)
    }
}

impl std::fmt::Display for ResourceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Available => "available",
            Self::Unavailable => "unavailable",
        })
    }
}
