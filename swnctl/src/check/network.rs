//! The way to the cluster.

use super::{Facts, Row};
use crate::witness::answer::Answer;
use crate::witness::interfaces::differ;

/// Whether the server's name resolves.
pub(super) fn dns(facts: &Facts) -> Row {
    const ID: &str = "name.dns";
    let name = &facts.net_name;
    match &facts.addresses {
        Ok(addresses) if !addresses.is_empty() => {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            Row::ok(ID, format!("{name} is {}", addresses.join(", ")))
        }
        Ok(_) => Row::fail(ID, format!("{name} has no address"), "check DNS or /etc/hosts"),
        Err(error) => {
            Row::fail(ID, format!("{name} cannot be resolved: {error}"), "check DNS or /etc/hosts")
        }
    }
}

/// Whether each address answers on its ports.
pub(super) fn ports(facts: &Facts) -> Vec<Row> {
    let rows = [
        (
            true,
            "node.port445",
            "check that the node is up, and that the firewall lets TCP 445 through",
        ),
        (
            false,
            "node.port135",
            "let TCP 135 and 49152 to 65535 through to each node; on Samba, check samba-dcerpcd",
        ),
    ];
    rows.map(|(is_smb, id, advice)| {
        // The endpoint mapper may be told to be elsewhere than at port 135.
        let asked: Vec<_> = facts.ports.iter().filter(|it| (it.port == 445) == is_smb).collect();
        let port = asked.first().map(|it| it.port).unwrap_or_default();
        let silent = asked.iter().filter_map(|it| {
            let error = it.answers.as_ref().err()?;
            Some(format!("{} does not answer on port {port}: {error}", it.address))
        });
        let silent: Vec<_> = silent.collect();
        match (asked.is_empty(), silent.is_empty()) {
            (true, _) => Row::skip(id, "no address to ask"),
            (false, true) => Row::ok(id, format!("each address answers on port {port}")),
            (false, false) => Row::fail(id, silent.join("; "), advice),
        }
    })
    .into()
}

/// Whether each node has a witness service.
pub(super) fn mapper(facts: &Facts) -> Row {
    const ID: &str = "node.mapper";
    let errors: Vec<_> =
        facts.services.iter().filter_map(|it| it.port.as_ref().err().cloned()).collect();
    match (facts.services.is_empty(), errors.is_empty()) {
        (true, _) => Row::skip(ID, "no address answers on port 135"),
        (false, true) => Row::ok(ID, "each node has a witness service"),
        (false, false) => Row::fail(
            ID,
            errors.join("; "),
            "start it there: on Samba, samba-dcerpcd; on Windows, the cluster service",
        ),
    }
}

/// Whether the port of each witness service answers.
pub(super) fn service_port(facts: &Facts) -> Row {
    const ID: &str = "node.port";
    let known: Vec<_> =
        facts.services.iter().filter_map(|it| Some((it, it.port.as_ref().ok()?))).collect();
    let errors: Vec<_> =
        known.iter().filter_map(|(it, _)| it.answers.as_ref().err().cloned()).collect();
    match (known.is_empty(), errors.is_empty()) {
        (true, _) => Row::skip(ID, "no node names the port of a witness service"),
        (false, true) => {
            let ports: Vec<_> =
                known.iter().map(|(it, port)| format!("{} port {port}", it.address)).collect();
            Row::ok(ID, format!("each answers: {}", ports.join(", ")))
        }
        (false, false) => Row::fail(
            ID,
            errors.join("; "),
            "let TCP 49152 to 65535 through to each node, or the ports that it is configured for",
        ),
    }
}

const NO_CREDENTIALS: &str =
    "no credentials to ask with: give --credentials, --user, --ccache or --keytab";

/// Whether the nodes take the credentials that were given.
pub(super) fn bind(facts: &Facts) -> Row {
    const ID: &str = "auth.bind";
    let Some(lists) = &facts.lists else { return Row::skip(ID, NO_CREDENTIALS) };
    let refused = lists.iter().find(|it| it.refused).and_then(|it| it.error.clone());
    match (refused, lists.iter().any(|it| it.error.is_none())) {
        (Some(error), _) => Row::fail(
            ID,
            error,
            "check the account, or the tickets, at the cluster; no other node was asked",
        ),
        (None, true) => Row::ok(ID, "the nodes take the credentials"),
        (None, false) => Row::skip(ID, "no node answers"),
    }
}

/// Whether the nodes agree on the cluster, and another one can be a witness.
pub(super) fn interfaces(facts: &Facts) -> Row {
    const ID: &str = "node.interfaces";
    let Some(lists) = &facts.lists else { return Row::skip(ID, NO_CREDENTIALS) };
    let listed: Vec<_> = lists.iter().filter(|it| it.error.is_none()).collect();
    let has_witness =
        |it: &Answer| it.interfaces.iter().any(|it| it.may_be_witness && it.state == "available");
    if listed.is_empty() {
        return Row::skip(ID, "no node has told its list");
    }
    if let Some(alone) = listed.iter().find(|it| !has_witness(it)) {
        return Row::fail(
            ID,
            format!("{} lists no other node that can be a witness", alone.asked),
            "a witness is another node: see that one is up, and that its witness service runs",
        );
    }
    match differ(lists) {
        true => Row::warn(
            ID,
            "the nodes list other addresses or states than each other",
            "swnctl interfaces --every-node shows them; a cluster that has settled agrees",
        ),
        false => Row::ok(ID, format!("{} nodes list the same", listed.len())),
    }
}

/// Whether the cluster's administrator can tell this machine from others.
pub(super) fn admin_name(facts: &Facts) -> Row {
    const ID: &str = "admin.name";
    match facts.host_name.as_str() {
        "" | "localhost" | "localhost.localdomain" | "(none)" => Row::warn(
            ID,
            format!("the cluster's administrator sees this machine as {:?}", facts.host_name),
            "set a host name: hostnamectl hostname NAME; swnd reads it at the next registration",
        ),
        name => Row::ok(ID, format!("the cluster's administrator sees this machine as {name}")),
    }
}
