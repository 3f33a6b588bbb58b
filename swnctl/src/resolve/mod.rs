//! `swnctl resolve-key`: answers the kernel's question for the address of a server. The cifs
//! client asks each time that it connects again, by a key of the type `dns_resolver` that
//! request-key(8) has this program instantiate.
//!
//! For a name that swnd has adopted mounts by, it is swnd that says where a node lives. All
//! else is left to key.dns_resolver(8), which answers where this is not installed.

mod keyring;

use crate::connection::Connection;
use crate::exit::Exit;
use crate::{address, mounts};
use keyring::KeyInHand;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use swnclient::ScopedAddr;
use swnd::control::interface::Resolved;

/// How long swnd may take: the kernel connects to nothing meanwhile.
const LIMIT: Duration = Duration::from_secs(1);
/// How long the kernel keeps an address, in seconds: by the next attempt another one may
/// be right.
const KEPT: u32 = 1;
/// Who answers otherwise.
const OTHERS: [&str; 2] = ["/sbin/key.dns_resolver", "/usr/sbin/key.dns_resolver"];

/// Answers; returns only where it has, or can't.
pub(crate) fn run(socket: &Path, key: i32) -> Result<(), Exit> {
    let led = KeyInHand::take(key).and_then(|key| {
        // Other consumers prefix their names with what they ask for.
        let name = key.description()?;
        let address = (!name.contains(':')).then(|| address(socket, &name)).flatten();
        address.map(|address| key.instantiate(address, KEPT)).transpose()
    });
    match led {
        Ok(Some(())) => Ok(()),
        Ok(None) => Err(hand_on(key)),
        Err(error) => {
            let hint = "request-key runs this; see swnctl(8)";
            Err(Exit::Failed(format!("key {key}: {error}; {hint}")))
        }
    }
}

/// Returns the address for a name by which mounts are adopted: swnd's choice, or else what
/// the system's resolver has first.
fn address(socket: &Path, name: &str) -> Option<ScopedAddr> {
    let Resolved { adopted, address } =
        Connection::open_within(socket, LIMIT).and_then(|mut swnd| swnd.resolve(name)).ok()?;
    let scoped = |address| match ScopedAddr::is_of_link(address) {
        true => mounts::scoped(&mounts::read(), name, address),
        false => address.into(),
    };
    let first = || address::resolve(name).ok()?.into_iter().next();
    adopted.then(|| address.map(scoped).or_else(first)).flatten()
}

/// Becomes the program that answers without swnd.
fn hand_on(key: i32) -> Exit {
    let failed = |program: &&str| {
        let error = Command::new(program).arg(key.to_string()).exec();
        (error.kind() != io::ErrorKind::NotFound).then(|| format!("{program}: {error}"))
    };
    let why = OTHERS.iter().find_map(failed);
    Exit::Failed(why.unwrap_or_else(|| format!("{} is missing: install keyutils", OTHERS[0])))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::IpAddr;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;
    use std::thread::{self, JoinHandle};

    /// A socket on which one call gets this reply, or none, while the client waits.
    fn played(test: &str, reply: Option<&'static str>) -> (PathBuf, JoinHandle<String>) {
        let name = format!("swnctl-resolve-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut call = vec![0; 1000];
            let length = stream.read(&mut call).unwrap();
            if let Some(reply) = reply {
                stream.write_all(reply.as_bytes()).unwrap();
                stream.write_all(&[0]).unwrap();
            }
            // Until the client has gone.
            let _ = stream.read(&mut [0]);
            String::from_utf8(call[..length].to_vec()).unwrap()
        });
        (path, thread)
    }

    fn asked(test: &str, name: &str, reply: Option<&'static str>) -> (Option<IpAddr>, String) {
        let (path, thread) = played(test, reply);
        let address = address(&path, name);
        std::fs::remove_file(path).unwrap();
        (address.map(ScopedAddr::address), thread.join().unwrap())
    }

    #[test]
    fn swnd_is_asked_and_its_address_counts() {
        let reply = r#"{"parameters":{"adopted":true,"address":"10.77.0.102"}}"#;
        let (address, call) = asked("address", "witclu", Some(reply));
        assert_eq!(address, Some([10, 77, 0, 102].into()));
        assert!(call.contains("org.swnclient.Witness.Resolve"), "{call}");
        assert!(call.contains(r#""name":"witclu""#), "{call}");
    }

    #[test]
    fn where_swnd_has_no_address_the_systems_resolver_counts() {
        let reply = r#"{"parameters":{"adopted":true,"address":null}}"#;
        let (address, _) = asked("system", "127.0.0.7", Some(reply));
        assert_eq!(address, Some([127, 0, 0, 7].into()));
    }

    #[test]
    fn all_else_is_left_to_others() {
        for (test, reply) in [
            ("other", Some(r#"{"parameters":{"adopted":false,"address":null}}"#)),
            ("error", Some(r#"{"error":"org.varlink.service.MethodNotFound"}"#)),
            ("rubbish", Some("rubbish")),
            // Not waited for any longer.
            ("silent", None),
        ] {
            assert_eq!(asked(test, "127.0.0.7", reply).0, None, "{test}");
        }
        assert_eq!(address(Path::new("/nonexistent"), "127.0.0.7"), None);
    }

    #[test]
    fn a_swnd_that_accepts_no_connection_is_not_waited_for() {
        let name = format!("swnctl-resolve-{}-full", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _listener = UnixListener::bind(&path).unwrap();
        let mut waiting = Vec::new();
        // Until there is no room.
        while let Ok(connection) = Connection::open_within(&path, Duration::from_millis(10)) {
            waiting.push(connection);
        }
        assert_eq!(address(&path, "127.0.0.7"), None);
        std::fs::remove_file(path).unwrap();
    }
}
