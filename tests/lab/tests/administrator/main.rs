//! What an administrator sees: swnctl beside swnd in the guest, with the real kernel and
//! cluster. `docs/guide.md` shows it; `UPDATE_DOCS=1` writes it there.

mod guide;
mod rows;
mod walk;

use guide::Guide;
use lab::{Cluster, Guest, Mount, PASSWORD, Select, Swnd, Target, USER, built, wait_until};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

/// How long anything may take that waits for nothing but the cluster.
const LIMIT: Duration = Duration::from_secs(30);
/// A file as of mount.cifs.
const CREDENTIALS: &str = "/run/credentials";

/// The guest with swnctl.
struct Shell<'a> {
    guest: &'a Guest,
    /// Where it has been built.
    swnctl: String,
}

impl<'a> Shell<'a> {
    fn new(guest: &'a Guest) -> Shell<'a> {
        let built = match std::env::var_os("SWNCTL") {
            Some(program) => program.into(),
            None => built("release/swnctl", "cargo build --release -p swnctl"),
        };
        guest.ok(&format!(
            "printf 'username={USER}\npassword={PASSWORD}\n' >{CREDENTIALS}; chmod 600 {CREDENTIALS}"
        ));
        Shell { guest, swnctl: built.display().to_string() }
    }

    /// Runs it as a person would call it; what it writes, and its exit code.
    fn run(&self, arguments: &str) -> (String, i32) {
        let output = self.guest.run(&format!("'{}' {arguments} 2>&1", self.swnctl));
        (output.stdout, output.status)
    }

    /// Returns what a person sees of it: the command, and what it writes.
    fn session(&self, arguments: &str, status: i32) -> String {
        let (text, found) = self.run(arguments);
        assert_eq!(found, status, "swnctl {arguments}\n{text}");
        let command = format!("swnctl {arguments}");
        format!("# {}\n{text}", command.trim_end())
    }

    /// The rows of a check that are not well, by name.
    fn wrong(&self, target: &str) -> Vec<String> {
        let (text, _) = self.run(&format!("check {target}"));
        let is_wrong = |line: &&str| line.starts_with("FAIL") || line.starts_with("warn");
        let wrong = text.lines().filter(is_wrong);
        wrong.filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned)).collect()
    }

    /// Waits until the mount is registered.
    fn wait(&self, mount: &str) {
        wait_until("swnd answers", LIMIT, || match self.run("log-level") {
            (_, 0) => Ok(()),
            (text, _) => Err(text),
        });
        let (text, status) = self.run(&format!("wait {mount} --timeout 25"));
        assert_eq!(status, 0, "{text}");
    }
}

/// Without the lines that say that all is well.
fn shortened(session: &str) -> String {
    let mut keep = true;
    let mut text = String::new();
    for line in session.lines() {
        if !line.starts_with(' ') {
            keep = !line.starts_with("ok") && !line.starts_with("skip");
        }
        if keep {
            text += line;
            text += "\n";
        }
    }
    text
}

fn addresses(cluster: &Cluster) -> [Ipv4Addr; 3] {
    [0, 1, 2].map(|node| cluster.address_of(node))
}

/// Has a move waited for, orders it, and returns the session.
fn ordered_move(shell: &Shell<'_>, cluster: &Cluster, point: &str) -> String {
    let arguments = format!("test {point} --wait-move");
    let waiting = shell.guest.spawn(&format!("exec '{}' {arguments}", shell.swnctl));
    wait_until("a move is waited for", LIMIT, || {
        let shown = waiting.stdout();
        if shown.contains("Move-SmbWitnessClient") { Ok(()) } else { Err(shown) }
    });
    cluster.client_move(Select::All, Target::Ip(cluster.address_of(2).into()));
    let output = waiting.wait(LIMIT);
    assert_eq!(output.status, 0, "{}{}", output.stdout, output.stderr);
    format!("# swnctl {arguments}\n{}", output.stdout)
}

#[test]
fn an_administrator_sees_a_mount_from_its_first_minute_to_a_failover() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    guest.set_cluster_addresses(&addresses(&cluster));
    let shell = Shell::new(&guest);
    let mut guide = Guide::read();
    let (from, to) = (cluster.address_of(0), cluster.address_of(1));
    let mount = Mount::with_witness(&guest, from);
    let point = mount.point().to_owned();
    guide.block("without-swnd", &shell.session("", 3));

    let swnd = Swnd::start(&guest);
    shell.wait(&point);
    guide.block("wait", &shell.session(&format!("wait {point}"), 0));
    guide.block("status", &shell.session("", 0));
    guide.block("list", &shell.session("list", 0));
    guide.record("interfaces", &shell.session(&format!("interfaces {point}"), 0));
    let check = format!("check {point} --credentials {CREDENTIALS}");
    guide.block("check", &shell.session(&check, 0));
    let (text, _) = shell.run(&check);
    for row in ["name.cluster", "address.public", "auth.clock", "test.kernel", "auth.bind"] {
        let is_row = |line: &&str| line.split_whitespace().nth(1) == Some(row);
        let line = text.lines().find(is_row).unwrap_or_default();
        assert!(line.starts_with("ok "), "{row}\n{text}");
    }
    let test = format!("test {point} --all-nodes --credentials {CREDENTIALS} --reconnect --yes");
    guide.record("test", &shell.session(&test, 0));
    shell.wait(&point);

    guide.record("wait-move", &ordered_move(&shell, &cluster, &point));
    let moved = format!("served by {} after", cluster.address_of(2));
    swnd.wait_log("the move is done", LIMIT, |line| line.contains(&moved));
    shell.wait(&point);

    let monitor = guest.spawn(&format!("exec '{}' monitor {point}", shell.swnctl));
    let shown = |text: &str| {
        wait_until(&format!("swnctl monitor shows {text:?}"), LIMIT, || {
            let shown = monitor.stdout();
            if shown.contains(text) { Ok(()) } else { Err(shown) }
        });
    };
    // Until the monitor is connected, what happens is not shown.
    wait_until("the monitor is connected", LIMIT, || {
        let (_, status) = shell.run(&format!("retry {point}"));
        let (text, _) = shell.run("--json status");
        if status == 0 && monitor.is_running() { Ok(()) } else { Err(text) }
    });
    let writer = mount.writer("guide");
    cluster.client_move(Select::All, Target::Ip(to.into()));
    shown(&format!("served by {to}"));
    shell.wait(&point);
    cluster.kill(cluster.holder(to));
    shown("is unavailable");
    shown("reconnected");
    writer.wait_for_progress();
    let _ = writer.stop();
    shell.wait(&point);
    monitor.signal("TERM");
    let text = monitor.wait(LIMIT).stdout;
    guide.record("monitor", &format!("# swnctl monitor {point}\n{text}"));

    guide.block("retry", &shell.session(&format!("retry {point}"), 0));
    guide.block("log-level", &shell.session("log-level debug", 0));
    guide.block("reload", &shell.session("reload", 0));
    let (metrics, _) = shell.run("metrics");
    let kept = metrics.lines().filter(|line| {
        let is_count = line.starts_with("swnd_notifications_total")
            || line.starts_with("swnd_mount_registered{")
            || line.starts_with("swnd_registrations_total");
        is_count && !line.ends_with(" 0")
    });
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    guide.block("metrics", &format!("# swnctl metrics | grep -v ' 0$'\n...\n{kept}..."));
    mount.unmount();
    swnd.stop();
    guide.finish(Path::new(guide::PATH));
}
