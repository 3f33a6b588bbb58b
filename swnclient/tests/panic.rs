//! A sink that panics.

use std::net::Ipv4Addr;
use std::time::Duration;
use swnclient::{Client, Config, Credentials, NtlmCredentials, RegistrationRequest};
use tokio::sync::oneshot;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_sink_that_panics_ends_the_client_and_is_dropped() {
    let (sender, dropped) = oneshot::channel::<()>();
    // Nothing listens there: the client says so, which is what panics, on the
    // task of the connection.
    let config = Config { mapper_port: 1, ..Config::default() };
    let client = Client::start(config, move |_, _| {
        let _ = &sender;
        panic!("on purpose");
    });
    let request = || {
        let alice = NtlmCredentials::from_password("alice", "EXAMPLE", "secret");
        let request = RegistrationRequest::new("cluster.example.test");
        (request.served_by(Ipv4Addr::LOCALHOST.into()), Credentials::Ntlm(alice))
    };
    let (asked, credentials) = request();
    let id = client.register(asked, credentials);
    timeout(SOON, dropped).await.expect("the sink is dropped").expect_err("it sends nothing");
    // What is asked of it from now on is not heard.
    assert!(timeout(SOON, client.interfaces(id)).await.expect("an answer").is_empty());
    let (asked, credentials) = request();
    let mut late = client.registration(asked, credentials);
    assert_eq!(timeout(SOON, late.next_event()).await.expect("the end"), None);
}
