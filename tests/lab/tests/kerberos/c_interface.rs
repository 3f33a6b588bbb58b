//! libswnclient by its C interface.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lab::{CLUSTER_NAME, Cluster, PASSWORD, SHARE, Select, Target, USER, built, wait_until};

use crate::{EXPIRY, LIMIT, take_turn, two_addresses};

#[test]
fn c_callers_that_require_kerberos_use_the_cache_they_name_and_that_disable_it_make_no_call() {
    let (cluster, _turn) = take_turn();
    let consumer = Consumer::compile();
    let cache = format!("FILE:{}", cluster.krb5_file("c.ccache").display());
    let keytab = cluster.krb5_file("swnuser.keytab").display().to_string();
    cluster.krb5(&["kinit", "-k", "-t", &keytab, "-c", &cache, USER]);

    for credentials in [&["required", cache.as_str()][..], &["required", USER, PASSWORD]] {
        let calls = consumer.live(cluster, credentials);
        // A check that finds nothing proves nothing: this one does find Kerberos.
        assert!(calls.contains("krb5.conf") && calls.contains("htons(88)"), "{calls}");
    }
    let calls = consumer.live(cluster, &["disabled", USER, PASSWORD]);
    assert!(calls.contains("htons(135)"), "{calls}");
    for trace in ["krb5.conf", "htons(88)", "ccache", "krb5cc", "keytab"] {
        assert!(!calls.contains(trace), "{trace}\n{calls}");
    }
}

/// The program `tests/c-consumer/kerberos.c`, in a directory of its own with the library.
struct Consumer {
    directory: PathBuf,
}

impl Consumer {
    fn compile() -> Consumer {
        let directory = std::env::temp_dir().join(format!("lab-c-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a temporary directory can be made");
        let library = built("release/libswnclient.so", "cargo build --release -p swnclient-sys");
        for name in ["libswnclient.so", "libswnclient.so.0"] {
            symlink(&library, directory.join(name)).expect("the library can be linked to");
        }
        let consumer = Consumer { directory };
        let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../c-consumer/build");
        let program = consumer.directory.join("kerberos");
        let status =
            Command::new(build).arg(&consumer.directory).arg(program).arg("kerberos.c").status();
        assert!(status.is_ok_and(|status| status.success()), "kerberos.c does not compile");
        consumer
    }

    /// Registers, is moved, unregisters; what of the system the program has called meanwhile.
    fn live(&self, cluster: &Cluster, credentials: &[&str]) -> String {
        let (from, to) = two_addresses(cluster);
        let trace = self.directory.join("strace");
        let config = cluster.krb5_file("krb5.conf");
        let mut process = cluster
            .client("strace")
            .args(["-f", "-e", "trace=open,openat,connect,sendto", "-s", "4096", "-o"])
            .arg(&trace)
            .arg(self.directory.join("kerberos"))
            .args([CLUSTER_NAME, SHARE, &from.to_string()])
            .args(credentials)
            .env("KRB5_CONFIG", config)
            .env("KRB5CCNAME", "FILE:/nonexistent/krb5cc")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace can be started");
        live(cluster, &mut process, from, to);
        fs::read_to_string(trace).expect("strace writes what it sees")
    }
}

fn live(cluster: &Cluster, process: &mut Child, from: Ipv4Addr, to: Ipv4Addr) {
    let log = std::thread::spawn({
        let log = process.stderr.take().expect("stderr is piped");
        move || std::io::read_to_string(log).unwrap_or_default()
    });
    let stdout = process.stdout.take().expect("stdout is piped");
    let mut said = BufReader::new(stdout).lines().map_while(Result::ok);
    let first = said.next();
    if first.as_deref() == Some("registered") {
        let known = wait_until("the C program has one registration", LIMIT, || {
            let mut all = cluster.registrations();
            all.retain(|registration| registration.client_computer_name != EXPIRY);
            <[_; 1]>::try_from(all).map(|[known]| known).map_err(|others| format!("{others:?}"))
        });
        assert_eq!((known.account_name.as_str(), known.ip_address), (USER, from.into()));
        cluster.client_move(Select::Id(&known.id), Target::Ip(to.into()));
    }
    let rest: Vec<String> = first.into_iter().chain(said).collect();
    let status = process.wait().expect("it is a child of this one");
    let log = log.join().expect("the log can be read");
    assert_eq!(rest, ["registered", "client-move", "unregistered"], "{log}");
    assert!(status.success(), "{status}\n{log}");
    assert!(!log.contains(PASSWORD), "the library has logged the password\n{log}");
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
