//! From credentials to a security context.

use crate::{Config, Credentials};
use dcerpc_proto::security::SecurityContext;
use dcerpc_proto::security::kerberos::KerberosContext;
use dcerpc_proto::security::ntlm::NtlmContext;
use dcerpc_proto::security::spnego::SpnegoContext;
use smol_str::{SmolStr, StrExt, format_smolstr};

/// A context that logs on at the service `cifs` of a server that is known by
/// these names ([MS-SWN] 3.2.4), the last of which is the net name.
pub(super) fn security_context(
    credentials: &Credentials,
    hosts: Vec<SmolStr>,
    config: &Config,
) -> Box<dyn SecurityContext> {
    let principal = hosts.last().map(|host| format!("cifs/{host}"));
    let ntlm = |ntlm| Box::new(NtlmContext::new(ntlm, principal.as_deref(), &config.client_name));
    let kerberos = |kerberos| Box::new(KerberosContext::new(kerberos, hosts, config.auth_level));
    match credentials {
        Credentials::Ntlm(it) if config.spnego => {
            Box::new(SpnegoContext::new(vec![ntlm(it.clone())]))
        }
        Credentials::Ntlm(it) => ntlm(it.clone()),
        Credentials::Kerberos(it) if config.spnego => {
            Box::new(SpnegoContext::new(vec![kerberos(it.clone())]))
        }
        Credentials::Kerberos(it) => kerberos(it.clone()),
        Credentials::Negotiate(first, second) => {
            Box::new(SpnegoContext::new(vec![kerberos(first.clone()), ntlm(second.clone())]))
        }
    }
}

/// The names under which a server's service principal may be registered, the
/// likeliest first and the net name last: the name that an interface list has
/// for the node, with the net name's domain where it has none of its own. In
/// lower case, as cifs.upcall(8) has them and KDCs that tell cases apart know
/// them.
pub(super) fn service_hosts(net_name: &str, group_name: Option<&str>) -> Vec<SmolStr> {
    let net_name = net_name.to_lowercase_smolstr();
    let mut hosts = Vec::new();
    if let Some(group_name) = group_name.filter(|name| !name.is_empty()) {
        let group_name = group_name.to_lowercase_smolstr();
        if let (false, Some((_, domain))) = (group_name.contains('.'), net_name.split_once('.')) {
            hosts.push(format_smolstr!("{group_name}.{domain}"));
        }
        hosts.push(group_name);
    }
    hosts.retain(|host| *host != net_name);
    hosts.push(net_name);
    hosts
}

#[cfg(test)]
mod tests {
    use super::service_hosts;

    #[test]
    fn a_node_is_asked_for_by_its_own_name_and_then_by_the_clusters() {
        for (net_name, group_name, expected) in [
            ("CLUSTER", None, &["cluster"][..]),
            ("cluster.work.example", None, &["cluster.work.example"]),
            ("cluster", Some("NODE2"), &["node2", "cluster"]),
            (
                "cluster.work.example",
                Some("NODE2"),
                &["node2.work.example", "node2", "cluster.work.example"],
            ),
            (
                "cluster.work.example",
                Some("node2.other.example"),
                &["node2.other.example", "cluster.work.example"],
            ),
            // Samba gives every interface the cluster's own name.
            ("WITCLU", Some("witclu"), &["witclu"]),
            ("witclu.wit.test", Some("WITCLU"), &["witclu", "witclu.wit.test"]),
            ("cluster", Some(""), &["cluster"]),
        ] {
            assert_eq!(service_hosts(net_name, group_name), expected, "{net_name} {group_name:?}");
        }
    }
}
