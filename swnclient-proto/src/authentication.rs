//! From credentials to a handshake.

use crate::{Config, Credentials, Error};
use dcerpc_proto::pdu::{AuthLevel, AuthService};
use dcerpc_proto::security::kerberos::KerberosInitiator;
use dcerpc_proto::security::ntlm::{NtlmCredentials, NtlmInitiator};
use dcerpc_proto::security::spnego::{Mechanism, MechanismSession, Oid, SpnegoInitiator};
use dcerpc_proto::security::{Handshake, SecurityError, Step};
use smol_str::{SmolStr, StrExt, format_smolstr};
use std::time::SystemTime;
use zeroize::Zeroizing;

/// The service that a witness is authenticated as ([MS-SWN] 3.2.4).
pub(crate) const SERVICE: &str = "cifs";

/// Returns a handshake with a server of the cluster `net_name`, as the client makes it: for
/// calls beside it.
///
/// # Errors
/// [`Error::NoRandom`].
pub fn handshake(
    credentials: &Credentials,
    net_name: &str,
    config: &Config,
) -> Result<Box<dyn Handshake>, Error> {
    handshake_with(credentials, service_hosts(net_name, None), config)
}

/// Returns a handshake with a server that is known by these names, the last of
/// which is the net name.
///
/// # Errors
/// [`Error::NoRandom`].
pub(crate) fn handshake_with(
    credentials: &Credentials,
    hosts: Vec<SmolStr>,
    config: &Config,
) -> Result<Box<dyn Handshake>, Error> {
    let target = hosts.last().cloned().unwrap_or_default();
    let ntlm = |credentials: &NtlmCredentials| ntlm(credentials, &target, config);
    let kerberos =
        |credentials| Box::new(KerberosInitiator::new(credentials, SERVICE, hosts.clone()));
    let spnego = |mechanisms: Vec<Box<dyn Mechanism>>| Box::new(SpnegoInitiator::new(mechanisms));
    Ok(match credentials {
        Credentials::Ntlm(it) if config.spnego => spnego(vec![ntlm(it)?]),
        Credentials::Ntlm(it) => ntlm(it)?,
        Credentials::Kerberos(it) if config.spnego => spnego(vec![kerberos(it.clone())]),
        Credentials::Kerberos(it) => kerberos(it.clone()),
        Credentials::Negotiate(first, second) => {
            let preferred = Preferred { kerberos: kerberos(first.clone()), target: target.clone() };
            spnego(vec![Box::new(preferred), ntlm(second)?])
        }
    })
}

/// Kerberos where NTLM may follow it, which is said.
#[derive(Debug)]
struct Preferred {
    kerberos: Box<KerberosInitiator>,
    target: SmolStr,
}

type Session = Box<dyn MechanismSession>;

impl Handshake<Session> for Preferred {
    fn service(&self) -> AuthService {
        Handshake::<Session>::service(&*self.kerberos)
    }

    fn may_block(&self) -> bool {
        Handshake::<Session>::may_block(&*self.kerberos)
    }

    fn step(
        self: Box<Self>,
        token: &[u8],
        level: AuthLevel,
    ) -> Result<Step<Session>, SecurityError> {
        let Self { kerberos, target } = *self;
        let step = kerberos.step(token, level);
        if let Some(error) = step.as_ref().err().filter(|error| !error.may_lock_account()) {
            log::warn!("{target}: no ticket, so NTLM is used: {error}");
        }
        step
    }
}

impl Mechanism for Preferred {
    fn oids(&self) -> &'static [Oid] {
        self.kerberos.oids()
    }
}

fn ntlm(
    credentials: &NtlmCredentials,
    target: &str,
    config: &Config,
) -> Result<Box<NtlmInitiator>, Error> {
    let mut random = Zeroizing::new([0; NtlmInitiator::RANDOM_LEN]);
    getrandom::fill(random.as_mut_slice()).map_err(|_| Error::NoRandom)?;
    let initiator = NtlmInitiator::new(credentials.clone(), &random, SystemTime::now())
        .for_service(&format!("{SERVICE}/{target}"))
        .from_workstation(&config.client_name.short());
    Ok(Box::new(initiator))
}

/// The names under which a server's service principal may be registered, the
/// likeliest first and the net name last: the name that an interface list has
/// for the node, with the net name's domain where it has none of its own. In
/// lower case, as cifs.upcall(8) has them and KDCs that tell cases apart know
/// them.
pub(crate) fn service_hosts(net_name: &str, group_name: Option<&str>) -> Vec<SmolStr> {
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
    use super::{handshake, service_hosts};
    use crate::{Config, Credentials};
    use dcerpc_proto::pdu::AuthLevel;
    use dcerpc_proto::security::Step;
    use dcerpc_proto::security::kerberos::KerberosCredentials;
    use dcerpc_proto::security::ntlm::NtlmCredentials;
    use std::sync::Mutex;

    /// CHALLENGE ([MS-NLMP] 2.2.1.2) without a name, an AV pair and a version.
    const CHALLENGE: [u8; 56] = *b"NTLMSSP\0\x02\0\0\0\0\0\0\0\x38\0\0\0\x35\x82\x8a\xe2\
        01234567\0\0\0\0\0\0\0\0\0\0\0\0\x38\0\0\0\0\0\0\0\0\0\0\0";

    /// What is logged in this process.
    struct Log(Mutex<Vec<String>>);

    static LOG: Log = Log(Mutex::new(Vec::new()));

    impl log::Log for Log {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &log::Record<'_>) {
            self.0.lock().unwrap().push(format!("{} {}", record.level(), record.args()));
        }

        fn flush(&self) {}
    }

    #[test]
    fn it_is_logged_that_ntlm_is_used_for_want_of_a_ticket() {
        log::set_logger(&LOG).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
        let credentials = Credentials::Negotiate(
            KerberosCredentials::from_cache("FILE:/nonexistent/krb5cc"),
            NtlmCredentials::from_password("jane", "WORK", "hidden"),
        );
        let first = handshake(&credentials, "cluster", &Config::default()).unwrap();
        assert!(matches!(first.step(&[], AuthLevel::Privacy), Ok(Step::Continue { .. })));
        let lines = LOG.0.lock().unwrap();
        let expected = "WARN cluster: no ticket, so NTLM is used: Kerberos: ";
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{lines:?}");
    }

    #[test]
    fn ntlm_has_the_first_label_of_the_clients_name_as_the_workstation() {
        let config = Config { client_name: "laptop.work.example".into(), ..Config::default() };
        let jane = Credentials::Ntlm(NtlmCredentials::from_password("jane", "WORK", "hidden"));
        let first = handshake(&jane, "cluster", &config).unwrap();
        let Ok(Step::Continue { handshake, .. }) = first.step(&[], AuthLevel::Privacy) else {
            panic!("NEGOTIATE is the first of three");
        };
        let Ok(Step::Done { token, .. }) = handshake.step(&CHALLENGE, AuthLevel::Privacy) else {
            panic!("AUTHENTICATE is the last");
        };
        let has = |name: &str| {
            let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            token.windows(name.len()).any(|it| it == name)
        };
        assert!(has("laptop") && !has("laptop."));
    }

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
