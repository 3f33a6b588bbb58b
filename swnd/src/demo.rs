//! `swnd demo`: a failover on this machine alone, without a kernel or a cluster.

/// Runs the demonstration.
pub fn run() -> Result<(), String> {
    Err("the demonstration is not part of this version".into())
}
