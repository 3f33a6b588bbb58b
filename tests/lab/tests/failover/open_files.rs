//! Open files through F1 and F4. With `LAB_PERSISTENT` the cluster has persistent handles, and no program may see an
//! error; without, the test says what each of them sees, and data that was acknowledged is right.

use lab::Cluster;
use lab::scenario::{OpenFiles, OpenFilesFault};

use crate::variant;

fn assert_open_files_survive(fault: OpenFilesFault) {
    let cluster = Cluster::fresh();
    let persistent = std::env::var_os("LAB_PERSISTENT").is_some_and(|value| !value.is_empty());
    let variant = variant();
    let after = OpenFiles { fault, persistent }.run_open(&cluster, &variant);
    println!("open files, {fault:?}, persistent handles: {persistent}, {variant}: {after}");
    for name in ["writer", "sqlite"] {
        let used = &after.uses[name];
        assert!(used.is_right(), "{name}: {used:?}");
    }
    if persistent {
        for (name, used) in &after.uses {
            assert!(used.errors.is_empty() && used.is_right() && !used.hangs, "{name}: {used:?}");
        }
        assert!(after.locked, "the lock is lost");
    }
}

#[test]
fn open_files_through_the_death_of_their_node() {
    assert_open_files_survive(OpenFilesFault::Death);
}

#[test]
fn open_files_through_a_client_move() {
    assert_open_files_survive(OpenFilesFault::ClientMove);
}
