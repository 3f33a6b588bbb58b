//! Registers one share and prints what its witness says, until interrupted:
//!
//! `cargo run --example watch -- NET_NAME SHARE ADDRESS USER DOMAIN [ntlm|spnego] [integrity|privacy]`,
//! the password in the environment variable PASSWD.

use dcerpc::security::{AuthLevel, AuthService};
use std::time::{Duration, Instant};
use swnclient::{Client, Config, Credentials, NtlmCredentials, RegistrationRequest};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [net_name, share, address, user, domain, rest @ ..] = args.as_slice() else {
        eprintln!("usage: watch NET_NAME SHARE ADDRESS USER DOMAIN [ntlm|spnego] [integrity|privacy]");
        std::process::exit(2);
    };
    let mut config = Config { client_name: "watch".into(), ..Config::default() };
    if rest.iter().any(|word| word == "spnego") {
        config.auth_service = AuthService::Spnego;
    }
    if rest.iter().any(|word| word == "integrity") {
        config.auth_level = AuthLevel::Integrity;
    }
    let password = std::env::var("PASSWD").unwrap_or_default();
    let request = RegistrationRequest {
        net_name: net_name.into(),
        share_name: Some(share.into()),
        ip_address: address.parse().ok(),
        net_name_notify: true,
        share_name_notify: true,
        ip_notify: true,
    };
    let start = Instant::now();
    let client = Client::start(config, move |_, event| {
        println!("{:8.1} ms  {event:?}", start.elapsed().as_secs_f64() * 1e3);
    });
    let credentials = NtlmCredentials::from_password(user, domain, &password);
    client.register(request, Credentials::Ntlm(credentials));
    if tokio::time::timeout(Duration::from_secs(3600), tokio::signal::ctrl_c()).await.is_ok() {
        client.shutdown(Duration::from_secs(2)).await;
    }
}
