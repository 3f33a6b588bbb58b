//! The daemon.

use super::mount::mounted;
use super::{Facts, Row};

/// Whether the daemon runs.
pub(super) fn running(facts: &Facts) -> Row {
    const ID: &str = "daemon.running";
    match &facts.status {
        Ok(status) => Row::ok(ID, format!("swnd runs, PID {}", status.daemon.pid)),
        Err(error) => Row::fail(ID, error.clone(), "systemctl enable --now swnd"),
    }
}

/// Whether the daemon is of this program's version.
pub(super) fn version(facts: &Facts) -> Row {
    const ID: &str = "daemon.version";
    let Ok(status) = &facts.status else { return Row::skip(ID, "swnd does not run") };
    let (daemon, own) = (&status.daemon.version, env!("CARGO_PKG_VERSION"));
    match daemon == own {
        true => Row::ok(ID, format!("swnd and swnctl are {own}")),
        false => Row::warn(
            ID,
            format!("swnd is {daemon}, swnctl {own}"),
            "systemctl restart swnd, which runs what was installed before",
        ),
    }
}

/// Whether another witness daemon runs beside it.
pub(super) fn only(facts: &Facts) -> Row {
    const ID: &str = "daemon.only";
    let Ok(status) = &facts.status else { return Row::skip(ID, "swnd does not run") };
    let others = facts.daemons.iter().filter(|pid| **pid != status.daemon.pid);
    let others: Vec<_> = others.map(ToString::to_string).collect();
    match others.is_empty() {
        true => Row::ok(ID, "no other witness daemon runs"),
        false => Row::fail(
            ID,
            format!("another witness daemon runs, PID {}", others.join(", ")),
            "end it: the kernel speaks to both, and both answer",
        ),
    }
}

/// Whether it would start with its configuration.
pub(super) fn configuration(facts: &Facts) -> Row {
    const ID: &str = "daemon.config";
    match &facts.configuration {
        Ok(()) => Row::ok(ID, "the configuration can be read"),
        Err(problems) => Row::fail(
            ID,
            problems.lines().collect::<Vec<_>>().join("; "),
            "mend the lines named, or swnd does not start again; swnctl config check",
        ),
    }
}

/// Whether it is started with the system.
pub(super) fn boot(facts: &Facts) -> Row {
    const ID: &str = "boot.order";
    match facts.enabled {
        Some(true) => Row::ok(ID, "systemd starts swnd, before remote file systems are mounted"),
        Some(false) => {
            Row::warn(ID, "swnd is not started when this machine starts", "systemctl enable swnd")
        }
        None => Row::skip(ID, "systemd does not run"),
    }
}

/// Whether a mount with Kerberos finds tickets.
pub(super) fn tickets(facts: &Facts) -> Row {
    const ID: &str = "krb.source";
    mounted(facts, ID, |mount| {
        if !mount.value("sec").is_some_and(|sec| sec.starts_with("krb5")) {
            return Row::ok(ID, "not needed: the mount uses NTLM");
        }
        let usable = facts.tickets.iter().find(|tickets| tickets.usable.is_ok());
        match (usable, facts.tickets.is_empty()) {
            (Some(tickets), _) => Row::ok(ID, tickets.source.clone()),
            (None, true) => {
                Row::skip(ID, "swnd.conf names neither ccache nor keytab; swnd takes its default")
            }
            (None, false) => {
                let unusable = facts.tickets.iter().filter_map(|tickets| {
                    let error = tickets.usable.as_ref().err()?;
                    Some(format!("{}: {error}", tickets.source))
                });
                Row::fail(
                    ID,
                    unusable.collect::<Vec<_>>().join("; "),
                    "give swnd a keytab of its own: keytab in swnd.conf",
                )
            }
        }
    })
}
