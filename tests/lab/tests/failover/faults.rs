//! That the faults are what they say.

use std::process::Command;

use lab::scenario::{Death, Scenario, Setup, Stage, Variant};
use lab::{Capture, Cluster, Guest};

/// What the nodes sent to the connection that the mount had when its node died: the flags of each packet.
fn packets_after(death: &Death) -> Vec<String> {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let stage = Stage::set(&cluster, &guest, &Variant::Without, death.setup());
    death.prepare(&stage);
    let ports = guest.ports_to(stage.address);
    let [port] = ports[..] else { panic!("the connections of the mount: {ports:?}") };
    let capture = std::cell::OnceCell::new();
    let outcome = stage.measure(|stage| {
        cluster.kill(stage.node);
        // What the node itself sent has arrived before its cable was gone.
        let _ = capture.set(Capture::tcp(&guest));
    });
    println!("{outcome}");
    let file = capture.into_inner().expect("it captures").stop();
    let tshark = Command::new("tshark")
        .args(["-r", &file.to_string_lossy(), "-T", "fields", "-e", "tcp.flags.str"])
        .args(["-Y", &format!("ip.dst == 10.77.0.3 && tcp.dstport == {port}")])
        .output()
        .expect("tshark can be started");
    assert!(tshark.status.success(), "{}", String::from_utf8_lossy(&tshark.stderr));
    String::from_utf8_lossy(&tshark.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_takeover_resets_the_connection_and_a_silent_one_does_not() {
    let with = packets_after(&Death::with_takeover());
    println!("to the old connection after a death with takeover: {with:?}");
    assert!(with.iter().any(|flags| flags.contains('R')), "no RST: {with:?}");

    // With short echo intervals the kernel gives the connection up by itself.
    let setup = Setup::default();
    let silent = packets_after(&Death { setup, ..Death::without_reset() });
    assert!(silent.is_empty(), "{silent:?}");
}
