//! What the loss of a connection costs a program by itself, and with notifications at the same time: F11. These need
//! CONFIG_INET_DIAG_DESTROY, in the guest's kernel and in this machine's.

use std::time::Duration;

use lab::Written;
use lab::scenario::{End, Ends, Pairs};

use crate::{assert_no_errors, assert_registered, run};

/// How often a connection is ended where EBADF is counted.
const ENDS: u64 = 60;

/// How often in F11, for each gap.
const PAIRS: u64 = 10;

fn end_connections(end: End, options: &'static str) -> Written {
    let ends = Ends { times: ENDS, end, options };
    let outcome = run(&format!("{ENDS} connections ended, {end:?}, {options}"), &ends);
    assert_eq!(outcome.losses, [ENDS]);
    assert_eq!(outcome.written[0].reopened, 0, "files that the writer had to open again");
    outcome.written[0].clone()
}

#[test]
fn after_ebadf_the_same_descriptor_goes_on_and_only_fdatasync_has_it() {
    for end in [End::Abort, End::Reset] {
        let written = end_connections(end, "hard");
        assert_eq!(written.ebadf.get("pwrite"), None, "{written:?}");
    }
}

#[test]
fn without_strict_sync_there_is_no_ebadf() {
    for end in [End::Abort, End::Reset] {
        let written = end_connections(end, "hard,nostrictsync");
        assert_eq!(written.ebadf(), 0, "{written:?}");
    }
}

#[test]
fn f11_notifications_during_a_reconnect_cost_no_other_connection() {
    let gaps = [(0, 11), (1, 22), (12, 33), (100, 44)];
    let outcomes = gaps.map(|(gap, seed)| {
        let pairs = Pairs { times: PAIRS, gap: Duration::from_millis(gap), seed };
        run(&format!("F11, {gap} ms apart"), &pairs)
    });
    for outcome in outcomes {
        assert_eq!(outcome.losses, [PAIRS], "losses of the kernel's connection\n{}", outcome.log);
        assert_no_errors(&outcome);
        assert_registered(&outcome, 1);
    }
}
