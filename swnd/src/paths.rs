//! Where things are, unless the options say otherwise.

/// Where the socket is unless it is elsewhere by `--control`.
pub const SOCKET: &str = "/run/swnd/org.swnclient.Witness";
/// The file, unless it is elsewhere by `--config`.
pub const FILE: &str = "/etc/swnd/swnd.conf";
