//! What the kernel can do.

use super::{Facts, Row};

/// Whether the cifs module is loaded.
pub(super) fn module(facts: &Facts) -> Row {
    const ID: &str = "kernel.module";
    match facts.debug_data {
        Some(_) => Row::ok(ID, "the cifs module is loaded"),
        None => Row::warn(
            ID,
            "the cifs module is not loaded",
            "nothing, where nothing is mounted yet: the first cifs mount loads it",
        ),
    }
}

/// Whether the module knows the option `witness`.
pub(super) fn witness(facts: &Facts) -> Row {
    const ID: &str = "kernel.witness";
    let features = facts.debug_data.iter().flat_map(|text| text.lines());
    let listed = features
        .filter_map(|line| line.strip_prefix("Features: "))
        .map(|features| features.split(',').any(|feature| feature.trim() == "WITNESS"))
        .next();
    match listed.or_else(|| is_set(facts, "CONFIG_CIFS_SWN_UPCALL")) {
        Some(true) => Row::ok(ID, "this kernel has CONFIG_CIFS_SWN_UPCALL"),
        Some(false) if facts.is_adopted() => {
            Row::ok(ID, "this kernel lacks CONFIG_CIFS_SWN_UPCALL, and swnd has adopted the mount")
        }
        Some(false) => Row::fail(
            ID,
            "this kernel lacks CONFIG_CIFS_SWN_UPCALL",
            "let swnd adopt the mount, see swnd.conf(5), or use a kernel that has it; the mount \
             option witness cannot work with this one",
        ),
        None => Row::skip(ID, "neither the module nor a file in /boot says what the kernel has"),
    }
}

/// Whether the kernel offers the module's messages where swnd runs.
pub(super) fn group(facts: &Facts) -> Row {
    const ID: &str = "kernel.group";
    match (&facts.status, &facts.debug_data) {
        (Ok(status), _) if status.daemon.cifs => Row::ok(ID, "swnd hears the cifs module"),
        (Ok(_), _) if facts.is_adopted() => {
            Row::ok(ID, "swnd has adopted the mount, which takes no word of the cifs module")
        }
        (Ok(_), Some(_)) => Row::fail(
            ID,
            "the cifs module is loaded, and swnd does not hear it",
            "see kernel.witness and kernel.netns: one of them is why",
        ),
        (Ok(_), None) => Row::skip(ID, "the cifs module is not loaded"),
        (Err(_), _) => Row::skip(ID, "swnd does not run"),
    }
}

/// Whether other users are kept from the module's messages.
pub(super) fn guarded(facts: &Facts) -> Row {
    const ID: &str = "kernel.guarded";
    match facts.guarded {
        Some(true) => Row::ok(ID, "the module's messages need CAP_NET_ADMIN"),
        Some(false) => Row::warn(
            ID,
            "each user of this machine can read the passwords of mounts with witness",
            "update the kernel: 6.1.176, 6.12.92 and later need CAP_NET_ADMIN for them",
        ),
        None => Row::skip(ID, "the kernel has no family cifs now"),
    }
}

/// Whether swnd runs where the kernel speaks to it.
pub(super) fn namespace(facts: &Facts) -> Row {
    const ID: &str = "kernel.netns";
    match (facts.same_namespace, &facts.status) {
        (Some(true), _) => Row::ok(ID, "swnd runs in the machine's own network namespace"),
        (Some(false), _) => Row::fail(
            ID,
            "swnd runs in another network namespace",
            "start swnd in the machine's own, not in a container; the kernel speaks to no other",
        ),
        (None, Ok(_)) => Row::skip(ID, "only root can see which network namespace swnd runs in"),
        (None, Err(_)) => Row::skip(ID, "swnd does not run"),
    }
}

/// Whether swnd can end the kernel's dead connections.
pub(super) fn diag(facts: &Facts) -> Row {
    const ID: &str = "kernel.diag";
    match is_set(facts, "CONFIG_INET_DIAG_DESTROY") {
        Some(true) => Row::ok(ID, "this kernel has CONFIG_INET_DIAG_DESTROY"),
        Some(false) => Row::warn(
            ID,
            "this kernel lacks CONFIG_INET_DIAG_DESTROY",
            "use a kernel that has it, or live with failovers that take up to 7 s",
        ),
        None => Row::skip(ID, "no file in /boot says what the kernel has"),
    }
}

/// `None`: not known.
fn is_set(facts: &Facts, option: &str) -> Option<bool> {
    let config = facts.kernel_config.as_ref()?;
    let value = config.lines().find_map(|line| line.strip_prefix(option)?.strip_prefix('='));
    Some(matches!(value, Some("y" | "m")))
}
