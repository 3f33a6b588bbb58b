//! Files: the settings, which root writes, and the kernel's tables of mounts and connections,
//! in which names are users'.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use swnd::failover::debug_data::DebugData;
use swnd::settings::Sources;

thread_local! {
    /// A file without a name, and the one by which it is opened again.
    static FILE: RefCell<Option<(File, PathBuf)>> = const { RefCell::new(None) };
}

fn unnamed() -> std::io::Result<(File, PathBuf)> {
    let path = std::env::temp_dir().join(format!("swnclient-fuzz-{}", std::process::id()));
    let file = File::create(&path)?;
    std::fs::remove_file(&path)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
    Ok((file, path))
}

/// Reads swnd.conf, and what it says about mounts.
pub(crate) fn settings(data: &[u8]) {
    FILE.with_borrow_mut(|file| {
        let (file, path) = file.get_or_insert_with(|| unnamed().expect("a file"));
        file.set_len(0).and_then(|()| file.rewind()).expect("it is empty");
        file.write_all(data).expect("it has room");
        match Sources::of_file(path).load() {
            Ok(settings) => {
                let _ = (settings.policy(), settings.rules());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}

/// Reads /proc/self/mountinfo and /proc/fs/cifs/DebugData.
pub(crate) fn tables(data: &[u8]) {
    for mount in swnd::mountinfo::parse(data).unwrap_or_default() {
        let _ = (mount.address(), mount.has("witness"), mount.is_share("cluster", "data"));
    }
    let data = DebugData::parse(&String::from_utf8_lossy(data));
    let _ = data.share("cluster", "data");
    let _ = data.at([192, 0, 2, 1].into()).count();
}

/// The example that is installed, as it is and with all of it in force.
pub(crate) fn settings_seeds() -> Vec<Vec<u8>> {
    let example = include_str!("../../packaging/swnd.conf");
    let in_force = |line: &str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| !c.is_whitespace()) => setting.to_owned(),
        _ => line.to_owned(),
    };
    let all: Vec<String> = example.lines().map(in_force).collect();
    let each = all.iter().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut seeds: Vec<Vec<u8>> = each.map(|line| line.clone().into_bytes()).collect();
    seeds.extend([example.as_bytes().to_vec(), all.join("\n").into_bytes()]);
    seeds
}

/// One mount, by IPv4 and by IPv6, and one connection.
pub(crate) fn tables_seeds() -> Vec<Vec<u8>> {
    let mount = |address: &str| {
        format!(
            "70 29 0:50 / /mnt/my\\040data rw,relatime shared:3 - cifs //cluster/data \
             rw,vers=3.1.1,sec=ntlmssp,witness,addr={address},hard\n"
        )
    };
    let connections = "Display Internal CIFS Data Structures for Debugging\n\
        CIFS Version 2.44\n\
        1) ConnectionId: 0x2 Hostname: cluster \n\
        TCP status: 1 Instance: 3\n\
        Local Users To Server: 1 SecMode: 0x1 Req On Wire: 0 Net namespace: 4026531840 \n\
        \t1) Address: 192.0.2.1 Uses: 1 Capability: 0x300047\tSession Status: 1\n\
        \t1) IPC: \\\\cluster\\IPC$ Mounts: 1 DevInfo: 0x0\n\
        \t2) \\\\cluster\\data Mounts: 1 DevInfo: 0x20020 Attributes: 0xc706ff\n\
        \tShare Capabilities: DFS, SCALEOUT, CLUSTER,\tShare Flags: 0x0\n";
    vec![
        mount("192.0.2.1").into_bytes(),
        mount("fe80::1%eth0").into_bytes(),
        connections.as_bytes().to_vec(),
    ]
}
