//! What this machine is called.

use smol_str::SmolStr;

/// Returns the host's name.
pub(crate) fn name() -> SmolStr {
    rustix::system::uname().nodename().to_string_lossy().into()
}
