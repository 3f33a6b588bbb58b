//! The Samba cluster.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use crate::{PASSWORD, USER, lab_dir, script, wait_until};

/// How long a node may take to come up, and the cluster to become healthy again after whatever was done to it.
const RECOVERY: Duration = Duration::from_secs(60);

/// A running cluster of three nodes; `samba-cluster` says what is in it. It goes down when this is dropped or when the
/// process ends.
pub struct Cluster {
    /// `samba-cluster hold`: the cluster is up until its standard input ends.
    holder: Child,
    /// Which nodes are on, with their cable plugged in.
    reachable: [AtomicBool; Cluster::NODES],
    /// Which are out of service by [`Cluster::disable`].
    disabled: [AtomicBool; Cluster::NODES],
}

impl Cluster {
    /// The number of nodes. Each has one static address and holds one public address while all are healthy.
    pub const NODES: usize = 3;

    /// The one cluster of this test binary, healthy and without registrations, whatever the test before has done. One
    /// test has it at a time.
    ///
    /// # Panics
    /// Where it can't come up.
    pub fn fresh() -> MutexGuard<'static, Cluster> {
        static CLUSTER: OnceLock<Mutex<Cluster>> = OnceLock::new();
        // What a failed test left behind is mended here, so a poisoned lock is no reason to fail too.
        let cluster = CLUSTER
            .get_or_init(|| Mutex::new(Cluster::up(false)))
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        cluster.restore();
        cluster
    }

    /// The one cluster of this test binary, with a KDC. All tests share it at the same time: none may take from the
    /// others what they need.
    ///
    /// # Panics
    /// Where it can't come up.
    pub fn with_kerberos() -> &'static Cluster {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(|| Cluster::up(true))
    }

    /// Makes it healthy and without registrations, whatever has been done to it.
    ///
    /// # Panics
    /// Where it doesn't become healthy.
    pub fn restore(&self) {
        for node in 0..Cluster::NODES {
            self.start(node);
            self.heal(node);
            if self.disabled[node].load(Ordering::SeqCst) {
                self.enable(node);
            }
        }
        self.speak();
        self.allow_takeover(true);
        self.wait_healthy();
        // A node that was cut off has kept its address, so its return is not announced.
        self.script(&["client", "ip", "neigh", "flush", "dev", "eth0"]);
        self.set_password(USER, PASSWORD);
        self.clear_registrations();
    }

    fn up(kerberos: bool) -> Cluster {
        let mut holder = Command::new(script("samba-cluster"))
            .arg("hold")
            .arg(Cluster::NODES.to_string())
            .env("LAB_KERBEROS", if kerberos { "1" } else { "" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("samba-cluster can be started");
        let mut said = String::new();
        let stdout = holder.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut said).expect("samba-cluster's output can be read");
        assert_eq!(said.trim_end(), "ready", "the cluster did not come up");
        Cluster {
            holder,
            reachable: [const { AtomicBool::new(true) }; Cluster::NODES],
            disabled: [const { AtomicBool::new(false) }; Cluster::NODES],
        }
    }

    /// Takes the power from a node: nothing in it runs on, and it is silent from then on.
    pub fn kill(&self, node: usize) {
        self.reachable[node].store(false, Ordering::SeqCst);
        self.disabled[node].store(false, Ordering::SeqCst);
        self.script(&["kill", &node.to_string()]);
    }

    /// Starts a node that was killed. It is useful again after [`Cluster::wait_healthy`].
    pub fn start(&self, node: usize) {
        self.script(&["start", &node.to_string()]);
        self.reachable[node].store(true, Ordering::SeqCst);
    }

    /// Pulls a node's network cable.
    pub fn cut(&self, node: usize) {
        self.reachable[node].store(false, Ordering::SeqCst);
        self.script(&["cut", &node.to_string()]);
    }

    /// Puts a node's network cable back.
    pub fn heal(&self, node: usize) {
        self.script(&["heal", &node.to_string()]);
        self.reachable[node].store(true, Ordering::SeqCst);
    }

    /// Takes a node out of service: it stays in the cluster, but its public address goes to another one.
    pub fn disable(&self, node: usize) {
        self.disabled[node].store(true, Ordering::SeqCst);
        self.node(node, &["ctdb", "disable"]);
    }

    /// Puts a node back into service.
    pub fn enable(&self, node: usize) {
        self.node(node, &["ctdb", "enable"]);
        self.disabled[node].store(false, Ordering::SeqCst);
    }

    /// The node that leads the cluster: it holds the cluster's lock.
    ///
    /// # Panics
    /// Where there is none.
    pub fn leader(&self) -> usize {
        let leader = self.node(self.any_node(), &["ctdb", "leader"]);
        leader.trim().parse().unwrap_or_else(|_| panic!("no node leads the cluster: {leader:?}"))
    }

    /// Restarts a node's RPC services: the endpoint mapper, and the witness on another port than before.
    pub fn restart_dcerpcd(&self, node: usize) {
        self.script(&["restart-dcerpcd", &node.to_string()]);
    }

    /// Stops a node's RPC services until [`Cluster::restart_dcerpcd`].
    pub fn stop_dcerpcd(&self, node: usize) {
        self.script(&["stop-dcerpcd", &node.to_string()]);
    }

    /// Returns the version of its Samba, for example `4.25.1`. The environment variable `LAB_SAMBA` chooses it;
    /// `samba-root` has which there are.
    ///
    /// # Panics
    /// Where Samba says something else than a version.
    pub fn samba_version(&self) -> String {
        let says = self.node(self.any_node(), &["smbd", "--version"]);
        let version = says.strip_prefix("Version ").and_then(|rest| rest.split(['-', '\n']).next());
        version.unwrap_or_else(|| panic!("smbd --version: {says}")).to_owned()
    }

    /// Waits until all nodes that are on are healthy, answer, and share the public addresses.
    ///
    /// # Panics
    /// After a minute, with what the nodes say.
    pub fn wait_healthy(&self) {
        self.script(&["wait", &RECOVERY.as_secs().to_string()]);
    }

    /// The node that holds each public address; none where no node serves an address.
    pub fn holders(&self) -> BTreeMap<Ipv4Addr, Option<usize>> {
        let table = self.node(self.any_node(), &["ctdb", "-X", "ip"]);
        table.lines().filter_map(parse_holder).collect()
    }

    /// Waits until a node other than `from` holds `address`, and gives it.
    ///
    /// # Panics
    /// After half a minute.
    pub fn wait_moved(&self, address: Ipv4Addr, from: usize) -> usize {
        wait_until(
            &format!("{address} has moved from node {from}"),
            Duration::from_secs(30),
            || {
                let holders = self.holders();
                holders
                    .get(&address)
                    .copied()
                    .flatten()
                    .filter(|node| *node != from)
                    .ok_or(format!("{holders:?}"))
            },
        )
    }

    /// The node that holds `address`.
    ///
    /// # Panics
    /// Where none does.
    pub fn holder(&self, address: Ipv4Addr) -> usize {
        let holders = self.holders();
        holders
            .get(&address)
            .copied()
            .flatten()
            .unwrap_or_else(|| panic!("no node holds {address}: {holders:?}"))
    }

    /// The public address of a node in a healthy cluster.
    ///
    /// # Panics
    /// Where it has none.
    pub fn address_of(&self, node: usize) -> Ipv4Addr {
        let holders = self.holders();
        let held = holders.iter().find(|(_, holder)| **holder == Some(node));
        *held.unwrap_or_else(|| panic!("node {node} holds no address: {holders:?}")).0
    }

    /// A node that is on and not cut off.
    ///
    /// # Panics
    /// Where none is.
    pub fn any_node(&self) -> usize {
        let is_reachable = |node: &AtomicBool| node.load(Ordering::SeqCst);
        self.reachable.iter().position(is_reachable).expect("a node that can be reached")
    }

    /// Runs a command inside a node and gives its output.
    ///
    /// # Panics
    /// Where it fails or takes longer than some minutes.
    pub fn node(&self, node: usize, command: &[&str]) -> String {
        let mut args = vec!["node".to_owned(), node.to_string()];
        args.extend(command.iter().map(|&arg| arg.to_owned()));
        self.script(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Gives a user of the cluster another password. Sessions that are there stay.
    pub fn set_password(&self, user: &str, password: &str) {
        let command = format!("printf '%s\n' '{password}' '{password}' | smbpasswd -s '{user}'");
        self.node(self.any_node(), &["sh", "-c", &command]);
    }

    /// A command that will run in the client's network namespace.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(script("samba-cluster"));
        command.arg("client").arg(program);
        command
    }

    /// Runs a command beside the KDC, for example kadmin.local, and gives its output.
    ///
    /// # Panics
    /// Where it fails.
    pub fn krb5(&self, command: &[&str]) -> String {
        self.script(&[&["krb5"], command].concat())
    }

    /// What happens to the KDC: "stop" and "start", "pause" (it hears, but does not answer) and "resume".
    pub fn kdc(&self, what: &str) {
        self.script(&["kdc", what]);
    }

    /// A file of the KDC's: krb5.conf, swnuser.keytab, kdc.log. Others may be made beside them.
    pub fn krb5_file(&self, name: &str) -> PathBuf {
        lab_dir().join("krb5").join(name)
    }

    /// Takes registrations back, and out of the list those without a client: a witness that was killed leaves its
    /// own behind, and a node that was cut off brings back what it knew. Those can't be taken back.
    fn clear_registrations(&self) {
        let unregister = "net witness force-unregister --witness-apply-to-all || true";
        self.node(self.any_node(), &["sh", "-c", unregister]);
        self.node(self.any_node(), &["ctdb", "wipedb", "rpcd_witness_registration.tdb"]);
        wait_until("the witness service has no registrations", Duration::from_secs(10), || {
            let left = self.registrations();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
        });
    }

    pub(crate) fn script(&self, args: &[&str]) -> String {
        // A command in a cluster that is in recovery can block for ever.
        let output = Command::new("timeout")
            .arg("90")
            .arg(script("samba-cluster"))
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("samba-cluster can be started");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "samba-cluster {args:?}: {}\n{stderr}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// `|10.77.0.101|2|`; the node is -1 where there is none. The heading is no address.
fn parse_holder(line: &str) -> Option<(Ipv4Addr, Option<usize>)> {
    let mut columns = line.trim_matches('|').split('|');
    let address = columns.next()?.parse().ok()?;
    Some((address, columns.next()?.parse().ok()))
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("reachable", &self.reachable).finish_non_exhaustive()
    }
}
