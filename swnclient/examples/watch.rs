//! Registers one share and prints what its witness says, until interrupted:
//!
//! `cargo run --example watch -- NET_NAME SHARE ADDRESS [OPTION...]`
//!
//! | option | |
//! | --- | --- |
//! | `user=USER`, `domain=DOMAIN` | who logs on, with the password in the environment variable PASSWD |
//! | `ccache=CACHE`, `keytab=KEYTAB`, `principal=PRINCIPAL` | where Kerberos has its tickets from, where no user is given |
//! | `kerberos`, `ntlm`, `negotiate` | what a user logs on by; `ntlm` unless said otherwise |
//! | `spnego` | not by the mechanism's own authentication service |
//! | `integrity` | not sealed |

use dcerpc_proto::pdu::AuthLevel;
use std::time::{Duration, Instant};
use swnclient::{
    Client, Config, Credentials, Event, KerberosCredentials, NtlmCredentials, RegistrationRequest,
    Secret,
};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [net_name, share, address, options @ ..] = args.as_slice() else {
        eprintln!("usage: watch NET_NAME SHARE ADDRESS [OPTION...]");
        std::process::exit(2);
    };
    let is_set = |option: &str| options.iter().any(|given| given == option);
    let mut config =
        Config { client_name: "watch".into(), spnego: is_set("spnego"), ..Config::default() };
    if is_set("integrity") {
        config.auth_level = AuthLevel::Integrity;
    }
    let Ok(serves) = address.parse() else {
        eprintln!("{address} is no address");
        std::process::exit(2);
    };
    let request = RegistrationRequest::new(net_name).share(share).served_by(serves).scale_out();
    let start = Instant::now();
    let client = Client::start(config, move |_, event| {
        let elapsed = start.elapsed().as_secs_f64() * 1e3;
        match event {
            Event::Failed { error, retry_in } => {
                println!("{elapsed:8.1} ms  Failed: {error}; retry in {retry_in:?}");
            }
            event => println!("{elapsed:8.1} ms  {event:?}"),
        }
    });
    client.register(request, credentials(options));
    if tokio::time::timeout(Duration::from_secs(3600), tokio::signal::ctrl_c()).await.is_ok() {
        client.shutdown(Duration::from_secs(2)).await;
    }
}

fn credentials(options: &[String]) -> Credentials {
    let is_set = |option: &str| options.iter().any(|given| given == option);
    let value = |key: &str| {
        options.iter().filter_map(|o| o.split_once('=')).find(|o| o.0 == key).map(|o| o.1)
    };
    let Some(user) = value("user") else {
        return Credentials::Kerberos(match (value("ccache"), value("keytab")) {
            (Some(cache), _) => KerberosCredentials::from_cache(cache),
            (_, Some(keytab)) => KerberosCredentials::from_keytab(keytab, value("principal")),
            _ => KerberosCredentials::from_environment(),
        });
    };
    let (domain, password) =
        (value("domain").unwrap_or_default(), std::env::var("PASSWD").unwrap_or_default());
    let ntlm = NtlmCredentials::from_password(user, domain, &password);
    let kerberos = KerberosCredentials::from_password(user, domain, Secret::new(&password));
    if is_set("negotiate") {
        Credentials::Negotiate(kerberos, ntlm)
    } else if is_set("kerberos") {
        Credentials::Kerberos(kerberos)
    } else {
        Credentials::Ntlm(ntlm)
    }
}
