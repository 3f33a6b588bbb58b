//! What the cluster makes of the names, the address and the time of this machine.

use super::{Clock, Facts, Row};
use dcerpc_proto::security::kerberos::KerberosErrorKind;

/// By how many seconds clocks may differ: for Kerberos, and before it is worth a word.
const KERBEROS_LIMIT: u64 = 300;
const WORTH_TELLING: u64 = 60;

const NOT_KNOWN: &str = "no registration, and no credentials to try one with";

/// Whether a mount, or the credentials that were given, use Kerberos.
fn uses_kerberos(facts: &Facts) -> bool {
    let sec = facts.mount.as_ref().and_then(|mount| mount.value("sec"));
    sec.is_some_and(|sec| sec.starts_with("krb5"))
}

/// What Kerberos says, where credentials were given.
fn kerberos(facts: &Facts) -> Option<KerberosErrorKind> {
    facts.lists.iter().flatten().find_map(|list| list.kerberos)
}

/// Whether the clocks of this machine and of the cluster agree.
pub(super) fn clock(facts: &Facts) -> Row {
    const ID: &str = "auth.clock";
    const ADVICE: &str =
        "synchronise this machine's clock and the cluster's, for example with chrony";
    let is_refused = facts.reason() == Some("clock_skew")
        || kerberos(facts) == Some(KerberosErrorKind::ClockSkew);
    let furthest = facts.clocks.iter().max_by_key(|clock| clock.ahead.unsigned_abs());
    let found = furthest.map(|Clock { address, ahead }| {
        let which = if *ahead < 0 { "ahead of" } else { "behind" };
        format!("this clock is {} {which} {address}", time(ahead.unsigned_abs()))
    });
    match (is_refused, furthest.map(|clock| clock.ahead.unsigned_abs()), found) {
        (true, _, found) => {
            let found = found.unwrap_or_else(|| "the KDC's clock is another".into());
            Row::fail(ID, format!("Kerberos refuses this machine's time; {found}"), ADVICE)
        }
        (false, Some(KERBEROS_LIMIT..), Some(found)) if uses_kerberos(facts) => {
            Row::fail(ID, found, ADVICE)
        }
        (false, Some(WORTH_TELLING..), Some(found)) => Row::warn(ID, found, ADVICE),
        (false, Some(_), _) => Row::ok(ID, "the clocks agree to a minute"),
        (false, None, _) => Row::skip(ID, "no node tells its time"),
    }
}

fn time(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// Whether the KDC knows the cluster by the name that is mounted.
pub(super) fn service_principal(facts: &Facts) -> Row {
    const ID: &str = "krb.spn";
    let name = format!("cifs/{}", facts.net_name);
    let is_unknown = facts.reason() == Some("unknown_service")
        || kerberos(facts) == Some(KerberosErrorKind::UnknownService);
    match (is_unknown, uses_kerberos(facts), facts.is_registered()) {
        (true, ..) => Row::fail(
            ID,
            format!("the KDC does not know {name}"),
            "register it for the cluster's account (setspn, or net ads setspn add), or mount by \
             a name that is registered",
        ),
        (false, true, true) => Row::ok(ID, format!("the KDC knows {name}")),
        (false, false, _) if facts.mount.is_some() => {
            Row::ok(ID, "not needed: the mount uses NTLM")
        }
        (false, ..) => Row::skip(ID, "no registration with Kerberos that tells"),
    }
}

/// What a witness refuses a registration with: by the daemon's word, or here.
fn is_refused(facts: &Facts, reason: &str, status: &str) -> Option<bool> {
    let by_daemon = facts.reason().map(|found| found == reason);
    let here = facts
        .registered
        .as_ref()
        .map(|registered| registered.as_ref().is_err_and(|error| error.contains(status)));
    let is_well = facts.is_registered() || matches!(facts.registered, Some(Ok(())));
    match (by_daemon, here) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        _ => is_well.then_some(false),
    }
}

/// Whether the cluster goes by the name that is mounted.
pub(super) fn net_name(facts: &Facts) -> Row {
    const ID: &str = "name.cluster";
    let name = &facts.net_name;
    match is_refused(facts, "unknown_net_name", "ERROR_INVALID_PARAMETER") {
        Some(true) => Row::fail(
            ID,
            format!("the cluster does not go by the name {name}"),
            "mount by the cluster's own name: on Samba its netbios name, or an additional dns \
             hostname; on Windows the role's name",
        ),
        Some(false) => Row::ok(ID, format!("the cluster goes by the name {name}")),
        None => Row::skip(ID, NOT_KNOWN),
    }
}

/// Whether the address that serves the mount is one of the cluster's.
pub(super) fn address(facts: &Facts) -> Row {
    const ID: &str = "address.public";
    match is_refused(facts, "unknown_address", "ERROR_INVALID_STATE") {
        Some(true) => Row::fail(
            ID,
            format!("{} is served by an address that is none of the cluster's", facts.net_name),
            "have the name resolve to the cluster's public addresses: on Samba those of \
             public_addresses, not the nodes' own",
        ),
        Some(false) => Row::ok(ID, "the address is one of the cluster's"),
        None => Row::skip(ID, NOT_KNOWN),
    }
}
