//! The client library in a process of its own, because libkrb5 reads the environment: does what it is told on stdin,
//! and prints a line for each event.
//!
//! `lab-client NAME ADDRESS [spnego] [integrity]` calls itself NAME and registers for the lab's share, served by
//! ADDRESS, or with `-` by an address that the cluster's name has. On stdin, one command a line:
//!
//! | command | |
//! | --- | --- |
//! | `register KEY ntlm USER PASSWORD` | |
//! | `register KEY password USER PASSWORD` | Kerberos, with tickets for a user and a password |
//! | `register KEY ccache CACHE` | Kerberos, with tickets from a cache |
//! | `register KEY keytab KEYTAB PRINCIPAL` | Kerberos, with tickets for a key |
//! | `unregister KEY` | after that KEY may be used again |
//!
//! The lines on stdout begin with the KEY: `KEY registered WITNESS VERSION`, `KEY client-move ADDRESS`,
//! `KEY failed ERROR`, `KEY unregistered`. The end of stdin ends it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lab::{CLUSTER_NAME, SHARE};
use swnclient::{
    AuthLevel, Client, Config, Credentials, Event, KerberosCredentials, Notification,
    NtlmCredentials, RegistrationId, RegistrationRequest, Secret,
};
use tokio::io::{AsyncBufReadExt, BufReader};

/// The keys of the registrations, which the events name by their ids.
type Keys = Arc<Mutex<HashMap<RegistrationId, String>>>;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, address, options @ ..] = args.as_slice() else {
        return Err(io::Error::other("usage: lab-client NAME ADDRESS [spnego] [integrity]"));
    };
    let is_set = |option: &str| options.iter().any(|given| given == option);
    let auth_level = if is_set("integrity") { AuthLevel::Integrity } else { AuthLevel::Privacy };
    let config = Config {
        client_name: name.as_str().into(),
        spnego: is_set("spnego"),
        auth_level,
        // There are no others that it could disturb.
        loss_spread: Duration::from_secs(1),
        ..Config::default()
    };
    let request = RegistrationRequest {
        net_name: CLUSTER_NAME.into(),
        share_name: Some(SHARE.into()),
        ip_address: match address.as_str() {
            "-" => None,
            address => Some(address.parse().map_err(io::Error::other)?),
        },
        scope_id: 0,
        net_name_notify: true,
        share_name_notify: true,
        ip_notify: true,
    };
    // Such that its threads are in the network namespace of this one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(config, request))?;
    // The Kerberos library may still wait in a thread.
    std::process::exit(0);
}

async fn serve(config: Config, request: RegistrationRequest) -> io::Result<()> {
    let keys = Keys::default();
    let client = Client::start(config, {
        let keys = Arc::clone(&keys);
        move |id, event| {
            let keys = keys.lock().expect("the keys are not poisoned");
            println!("{} {}", keys.get(&id).map_or("?", String::as_str), line(event));
        }
    });
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    while let Some(command) = commands.next_line().await? {
        let words: Vec<&str> = command.split(' ').collect();
        let mut keys = keys.lock().expect("the keys are not poisoned");
        match words.as_slice() {
            ["register", key, credentials @ ..] => {
                let credentials = parse(credentials)
                    .ok_or_else(|| io::Error::other(format!("{command:?}: what is that?")))?;
                keys.retain(|_, known| known != key);
                let id = client.register(request.clone(), credentials);
                keys.insert(id, (*key).to_owned());
            }
            ["unregister", key] => {
                if let Some((id, _)) = keys.iter().find(|(_, known)| known == key) {
                    client.unregister(*id);
                }
            }
            _ => return Err(io::Error::other(format!("{command:?}: what is that?"))),
        }
    }
    client.shutdown(Duration::from_secs(2)).await;
    Ok(())
}

fn parse(words: &[&str]) -> Option<Credentials> {
    Some(match words {
        ["ntlm", user, password] => {
            Credentials::Ntlm(NtlmCredentials::from_password(user, "", password))
        }
        ["password", user, password] => Credentials::Kerberos(KerberosCredentials::from_password(
            user,
            "",
            Secret::new(password),
        )),
        ["ccache", cache] => Credentials::Kerberos(KerberosCredentials::from_cache(cache)),
        ["keytab", keytab, principal] => {
            Credentials::Kerberos(KerberosCredentials::from_keytab(keytab, Some(principal)))
        }
        _ => return None,
    })
}

fn line(event: Event) -> String {
    match event {
        Event::Registered { witness, version } => format!("registered {witness} {version}"),
        Event::Notification(Notification::ClientMove { address }) => {
            format!("client-move {address}")
        }
        Event::Notification(other) => format!("notification {other:?}"),
        Event::Failed { error, .. } => format!("failed {error}"),
        Event::Unregistered => "unregistered".to_owned(),
        other => format!("{other:?}"),
    }
}
