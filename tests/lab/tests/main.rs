//! Tests against a real Samba cluster and a real Linux kernel; `tests/lab/README.md` says how to run one of them.

mod addresses;
mod adopted;
mod crowd;
mod kernel;
mod pair;
mod samba;
mod wire;
