//! The mount, and what the server says of the share.

use super::{Facts, Row};
use crate::mounts::{self, CifsMount};
use std::net::IpAddr;
use swnd::control::interface::State;

/// The kernel's default of the option echo_interval, in seconds.
const ECHO_DEFAULT: u32 = 60;
const NOT_MOUNTED: &str = "the share is not mounted";

/// Calls `look` with the mount.
pub(super) fn mounted(
    facts: &Facts,
    id: &'static str,
    look: impl FnOnce(&CifsMount) -> Row,
) -> Row {
    facts.mount.as_ref().map_or_else(|| Row::skip(id, NOT_MOUNTED), look)
}

/// Whether it is mounted with `witness`.
pub(super) fn option(facts: &Facts) -> Row {
    const ID: &str = "mount.option";
    mounted(facts, ID, |mount| match (mount.has("witness"), facts.is_adopted()) {
        (true, _) => Row::ok(ID, "mounted with witness: the kernel asks for one"),
        (false, true) => Row::ok(ID, "mounted without witness, and adopted by swnd"),
        (false, false) => Row::fail(
            ID,
            "mounted without the option witness, and not adopted by swnd",
            "let swnd adopt it, see swnd.conf(5), or mount it again with -o witness, where the \
             kernel can; a remount does not add it",
        ),
    })
}

/// Whether its dialect has a witness.
pub(super) fn dialect(facts: &Facts) -> Row {
    const ID: &str = "mount.dialect";
    mounted(facts, ID, |mount| match mount.value("vers") {
        Some(dialect) if dialect.starts_with('3') => Row::ok(ID, format!("SMB {dialect}")),
        Some(dialect) => Row::fail(
            ID,
            format!("SMB {dialect} has no witness"),
            "mount with vers=3.1.1; a witness needs SMB 3.0 or later",
        ),
        None => Row::skip(ID, "the mount does not say its dialect"),
    })
}

/// Whether it is mounted by name.
pub(super) fn name(facts: &Facts) -> Row {
    const ID: &str = "mount.name";
    let name = &facts.net_name;
    let bare = name.trim_matches(['[', ']']);
    // Of an address of a link, with its interface.
    let bare = bare.split_once('%').map_or(bare, |(address, _)| address);
    match bare.parse::<IpAddr>() {
        Ok(_) => Row::fail(
            ID,
            format!("the server's name is the address {name}"),
            "mount by the cluster's name; no witness registers an address",
        ),
        Err(_) => Row::ok(ID, format!("the server's name is {name}")),
    }
}

/// Whether swnd can authenticate as the mount does.
pub(super) fn credentials(facts: &Facts) -> Row {
    const ID: &str = "mount.credentials";
    if facts.is_adopted() {
        return Row::ok(ID, "adopted: swnd has credentials of its own for it");
    }
    mounted(facts, ID, |mount| match (mount.value("sec"), mount.value("username")) {
        (Some(sec), _) if sec.starts_with("krb5") => Row::ok(ID, "Kerberos"),
        (sec, Some(user)) if sec != Some("none") && !user.is_empty() => {
            Row::ok(ID, format!("user {user}"))
        }
        _ => Row::fail(
            ID,
            "the mount has no user name and no Kerberos",
            "mount with username=, or with sec=krb5",
        ),
    })
}

/// How soon the daemon hears of the mount again, after a restart of its own.
pub(super) fn echo(facts: &Facts) -> Row {
    const ID: &str = "mount.echo";
    if facts.is_adopted() {
        return Row::ok(ID, "adopted: after a restart swnd finds it at once");
    }
    mounted(facts, ID, |mount| {
        let seconds = mount.value("echo_interval").and_then(|value| value.parse::<u32>().ok());
        match seconds.unwrap_or(ECHO_DEFAULT) {
            seconds if seconds <= ECHO_DEFAULT => Row::ok(ID, format!("an echo each {seconds} s")),
            seconds => Row::warn(
                ID,
                format!(
                    "an echo each {seconds} s: after a restart of swnd the mount may be without a \
                     witness for twice as long"
                ),
                "mount with echo_interval=60 or less",
            ),
        }
    })
}

/// Whether programs wait for a failover.
pub(super) fn hard(facts: &Facts) -> Row {
    const ID: &str = "mount.hard";
    mounted(facts, ID, |mount| match mount.has("hard") {
        true => Row::ok(ID, "mounted hard: programs wait for a failover"),
        false => Row::warn(
            ID,
            "mounted soft: programs get errors, and writes may be lost, in a failover",
            "mount with -o hard",
        ),
    })
}

