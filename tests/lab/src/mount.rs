//! A mount in the guest.

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::{CLUSTER_NAME, Guest, PASSWORD, SHARE, USER, Writer, WriterOptions};

/// What is mounted where, and how.
#[derive(Debug, Clone)]
pub struct MountOptions {
    /// The server's name.
    pub server: String,
    /// The share.
    pub share: String,
    /// The directory of the guest.
    pub point: String,
    /// The user; the password is [`PASSWORD`]. None where the options name another way.
    pub user: Option<String>,
    /// How often the kernel asks the server for a sign of life, and repeats its registrations.
    pub echo_interval: Duration,
    /// More options, as mount.cifs takes them.
    pub more: String,
}

impl Default for MountOptions {
    fn default() -> MountOptions {
        MountOptions {
            server: CLUSTER_NAME.into(),
            share: SHARE.into(),
            point: Mount::POINT.into(),
            user: Some(USER.into()),
            echo_interval: Mount::ECHO_INTERVAL,
            more: "rw".into(),
        }
    }
}

/// A mounted share.
#[derive(Debug)]
pub struct Mount<'a> {
    guest: &'a Guest,
    options: MountOptions,
    /// False once it is unmounted.
    mounted: bool,
}

impl<'a> Mount<'a> {
    /// The echo interval of mounts, where nothing else is said.
    pub const ECHO_INTERVAL: Duration = Duration::from_secs(5);

    /// The kernel's own choice of it.
    pub const DEFAULT_ECHO_INTERVAL: Duration = Duration::from_secs(60);

    /// Where mounts are, where nothing else is said.
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
        let more = "sec=krb5,witness".to_owned();
        Mount::by(guest, address, MountOptions { user: None, more, ..MountOptions::default() })
    }

    /// Mounts `//server/data` from `address` with more mount options.
    ///
    /// # Panics
    /// Where the kernel refuses, with its own words.
    pub fn new(guest: &'a Guest, server: &str, address: Ipv4Addr, more: &str) -> Mount<'a> {
        let (server, more) = (server.to_owned(), more.to_owned());
        Mount::by(guest, address, MountOptions { server, more, ..MountOptions::default() })
    }

    /// Mounts from `address`.
    ///
    /// # Panics
    /// Where the kernel refuses, with its own words.
    pub fn by(guest: &'a Guest, address: impl Display, options: MountOptions) -> Mount<'a> {
        let MountOptions { server, share, point, user, echo_interval, more } = &options;
        let user = user
            .as_ref()
            .map_or_else(String::new, |user| format!("username={user},password={PASSWORD},"));
        let echo = echo_interval.as_secs();
        // Hard: a program waits for the server to come back instead of getting an error.
        let mounted = guest.run(&format!(
            "mkdir -p {point} && mount -t cifs //{server}/{share} {point} \
             -o ip={address},vers=3.1.1,hard,echo_interval={echo},{user}{more}"
        ));
        assert_eq!(
            mounted.status,
            0,
            "mount: {}\n{}",
            mounted.stderr,
            guest.ok("dmesg | tail -n 20")
        );
        Mount { guest, options, mounted: true }
    }

    /// Unmounts.
    ///
    /// # Panics
    /// Where it is in use.
    pub fn unmount(mut self) {
        self.mounted = false;
        self.guest.ok(&format!("umount {}", self.options.point));
    }

    /// Starts a program that writes to a file here until it is stopped.
    pub fn writer(&self, name: &str) -> Writer<'a> {
        self.writer_with(name, WriterOptions::default())
    }

    /// As [`Mount::writer`], with options.
    pub fn writer_with(&self, name: &str, options: WriterOptions) -> Writer<'a> {
        Writer::start(self.guest, &self.options.point, name, options)
    }

    /// Where it is mounted.
    pub fn point(&self) -> &str {
        &self.options.point
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        if self.mounted && !std::thread::panicking() && !self.guest.is_abandoned() {
            self.guest.run(&format!("umount -l {}", self.options.point));
        }
    }
}
