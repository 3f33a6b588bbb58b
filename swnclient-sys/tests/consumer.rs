//! The C consumer's scenarios with a witness cluster in a box: use as a daemon
//! does it, and every misuse that must be safe.

#[macro_use]
mod common;

test_scenarios!(&[]);
