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
        Some(false) => Row::fail(
            ID,
            "this kernel lacks CONFIG_CIFS_SWN_UPCALL",
            "use a kernel that has it; the mount option witness cannot work with this one",
        ),
        None => Row::skip(ID, "neither the module nor a file in /boot says what the kernel has"),
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
