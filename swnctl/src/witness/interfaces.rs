//! `swnctl interfaces`: what a cluster's nodes say of its addresses.

use super::answer::{Answer, Interface};
use super::call::{self, CallFailed};
use super::{addresses, credentials};
use crate::connection::Connection;
use crate::exit::{Exit, print_json};
use crate::mounts;
use crate::options::{Interfaces, Json};
use crate::selection::select;
use crate::show;
use serde_json::json;
use std::io::Write;
use std::path::Path;
use swnclient::{Credentials, ScopedAddr};
use swnclient_proto::wire;
use swnd::control::interface::Registration;

/// How many nodes are asked.
const NODES_MAX: usize = 64;

/// Runs the command.
pub(crate) fn run(
    output: &mut impl Write,
    socket: &Path,
    command: &Interfaces,
    json: Option<Json>,
) -> Result<(), Exit> {
    let Interfaces { cluster, address, every_node, authentication } = command;
    let mut cluster = cluster.clone();
    if is_mount(&cluster) {
        let mut daemon = Connection::open(socket)?;
        let registrations = daemon.status()?.registrations;
        let selected = select(&registrations, &mounts::read(), &[cluster])?;
        if address.is_none() && !every_node && !authentication.is_given() {
            return known(output, &mut daemon, &selected, json);
        }
        cluster = selected.first().map(|it| it.net_name.clone()).unwrap_or_default();
    }
    let cluster = cluster.as_str();
    let candidates = addresses(cluster, *address).map_err(Exit::Failed)?;
    let credentials = credentials::get(authentication).map_err(Exit::Failed)?;
    let answers = ask(cluster, candidates, *every_node, &credentials, authentication.mapper_port);
    match json {
        Some(form) => print_json(output, form, &answers)?,
        None => show::interfaces(output, &answers)?,
    }
    let is_failed = match every_node {
        true => answers.iter().any(|answer| answer.error.is_some()),
        false => answers.iter().all(|answer| answer.error.is_some()),
    };
    if json.is_none() && differ(&answers) {
        writeln!(output, "The lists differ in addresses or states.")?;
    }
    match is_failed || differ(&answers) {
        true => Err(Exit::NotWell),
        false => Ok(()),
    }
}

/// Whether a name is a mount's: its directory, its share, or its registration's number. No
/// host has a name of digits alone.
fn is_mount(name: &str) -> bool {
    name.contains(['/', '\\']) || name.parse::<u32>().is_ok()
}

/// Shows what the daemon was told last. It asks no node, and has no version of theirs.
fn known(
    output: &mut impl Write,
    daemon: &mut Connection,
    selected: &[&Registration],
    json: Option<Json>,
) -> Result<(), Exit> {
    let mut lists = Vec::new();
    for registration in selected {
        lists.push((show::share(registration), daemon.interfaces(registration.id)?));
    }
    match json {
        Some(form) => {
            let described = lists.iter().map(|(_, list)| {
                let versionless = list.iter().map(|it| {
                    json!({
                        "name": it.name, "addresses": it.addresses, "state": it.state,
                        "version": null, "may_be_witness": it.may_be_witness,
                    })
                });
                let interfaces: Vec<_> = versionless.collect();
                json!({ "asked": null, "interfaces": interfaces, "error": null })
            });
            print_json(output, form, &described.collect::<Vec<_>>())?;
        }
        None => show::known_interfaces(output, &lists)?,
    }
    match lists.iter().any(|(_, list)| list.is_empty()) {
        true => Err(Exit::NotWell),
        false => Ok(()),
    }
}

/// Asks the nodes in turn: up to the first that answers, or each.
pub(crate) fn ask(
    cluster: &str,
    mut nodes: Vec<ScopedAddr>,
    every_node: bool,
    credentials: &Credentials,
    mapper_port: u16,
) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut next = 0;
    while let Some(node) = nodes.get(next).copied().filter(|_| next < NODES_MAX) {
        next += 1;
        let (list, error) = match call::interfaces(node, mapper_port, credentials, cluster) {
            Ok(list) => (list, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        for address in list.iter().flat_map(wire::Interface::addresses) {
            // One that is good on one link only is on that of the node that lists it.
            let address = node.beside(address);
            if !nodes.contains(&address) {
                nodes.push(address);
            }
        }
        // What refuses a password counts, and locks the account in the end.
        let refused = matches!(error, Some(CallFailed::Service { .. }));
        let kerberos = match &error {
            Some(CallFailed::Service { error, .. }) => error.kerberos(),
            _ => None,
        };
        let is_last = refused || (error.is_none() && !every_node);
        answers.push(Answer {
            asked: node,
            interfaces: list.into_iter().map(Interface::from).collect(),
            error: error.map(|error| error.to_string()),
            refused,
            kerberos,
        });
        if is_last {
            break;
        }
    }
    answers
}

/// Whether two nodes' lists have other addresses, or the same in another state.
pub(crate) fn differ(answers: &[Answer]) -> bool {
    let lists = answers.iter().filter(|answer| answer.error.is_none());
    let mut lists = lists.map(|answer| {
        let mut list: Vec<_> =
            answer.interfaces.iter().map(|it| (it.addresses.clone(), it.state)).collect();
        list.sort();
        list
    });
    let first = lists.next();
    lists.any(|list| Some(&list) != first.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use swnclient::NtlmCredentials;
    use witness_sim::net::{RunningCluster, unused_subnet};
    use witness_sim::{ClusterConfig, NodeId, Profile};

    /// A port for the endpoint mapper that needs no privilege.
    const MAPPER_PORT: u16 = 13_504;

    #[tokio::test]
    async fn the_next_node_is_asked_after_one_that_is_silent_and_not_after_one_that_refuses() {
        let subnet = unused_subnet();
        let mut config = ClusterConfig::new(Profile::Samba, 2, subnet);
        config.mapper_port = MAPPER_PORT;
        let nodes = [1, 2].map(|n| config.address(NodeId(n)).unwrap());
        let cluster = RunningCluster::start(config).await.unwrap();
        let [a, b, c] = subnet;
        let silent = IpAddr::from([a, b, c, 99]);
        let asked = async |password: &str, every_node| -> Vec<IpAddr> {
            let ntlm = NtlmCredentials::from_password("alice", "EXAMPLE", password);
            let candidates = [silent, nodes[0], nodes[1]].map(ScopedAddr::from).to_vec();
            let ask =
                move || ask("c", candidates, every_node, &Credentials::Ntlm(ntlm), MAPPER_PORT);
            let answers = tokio::task::spawn_blocking(ask).await.unwrap();
            answers.iter().map(|answer| answer.asked.address()).collect()
        };
        assert_eq!(asked("secret", false).await, [silent, nodes[0]]);
        assert_eq!(asked("secret", true).await, [silent, nodes[0], nodes[1]]);
        assert_eq!(asked("wrong", true).await, [silent, nodes[0]]);
        drop(cluster);
    }
}