/// Whether each node serves the share; `None`: the kernel does not say.
pub(super) fn is_scale_out(facts: &Facts) -> Option<bool> {
    capabilities(facts).map(|listed| listed.contains("SCALEOUT"))
}

/// What the kernel has been told the share can do.
fn capabilities(facts: &Facts) -> Option<&str> {
    let unc = format!(r"\\{}\{} Mounts: ", facts.net_name, facts.share_name).to_lowercase();
    let mut lines = facts.debug_data.as_ref()?.lines();
    lines.find(|line| line.to_lowercase().contains(&unc))?;
    // Up to the next share or server.
    lines
        .take_while(|line| !line.contains(" Mounts: ") && !line.contains("ConnectionId: "))
        .find_map(|line| line.trim_start().strip_prefix("Share Capabilities:"))
}

fn share(facts: &Facts, id: &'static str, flag: &str, missing: impl FnOnce() -> Row) -> Row {
    match capabilities(facts) {
        Some(listed) if listed.contains(flag) => Row::ok(id, format!("the share has {flag}")),
        Some(_) => missing(),
        None => Row::skip(id, "/proc/fs/cifs/DebugData does not list the share"),
    }
}

/// Whether the server marks the share as clustered.
pub(super) fn cluster(facts: &Facts) -> Row {
    const ID: &str = "share.cluster";
    share(facts, ID, "CLUSTER", || {
        Row::fail(
            ID,
            "the server does not mark the share as clustered (CLUSTER)",
            "export it from a cluster; the kernel refuses witness for this share",
        )
    })
}

/// Whether open files survive a failover.
pub(super) fn available(facts: &Facts) -> Row {
    const ID: &str = "share.ca";
    share(facts, ID, "CONTINUOUS AVAILABILITY", || {
        Row::warn(
            ID,
            "the share is not continuously available",
            "make it so on the server, where open files must survive a failover",
        )
    })
}

/// Which nodes serve the share.
pub(super) fn scale_out(facts: &Facts) -> Row {
    const ID: &str = "share.scaleout";
    match is_scale_out(facts) {
        Some(true) => Row::ok(ID, "scale-out: each node serves the share"),
        Some(false) => Row::ok(ID, "not scale-out: one node at a time serves the share"),
        None => Row::skip(ID, "/proc/fs/cifs/DebugData does not list the share"),
    }
}

/// Whether the kernel takes notifications for the mount.
pub(super) fn kernel(facts: &Facts) -> Row {
    const ID: &str = "test.kernel";
    if facts.is_adopted() {
        return Row::ok(ID, "adopted: swnd needs the kernel for no notification");
    }
    mounted(facts, ID, |_| match (&facts.kernel, &facts.status) {
        (Some(Ok(took)), _) => Row::ok(
            ID,
            format!("the kernel took a harmless notification in {} µs", took.as_micros()),
        ),
        (Some(Err(error)), _) => Row::fail(
            ID,
            error.clone(),
            "unmount and mount again; where it goes on, the kernel's log (dmesg) may say why",
        ),
        (None, Err(_)) => Row::skip(ID, "swnd does not run"),
        (None, Ok(_)) => Row::skip(ID, "only root may try, and a mount that swnd knows"),
    })
}

/// Whether the daemon has registered the mount.
pub(super) fn registration(facts: &Facts) -> Row {
    const ID: &str = "mount.registration";
    let Ok(status) = &facts.status else { return Row::skip(ID, "swnd does not run") };
    mounted(facts, ID, |mount| {
        let found: Vec<_> = status
            .registrations
            .iter()
            .filter(|registration| mounts::is_of(mount, registration))
            .collect();
        if found.is_empty() {
            return Row::fail(
                ID,
                "the kernel has not asked swnd for a witness",
                "wait for two echo intervals (60 s each), and check the rows above",
            );
        }
        if found.iter().all(|registration| registration.state == State::Connection) {
            return Row::ok(ID, "swnd watches the kernel's connection, as its configuration says");
        }
        match found.iter().find(|registration| !registration.state.is_watched()) {
            None => Row::ok(ID, "a witness watches the mount"),
            Some(registration) => Row::fail(
                ID,
                registration.problem.clone().unwrap_or_else(|| "not registered yet".into()),
                "swnctl retry, once the reason is gone",
            ),
        }
    })
}
