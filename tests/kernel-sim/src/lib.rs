//! The kernel's side of the witness in a box: a stand-in for generic netlink and
//! the cifs module, which runs in the process that uses it.

mod kernel;
mod message;
mod watched;

pub use kernel::{StandInKernel, Taken};
pub use message::{
    decode_lookup, decode_notify, decode_scope_id, encode_answer, encode_family,
    encode_registration,
};
pub use watched::{Watched, known_account, numbered_mount, start_daemon};
