//! What swnd may do: the least that its work takes, however it was started.

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};
use std::io;

/// Gives up every capability but `CAP_NET_ADMIN`, and new ones by programs. To be called
/// before the first thread is started, since each thread has its own.
///
/// `CAP_IPC_LOCK` stays where memory is locked beyond a limit, or memory would run out
/// at it.
pub fn reduce() -> io::Result<()> {
    let before = capabilities(None)?;
    let unlimited = getrlimit(Resource::Memlock).current.is_none();
    let needed = match unlimited {
        true => CapabilitySet::NET_ADMIN,
        false => CapabilitySet::NET_ADMIN | CapabilitySet::IPC_LOCK,
    };
    let kept = before.permitted & needed;
    if before.permitted == kept && before.effective == kept {
        // So it is under its systemd unit, which denies the call that gives them up. What is
        // inheritable besides counts for new programs, and these get none.
        return Ok(set_no_new_privs(true)?);
    }
    if before.effective.contains(CapabilitySet::SETPCAP) {
        for number in 0..u64::BITS {
            let capability = CapabilitySet::from_bits_retain(1 << number);
            if kept.contains(capability) {
                continue;
            }
            match remove_capability_from_bounding_set(capability) {
                // The kernel has no more.
                Err(Errno::INVAL) => break,
                result => result?,
            }
        }
    }
    set_capabilities(
        None,
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() },
    )?;
    set_no_new_privs(true)?;
    Ok(())
}
