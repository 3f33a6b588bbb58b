//! A journal of its own: what swnd writes there, and that `journalctl -x` explains it.

#![allow(clippy::unwrap_used, reason = "a test that panics fails, which is what it is for")]

use std::path::Path;
use std::process::Command;
use swnd::report::Kind;

/// In a mount namespace of its own, journald with nothing but our catalog; then swnd, until
/// its first line is there, and the journal's entry of it. $1 is swnd, $2 the catalog.
const SCRIPT: &str = r#"
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /usr/lib/systemd/catalog
[ ! -d /var/log/journal ] || mount -t tmpfs tmpfs /var/log/journal
mount -t tmpfs tmpfs /var/lib/systemd
mkdir -p /run/systemd/journal /run/log/journal /var/lib/systemd/catalog
echo 0123456789abcdef0123456789abcdef >/run/machine-id
mount --bind /run/machine-id /etc/machine-id
cp "$2" /usr/lib/systemd/catalog/swnd.catalog
journalctl --update-catalog
/usr/lib/systemd/systemd-journald &
journald=$!
until [ -S /run/systemd/journal/socket ]; do kill -0 $journald; done
"$1" --log journal --control none &
swnd=$!
trap 'kill $journald $swnd' EXIT
until journalctl -t swnd -o cat --no-pager 2>&1 | grep -q starts; do kill -0 $swnd; done
journalctl -t swnd --catalog --no-pager -n 1 "MESSAGE_ID=$3"
journalctl -t swnd -o verbose --no-pager -n 1 "MESSAGE_ID=$3"
"#;

#[test]
fn the_journal_explains_what_swnd_writes() {
    // CAP_NET_ADMIN for swnd, CAP_SYS_ADMIN for the namespace.
    if !rustix::process::geteuid().is_root() {
        eprintln!("not run: this needs root");
        return;
    }
    assert!(
        Path::new("/usr/lib/systemd/systemd-journald").exists(),
        "systemd is missing: install it"
    );
    let id = Kind::Started.message_id();
    let mut command = Command::new("timeout");
    command.args(["60", "unshare", "-m", "sh", "-euc", SCRIPT, "sh"]);
    command.arg(env!("CARGO_BIN_EXE_swnd"));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/swnd.catalog"));
    let output = command.arg(id).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{error}");
    for expected in [
        "Subject: swnd has started",
        "Documentation: man:swnd(8)",
        "registers\n",
        &format!("MESSAGE_ID={id}"),
        "TARGET=swnd",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}
