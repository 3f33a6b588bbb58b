//! What the kernel's controller of generic netlink says of the family `cifs`.

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv};
use rustix::net::{sendto, socket_with, sockopt};
use std::io;
use std::time::Duration;
use swnd::kernel::ctrl;
use swnd::kernel::wire::{Attributes, Generic, Messages};

/// The attribute with a family's operations (`CTRL_ATTR_OPS`), and those of each: its
/// number (`CTRL_ATTR_OP_ID`) and its flags (`CTRL_ATTR_OP_FLAGS`).
const OPERATIONS: u16 = 6;
const OPERATION_ID: u16 = 1;
const OPERATION_FLAGS: u16 = 2;
/// `GENL_ADMIN_PERM`: the operation needs `CAP_NET_ADMIN`.
const ADMIN: u32 = 0x01;
/// How long the kernel may take.
const LIMIT: Duration = Duration::from_secs(1);

/// Whether an operation of a family needs `CAP_NET_ADMIN`; `None` where there is no such
/// family or operation.
pub(super) fn needs_privilege(family: &str, operation: u32) -> Option<bool> {
    let answer = ask(family).ok()?;
    let message = Messages::new(&answer).next()?.ok()?;
    if message.kind != ctrl::id() {
        return None;
    }
    flags(message.payload, operation).map(|flags| flags & ADMIN != 0)
}

/// Asks the kernel, as every user may.
fn ask(family: &str) -> io::Result<Vec<u8>> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::GENERIC),
    )?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(LIMIT))?;
    bind(&socket, &SocketAddrNetlink::new(0, 0))?;
    let request = ctrl::lookup(family, 1).map_err(io::Error::other)?;
    sendto(&socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = vec![0; 8192];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    answer.truncate(length);
    Ok(answer)
}

/// Returns the flags of an operation.
fn flags(payload: &[u8], wanted: u32) -> Option<u32> {
    let attributes = Generic::new(payload).ok()?.attributes;
    let operations = attributes.flatten().find(|it| it.kind == OPERATIONS)?;
    Attributes::new(operations.payload).flatten().find_map(|operation| {
        let value = |kind| {
            let attribute = Attributes::new(operation.payload).flatten().find(|it| it.kind == kind);
            attribute.and_then(|it| it.payload.try_into().ok()).map(u32::from_ne_bytes)
        };
        (value(OPERATION_ID)? == wanted).then(|| value(OPERATION_FLAGS)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_which_operations_need_a_privilege() {
        // Of the controller itself: each user may look a family up (CTRL_CMD_GETFAMILY).
        assert_eq!(needs_privilege(ctrl::NAME, 3), Some(false));
        assert_eq!(needs_privilege(ctrl::NAME, 77), None);
        assert_eq!(needs_privilege("no such family", 3), None);
    }

    #[test]
    fn the_flags_of_an_operation_are_found_among_those_of_others() {
        let attribute = |kind: u16, payload: &[u8]| {
            let length = u16::try_from(payload.len() + 4).unwrap();
            [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), payload].concat()
        };
        let operation = |number: u16, id: u32, flags: u32| {
            let id = attribute(OPERATION_ID, &id.to_ne_bytes());
            attribute(number, &[id, attribute(OPERATION_FLAGS, &flags.to_ne_bytes())].concat())
        };
        let operations = [operation(1, 2, 0x0e), operation(2, 3, 0x0b)].concat();
        let payload = [&[1, 2, 0, 0][..], &attribute(OPERATIONS, &operations)].concat();
        assert_eq!(flags(&payload, 3), Some(0x0b));
        assert_eq!(flags(&payload, 2), Some(0x0e));
        assert_eq!(flags(&payload, 1), None);
        assert_eq!(flags(payload.get(..20).unwrap(), 3), None);
    }
}
