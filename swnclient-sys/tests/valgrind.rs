//! The C consumer's scenarios under valgrind: no error and no leak.

#[macro_use]
mod common;

test_scenarios!(&[concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/c-consumer/valgrind")]);
