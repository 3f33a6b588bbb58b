//! What swnd sends, in the eyes of an independent decoder.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lab::{Capture, Cluster, Guest, Mount, Swnd, wait_until};

/// The lines that tshark prints for the packets that `filter` lets through.
fn tshark(capture: &Path, filter: &str) -> Vec<String> {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(capture)
        .args(["-Y", filter])
        .output()
        .expect("tshark is installed");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tshark -Y {filter:?}: {stderr}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn tshark_decodes_bind_and_ept_map_without_complaint() {
    let cluster = Cluster::fresh();
    let guest = Guest::boot();
    let capture = Capture::tcp(&guest);
    let swnd = Swnd::start(&guest);
    let mount = Mount::with_witness(&guest, cluster.address_of(0));
    wait_until("the mount is registered", Duration::from_secs(10), || {
        let registrations = cluster.registrations();
        if registrations.len() == 1 { Ok(()) } else { Err(format!("{registrations:?}")) }
    });
    mount.unmount();
    swnd.stop();
    let capture = capture.stop();

    for (what, filter) in [
        (
            "a bind to the endpoint mapper",
            "dcerpc.pkt_type == 11 && dcerpc.cn_bind_to_uuid == e1af8308-5d1f-11c9-91a4-08002b14a0fa",
        ),
        (
            "a bind to the witness",
            "dcerpc.pkt_type == 11 && dcerpc.cn_bind_to_uuid == ccd8c074-d0e5-4a40-92b4-d074faa6ba28",
        ),
        ("NTLM in a bind", "dcerpc.pkt_type == 11 && ntlmssp.messagetype == 1"),
        ("AUTH3", "dcerpc.pkt_type == 16 && ntlmssp.messagetype == 3"),
        ("an ept_map request", "epm.opnum == 3 && dcerpc.pkt_type == 0"),
        ("its response", "epm.opnum == 3 && dcerpc.pkt_type == 2"),
    ] {
        assert!(
            !tshark(&capture, filter).is_empty(),
            "no {what} was captured: {:#?}",
            tshark(&capture, "dcerpc")
        );
    }
    // Of what Samba sends tshark says "long frame", so only what comes from here must be without a warning.
    let complaints =
        "_ws.malformed || (ip.src == 10.77.0.3 && dcerpc && _ws.expert.severity >= 0x600000)";
    assert_eq!(tshark(&capture, complaints), [""; 0]);
}
