//! What a report says.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use super::*;
use dcerpc_proto::association::{AssociationError, FaultStatus};
use std::io::ErrorKind;

#[test]
fn a_failure_says_what_is_wrong_what_to_do_and_what_follows() {
    let address: IpAddr = "10.77.0.103".parse().unwrap();
    let detail: smol_str::SmolStr = "STATUS_LOGON_FAILURE".into();
    let service = "cifs/witclu".into();
    for (error, line) in [
        (
            Error::NetNameIsAddress("10.77.0.101".into()),
            "the net name \"10.77.0.101\" is an address, and a witness knows its cluster by name \
             only; mount by the cluster's name",
        ),
        (
            Error::Resolve { name: "witclu".into(), reason: "not found".into() },
            "cannot resolve witclu: not found; check DNS or /etc/hosts",
        ),
        (
            Error::Connect { address: (address, 135).into(), kind: ErrorKind::TimedOut },
            "cannot connect to 10.77.0.103:135: no answer; check the network and the firewall \
             (TCP 135 and 49152 to 65535)",
        ),
        (
            Error::AccessDenied { address, detail: detail.clone() },
            "10.77.0.103 refused the credentials (STATUS_LOGON_FAILURE); check user, password \
             and domain of the mount",
        ),
        (
            Error::KerberosTimeout { after: Duration::from_secs(30) },
            "Kerberos: no ticket within 30 s; check the network to the KDC and krb5.conf",
        ),
        (
            Error::TicketRefused { address, service, detail },
            "10.77.0.103 refused the ticket for cifs/witclu (STATUS_LOGON_FAILURE); check that \
             the server is a member of the realm and has the key of that service (klist -k), or \
             mount with sec=ntlmssp",
        ),
        (
            Error::Timeout {
                address,
                awaited: Awaited::WitnessConnection,
                after: Duration::from_secs(5),
            },
            "10.77.0.103 did not answer the connection to its witness service within 5 s; check \
             the network and the firewall (TCP 135 and 49152 to 65535)",
        ),
        (
            Error::Fault { address, call: Call::Map, status: FaultStatus::ACCESS_DENIED },
            "10.77.0.103 refused ept_map: access denied (0x00000005); its policy \
             RestrictRemoteClients (\"Restrict Unauthenticated RPC clients\") keeps clients from \
             its endpoint mapper",
        ),
        (
            Error::MapperAccessDenied { address, detail: "access denied".into() },
            "the endpoint mapper of 10.77.0.103 refused the credentials (access denied); check \
             user, password and domain of the mount, or whether the policy RestrictRemoteClients \
             (\"Restrict Unauthenticated RPC clients\") of the server keeps clients from its \
             endpoint mapper",
        ),
        (
            Error::Association { address, error: AssociationError::NoHeaderSigning },
            "10.77.0.103 broke the protocol: the server does not support header signing, which \
             is required; allow it by --allow-unsigned-headers, if the network can be trusted",
        ),
        (
            Error::NoWitness,
            "no node of the cluster besides the one that serves the share offers a witness now",
        ),
    ] {
        let mount = Mount { net_name: "witclu".into(), share_name: Some("data".into()) };
        let next = match error.is_refusal() {
            true => "not tried again for hours with the same password, but by swnctl retry",
            false => "next attempt when the kernel asks again",
        };
        let report = Report::Failed { mount, error, retry_in: None, again: false, lost: false };
        let line = format!(r"\\witclu\data: {line}; {next}");
        assert_eq!(report.to_string(), line);
    }
}
