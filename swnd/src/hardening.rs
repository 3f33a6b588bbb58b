//! Keeps the process's memory, which holds secrets, from being written to disk.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{CapabilitySet, capabilities};
use std::io;

/// Result of hardening.
#[derive(Debug)]
pub struct Hardening {
    /// No core dumps, and no look into the memory for other processes of the
    /// same user.
    pub not_dumpable: io::Result<()>,
    /// No swapping; `None` where the process may not lock as much as it likes.
    pub locked: Option<io::Result<()>>,
}

/// Hardens the process. Call it before the process holds any secret.
pub fn harden(allow_core_dumps: bool) -> Hardening {
    let not_dumpable = match allow_core_dumps {
        true => Ok(()),
        false => set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(Into::into),
    };
    // Each page when it is first touched. Under a limit, memory would run out
    // at it.
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    lift_limit();
    let locked = may_lock_all().then(|| mlockall(flags).map_err(Into::into));
    Hardening { not_dumpable, locked }
}

/// Lifts the limit on locked memory where the process may exceed it anyway: it goes on
/// without the capability for that.
fn lift_limit() {
    let may_exceed =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
    if may_exceed {
        // Where this fails, the capability is kept.
        let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    }
}

fn may_lock_all() -> bool {
    let unlimited = getrlimit(Resource::Memlock).current.is_none();
    unlimited
        || capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK))
}

impl Hardening {
    /// Says what could not be done; once there is a log.
    pub fn report(&self) {
        if let Err(error) = &self.not_dumpable {
            log::warn!("a core dump may contain passwords: {error}");
        }
        match &self.locked {
            Some(Ok(())) => {}
            Some(Err(error)) => log::warn!("memory with passwords may be swapped: {error}"),
            None => log::debug!(
                "memory with passwords may be swapped: neither CAP_IPC_LOCK nor LimitMEMLOCK=infinity"
            ),
        }
    }
}
