//! Open files through F1 and F4: what was acknowledged is right, whatever the programs were told. With `LAB_PERSISTENT`
//! the cluster has persistent handles, and the lock and all files are still held afterwards. Which errors they see, with
//! and without a daemon, is printed: docs/compatibility.md has it.

use lab::Cluster;
use lab::scenario::{OpenFiles, OpenFilesFault};

use crate::variant;

fn assert_open_files_survive(fault: OpenFilesFault) {
    let cluster = Cluster::fresh();
    let persistent = std::env::var_os("LAB_PERSISTENT").is_some_and(|value| !value.is_empty());
    let variant = variant();
    let after = OpenFiles { fault, persistent }.run_open(&cluster, &variant);
    println!("open files, {fault:?}, persistent handles: {persistent}, {variant}: {after}");
    let all = ["lock", "reader", "writer", "sqlite"];
    let right = if persistent { &all[..] } else { &all[2..] };
    for name in right {
        let used = &after.uses[*name];
        assert!(used.is_right() && !used.hangs, "{name}: {used:?}");
    }
    assert!(!persistent || after.locked, "the lock is lost");
}

#[test]
fn open_files_through_the_death_of_their_node() {
    assert_open_files_survive(OpenFilesFault::Death);
}

#[test]
fn open_files_through_a_client_move() {
    assert_open_files_survive(OpenFilesFault::ClientMove);
}
