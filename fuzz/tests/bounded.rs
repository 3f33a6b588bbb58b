//! Each target for a bounded number of cases, from its seeds. `PROPTEST_CASES`
//! makes it more of them.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics fails, which is what it is for"
)]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use swnclient_fuzz::{TARGETS, Target};

/// A change to an input.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    /// Lengths and counts are where it hurts.
    Set16(Index, u16),
    Set32(Index, u32),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let edges32 = prop_oneof![Just(0), Just(1), Just(0x7fff_ffff), Just(u32::MAX), any::<u32>()];
    prop_oneof![
        any::<(Index, u8)>().prop_map(|(at, to)| Change::Set(at, to)),
        any::<(Index, u16)>().prop_map(|(at, to)| Change::Set16(at, to)),
        (any::<Index>(), edges32).prop_map(|(at, to)| Change::Set32(at, to)),
        (any::<Index>(), vec(any::<u8>(), 1..20)).prop_map(|(at, new)| Change::Insert(at, new)),
        (any::<Index>(), 1..20usize).prop_map(|(at, len)| Change::Remove(at, len)),
        any::<Index>().prop_map(Change::Cut),
    ]
}

fn apply(change: &Change, data: &mut Vec<u8>) {
    let end = data.len();
    let overwrite = |data: &mut Vec<u8>, at: &Index, new: &[u8]| {
        let at = at.index(end + 1);
        let len = new.len().min(end - at);
        data[at..at + len].copy_from_slice(&new[..len]);
    };
    match change {
        Change::Set(at, to) => overwrite(data, at, &[*to]),
        Change::Set16(at, to) => overwrite(data, at, &to.to_le_bytes()),
        Change::Set32(at, to) => overwrite(data, at, &to.to_le_bytes()),
        Change::Insert(at, new) => {
            let at = at.index(end + 1);
            data.splice(at..at, new.iter().copied());
        }
        Change::Remove(at, len) => {
            let at = at.index(end + 1);
            data.drain(at..end.min(at + len));
        }
        Change::Cut(at) => data.truncate(at.index(end + 1)),
    }
}

fn fuzz(target: &Target) {
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{} starts from nothing", target.name);
    seeds.iter().for_each(|seed| (target.run)(seed));
    let changed =
        (proptest::sample::select(seeds), vec(change(), 1..6)).prop_map(|(mut seed, changes)| {
            changes.iter().for_each(|change| apply(change, &mut seed));
            seed
        });
    let input = prop_oneof![9 => changed, 1 => vec(any::<u8>(), 0..200)];
    let default = Config::default();
    let config = Config { cases: default.cases.max(2000), failure_persistence: None, ..default };
    let run = target.run;
    TestRunner::new(config)
        .run(&input, |input| {
            run(&input);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{}: {failure}", target.name));
}

macro_rules! bounded {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            fuzz(TARGETS.iter().find(|target| target.name == stringify!($name)).unwrap());
        })*

        #[test]
        fn no_target_is_left_out() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

bounded! {
    pdu_stream
    mapper_response
    interface_list
    notify_response
    ntlm_challenge
    spnego_token
    kernel_message
    kernel_link
    control
    client
    c_inbox
    settings
    tables
    script
}
