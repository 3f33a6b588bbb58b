//! Running a test's own code on the cluster's network.

use std::fs::File;
use std::panic::resume_unwind;
use std::path::Path;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Runs `body` on a thread of its own inside the client's network namespace (10.77.0.2), where the cluster's addresses
/// can be reached. A tokio runtime made inside `body` works there if it is a current-thread one: threads inherit the
/// namespace of the thread that starts them.
///
/// # Panics
/// Where the cluster isn't up, and where `body` panics.
pub fn in_client_namespace<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    in_namespace("swn-cl", body)
}

/// The same inside a node's network namespace.
///
/// # Panics
/// Where the node isn't up, and where `body` panics.
pub fn in_node_namespace<T: Send>(node: usize, body: impl FnOnce() -> T + Send) -> T {
    in_namespace(&format!("swn-n{node}"), body)
}

fn in_namespace<T: Send>(name: &str, body: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(Path::new("/run/netns").join(name))
        .expect("the network namespace: is the cluster up?");
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            use std::os::fd::AsFd;
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("entering a network namespace needs root");
            body()
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}
