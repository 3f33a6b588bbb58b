//! A mount in the guest.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::{CLUSTER_NAME, Guest, PASSWORD, SHARE, USER, Writer};

/// A mounted share.
#[derive(Debug)]
pub struct Mount<'a> {
    guest: &'a Guest,
    /// False once it is unmounted.
    mounted: bool,
}

impl<'a> Mount<'a> {
    /// The echo interval of all mounts: how often the kernel asks the server for a sign of life, and repeats its
    /// registrations.
    pub const ECHO_INTERVAL: Duration = Duration::from_secs(5);

    /// Where all are mounted.
    pub const POINT: &'static str = "/mnt/data";

    /// Mounts by the cluster's name, from `address`, with witness support.
    pub fn with_witness(guest: &'a Guest, address: Ipv4Addr) -> Mount<'a> {
        Mount::new(guest, CLUSTER_NAME, address, "witness")
    }

    /// Mounts by the cluster's name, from `address`, without witness support.
    pub fn without_witness(guest: &'a Guest, address: Ipv4Addr) -> Mount<'a> {
        Mount::new(guest, CLUSTER_NAME, address, "rw")
    }

    /// Mounts by the cluster's name, from `address`, with witness support, by the tickets of the guest's default cache.
    pub fn with_kerberos(guest: &'a Guest, address: Ipv4Addr) -> Mount<'a> {
        Mount::by(guest, CLUSTER_NAME, address, "sec=krb5,witness")
    }

    /// Mounts `//server/data` from `address` with more mount options.
    ///
    /// # Panics
    /// Where the kernel refuses, with its own words.
    pub fn new(guest: &'a Guest, server: &str, address: Ipv4Addr, options: &str) -> Mount<'a> {
        let options = format!("username={USER},password={PASSWORD},{options}");
        Mount::by(guest, server, address, &options)
    }

    fn by(guest: &'a Guest, server: &str, address: Ipv4Addr, options: &str) -> Mount<'a> {
        let (point, echo) = (Mount::POINT, Mount::ECHO_INTERVAL.as_secs());
        // Hard: a program waits for the server to come back instead of getting an error.
        let mounted = guest.run(&format!(
            "mkdir -p {point} && mount -t cifs //{server}/{SHARE} {point} \
             -o ip={address},vers=3.1.1,hard,echo_interval={echo},{options}"
        ));
        assert_eq!(
            mounted.status,
            0,
            "mount: {}\n{}",
            mounted.stderr,
            guest.ok("dmesg | tail -n 20")
        );
        Mount { guest, mounted: true }
    }

    /// Unmounts.
    ///
    /// # Panics
    /// Where it is in use.
    pub fn unmount(mut self) {
        self.mounted = false;
        self.guest.ok(&format!("umount {}", Mount::POINT));
    }

    /// Starts a program that writes to a file here until it is stopped.
    pub fn writer(&self, name: &str) -> Writer<'a> {
        Writer::start(self.guest, name)
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        if self.mounted && !std::thread::panicking() {
            self.guest.run(&format!("umount -l {}", Mount::POINT));
        }
    }
}
