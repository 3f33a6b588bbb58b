//! A script for the simulated cluster, which people write.

use witness_sim::{Script, Step};

/// Reads a script, and a step. What is read is written again as what it was.
pub(crate) fn script(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = text.parse::<Script>();
    for line in text.lines() {
        if let Ok(step) = line.parse::<Step>() {
            let written = step.to_string();
            // But for a password, which is not written.
            let again = written.parse::<Step>().map(|step| step.to_string());
            assert_eq!(again.as_ref(), Ok(&written));
        }
    }
}

/// Each kind of step, alone and in a script.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let steps = [
        "node 1 down",
        "node 1 down silent",
        "node 1 cut",
        "node 1 up",
        "address 10.0.0.11 to node 2",
        "address 10.0.0.11 offline",
        "service node 2 stop",
        "service node 2 port 50000",
        "client-move all to node 2",
        "share-move client ws1 to 10.0.0.12",
        "ip-change address 10.0.0.11 to 10.0.0.11 offline, fd00::12, 10.0.0.13",
        "answer all ERROR_NOT_FOUND",
        "answer witness 2 empty",
        "force-unregister all",
        "password alice secret2",
        "clock -3600",
        "fault register node 2 times 3 status ERROR_INVALID_STATE",
        "fault notify always delay 5s",
        "fault list cut 3",
        "fault bind nak 8",
        "fault notify fault 0x1c010002",
        "no-faults",
    ];
    let script: String =
        steps.iter().map(|step| format!("at 1.5s {step} # what it is\n")).collect();
    let mut seeds: Vec<Vec<u8>> = steps.iter().map(|step| step.as_bytes().to_vec()).collect();
    seeds.push(script.into_bytes());
    seeds
}
