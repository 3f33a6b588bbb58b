//! Capturing what goes through one of the guest's network devices.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::netlink::parse_capture;
use crate::{Guest, Message, Process, wait_until};

/// A running capture.
#[derive(Debug)]
pub struct Capture<'a> {
    guest: &'a Guest,
    tcpdump: Process<'a>,
    file: PathBuf,
}

impl<'a> Capture<'a> {
    /// Captures netlink messages.
    pub fn netlink(guest: &'a Guest) -> Capture<'a> {
        Capture::start(guest, "nlmon0", "")
    }

    /// Captures TCP.
    pub fn tcp(guest: &'a Guest) -> Capture<'a> {
        Capture::start(guest, "vec0", "tcp")
    }

    fn start(guest: &'a Guest, device: &str, filter: &str) -> Capture<'a> {
        let file = guest.shared_dir().join(format!("{device}.pcap"));
        // Each packet must be in the file as soon as it is seen.
        let options = "-s 0 -Z root --immediate-mode --packet-buffered";
        let tcpdump = guest
            .spawn(&format!("exec tcpdump {options} -i {device} -w '{}' {filter}", file.display()));
        wait_until("tcpdump listens", Duration::from_secs(10), || {
            let said = tcpdump.stderr();
            if said.contains("listening on") { Ok(()) } else { Err(said) }
        });
        Capture { guest, tcpdump, file }
    }

    /// All messages of the netlink family `cifs` so far.
    ///
    /// # Panics
    /// Where there is no such family: the module isn't loaded.
    pub fn messages(&self) -> Vec<Message> {
        let (family, _) = self.guest.cifs_family().expect("the cifs module is loaded");
        parse_capture(&self.guest.read(&self.file), family)
    }

    /// Ends the capture and gives its file, which lasts as long as the guest.
    ///
    /// # Panics
    /// Where tcpdump can't be ended.
    pub fn stop(self) -> PathBuf {
        self.tcpdump.signal("INT");
        self.tcpdump.wait(Duration::from_secs(10));
        self.file
    }

    /// Where the packets go.
    pub fn file(&self) -> &Path {
        &self.file
    }
}
