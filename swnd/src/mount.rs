//! A mount, as people name it.

use crate::text::OneLine;
use smol_str::SmolStr;
use std::fmt;
use swnclient::RegistrationRequest;

/// The first number of a mount that swnd adopts. The kernel's numbers are signed integers,
/// from 1.
pub const FIRST_ADOPTED: u32 = 1 << 31;

/// Who asks for a mount to be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountKind {
    /// The kernel, which can be told what the witness says.
    Kernel,
    /// swnd itself.
    Adopted,
}

impl MountKind {
    /// Returns whose a number is.
    pub fn of(id: u32) -> Self {
        if id < FIRST_ADOPTED { Self::Kernel } else { Self::Adopted }
    }
}

/// A mount as people write it, `\\net\share`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mount {
    pub(crate) net_name: SmolStr,
    pub(crate) share_name: Option<SmolStr>,
}

impl Mount {
    /// Returns the server's name as it was mounted.
    pub fn net_name(&self) -> &SmolStr {
        &self.net_name
    }

    /// Returns the share's name.
    pub fn share_name(&self) -> Option<&SmolStr> {
        self.share_name.as_ref()
    }
}

impl From<&RegistrationRequest> for Mount {
    fn from(request: &RegistrationRequest) -> Self {
        Self { net_name: request.net_name.clone(), share_name: request.share_name.clone() }
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r"\\{}", OneLine::new(&self.net_name))?;
        match &self.share_name {
            Some(share) => write!(f, r"\{}", OneLine::new(share)),
            None => Ok(()),
        }
    }
}
