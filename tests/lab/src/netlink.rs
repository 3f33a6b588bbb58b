//! The messages between the kernel and `swnd` as an nlmon device shows them: a capture file, in it netlink messages, in
//! them the attributes of the generic netlink family `cifs` (linux/cifs/cifs_netlink.h).

use std::collections::BTreeMap;
use std::net::IpAddr;

/// A message of the family `cifs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// One of the constants here.
    pub command: u8,
    /// Its attributes.
    pub attributes: Attributes,
    /// What the kernel answered to a message from user space: 0, or a negative errno.
    pub answer: Option<i32>,
    id: (u32, u32),
}

impl Message {
    /// The kernel asks for a registration.
    pub const REGISTER: u8 = 1;
    /// The kernel takes a registration back.
    pub const UNREGISTER: u8 = 2;
    /// The daemon hands a notification over.
    pub const NOTIFY: u8 = 3;
}

/// Raw attributes by their number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes(pub BTreeMap<u16, Vec<u8>>);

impl Attributes {
    /// A u32.
    pub const REGISTRATION_ID: u16 = 1;
    /// A string.
    pub const NET_NAME: u16 = 2;
    /// A string.
    pub const SHARE_NAME: u16 = 3;
    /// A whole `struct sockaddr_storage`.
    pub const IP: u16 = 4;
    /// A u32: 1 resource change, 2 client move, 3 share move, 4 IP change.
    pub const NOTIFICATION_TYPE: u16 = 12;
    /// A u32: 0 unknown, 1 available, 0xFF unavailable.
    pub const RESOURCE_STATE: u16 = 13;
    /// A string.
    pub const RESOURCE_NAME: u16 = 14;

    /// An attribute's bytes.
    pub fn bytes(&self, attribute: u16) -> Option<&[u8]> {
        self.0.get(&attribute).map(Vec::as_slice)
    }

    /// An attribute that is a u32.
    pub fn u32(&self, attribute: u16) -> Option<u32> {
        Some(u32::from_ne_bytes(self.bytes(attribute)?.try_into().ok()?))
    }

    /// An attribute that is a string with its final zero.
    pub fn string(&self, attribute: u16) -> Option<String> {
        let text = self.bytes(attribute)?.strip_suffix(&[0])?;
        String::from_utf8(text.to_vec()).ok()
    }
}

/// The bytes of the `struct sockaddr_storage` with this address and no port, as the kernel has it.
pub fn sockaddr_storage(address: IpAddr) -> [u8; 128] {
    let (family, at, octets) = match address {
        IpAddr::V4(v4) => (2u16, 4, v4.octets().to_vec()),
        IpAddr::V6(v6) => (10u16, 8, v6.octets().to_vec()),
    };
    let mut bytes = [0; 128];
    bytes[..2].copy_from_slice(&family.to_ne_bytes());
    bytes[at..at + octets.len()].copy_from_slice(&octets);
    bytes
}

/// The messages of the generic netlink family with number `family` in a pcap file. The file may end in the middle of a
/// packet: it is still being written.
pub(crate) fn parse_capture(pcap: &[u8], family: u16) -> Vec<Message> {
    let mut found: Vec<Message> = Vec::new();
    // The file's header is 24 bytes, a packet's 16 with its length at 8, and before each netlink message there are 16
    // of LINKTYPE_NETLINK.
    let mut rest = pcap.get(24..).unwrap_or_default();
    while let Some((message, after)) = u32_at(rest, 8).and_then(|length| take(rest, 16, length)) {
        rest = after;
        let message = message.get(16..).unwrap_or_default();
        parse_netlink(message, family, &mut found);
    }
    found
}

/// One packet: `struct nlmsghdr` and what follows.
fn parse_netlink(message: &[u8], family: u16, found: &mut Vec<Message>) -> Option<()> {
    const NLMSG_ERROR: u16 = 2;
    let id = |header: &[u8]| Some((u32_at(header, 8)?, u32_at(header, 12)?));
    let kind = u16_at(message, 4)?;
    if kind == NLMSG_ERROR {
        let answer = i32::from_ne_bytes(message.get(16..20)?.try_into().ok()?);
        let asked = message.get(20..)?;
        let asked = (u16_at(asked, 4)?, id(asked)?);
        let question =
            found.iter_mut().rev().find(|m| asked == (family, m.id) && m.answer.is_none())?;
        question.answer = Some(answer);
    } else if kind == family {
        let attributes = parse_attributes(message.get(20..)?);
        found.push(Message {
            command: *message.get(16)?,
            attributes,
            answer: None,
            id: id(message)?,
        });
    }
    Some(())
}

fn parse_attributes(mut rest: &[u8]) -> Attributes {
    let mut attributes = Attributes::default();
    while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let Some(value) = rest.get(4..usize::from(length)) else { break };
        attributes.0.insert(kind, value.to_vec());
        rest = rest.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
    }
    attributes
}

/// The `length` bytes after `skip`, and what is behind them.
fn take(bytes: &[u8], skip: usize, length: u32) -> Option<(&[u8], &[u8])> {
    bytes.get(skip..)?.split_at_checked(length.try_into().ok()?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
