//! Where tickets come from.

use lab::{CLUSTER_NAME, Cluster, LabClient, PASSWORD, SHARE, Select, Target, USER};

use crate::{LIMIT, registration, take_turn, two_addresses, wait_unregistered};

/// The sources, as `lab-client` is told of them. The cache has a ticket.
fn sources(cluster: &Cluster) -> [(&'static str, String); 3] {
    let file = |name| cluster.krb5_file(name).display().to_string();
    let cache = format!("FILE:{}", file("sources.ccache"));
    let keytab = file("swnuser.keytab");
    cluster.krb5(&["kinit", "-k", "-t", &keytab, "-c", &cache, USER]);
    [
        ("ccache", format!("ccache {cache}")),
        ("keytab", format!("keytab {keytab} {USER}")),
        ("password", format!("password {USER} {PASSWORD}")),
    ]
}

#[test]
fn each_source_of_tickets_serves_both_services_at_both_levels() {
    let (cluster, _turn) = take_turn();
    let (from, to) = two_addresses(cluster);
    let config = cluster.krb5_file("krb5.conf").display().to_string();
    // No test's tickets but those that are asked for.
    let environment = [("KRB5_CONFIG", config.as_str()), ("KRB5CCNAME", "FILE:/nonexistent")];
    let mut clients = Vec::new();
    for (source, credentials) in sources(cluster) {
        for service in ["kerberos", "spnego"] {
            for level in ["integrity", "privacy"] {
                let name = format!("{source}-{service}-{level}");
                let options = [service, level];
                let mut client = LabClient::start(cluster, &name, from, &options, &environment);
                client.say(&format!("register it {credentials}"));
                clients.push((name, client));
            }
        }
    }
    assert_eq!(clients.len(), 12);
    for (name, client) in &mut clients {
        let witness = client.expect("it registered", LIMIT);
        let known = registration(cluster, name);
        assert_eq!(witness, format!("{} 2", known.witness), "{name}");
        assert_ne!(known.witness, from, "{name}");
        assert_eq!((known.net_name.as_str(), known.ip_address), (CLUSTER_NAME, from.into()));
        assert_eq!((known.share_name.as_deref(), known.account_name.as_str()), (Some(SHARE), USER));
        cluster.client_move(Select::Id(&known.id), Target::Ip(to.into()));
        assert_eq!(client.expect("it client-move", LIMIT), to.to_string(), "{name}");
        client.say("unregister it");
        client.expect("it unregistered", LIMIT);
        wait_unregistered(cluster, name);
        assert!(!client.seen().contains("failed"), "{name}\n{}", client.seen());
        println!("{name}: listed, registered at {}, moved, unregistered", known.witness);
    }
}
